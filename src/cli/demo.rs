//! `meesh demo`: sample data in two throw-away PostgreSQL servers and an S3 server, meesh on them, and three
//! queries that join them.
//!
//! ```text
//! temporary folder -> PostgreSQL sales, marketing | S3 server -> etc/catalog/*.properties -> meesh -> queries -> ready
//! ```
//! Whatever ends the demo, the servers are stopped and the folder is removed.

mod data;
mod etc;
mod postgres;
mod queries;
mod ready;
mod s3;
mod server;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use meesh_base::format_duration;
use meesh_engine::Parameters;
use tokio::signal::unix::{SignalKind, signal};

use super::Exit;
use crate::config::ConfigFlags;
use crate::logging;
use crate::shell::render::{TableStyle, table_of};
use postgres::{PostgresServer, Programs};
use queries::{QUERIES, ShownQuery};
use ready::Addresses;
use s3::S3Server;
use server::Server;

/// The flags of `meesh demo`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct DemoArgs {
    /// Leave after the queries; the exit code is 1 if a result is not the expected one
    #[arg(long)]
    exit: bool,

    /// Write the addresses of everything to FILE, as JSON, once it is up
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// Shows the queries, and stays up until Ctrl-C or SIGTERM unless told to leave.
///
/// # Errors
/// When PostgreSQL is not installed or does not start, and those of `meesh serve`.
pub(super) async fn run(flags: &ConfigFlags, args: DemoArgs) -> Result<ExitCode> {
    logging::start("warn", None)?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let stopped = async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::pin!(stopped);
    let (demo, all_expected) = tokio::select! {
        shown = show(flags) => shown?,
        () = &mut stopped => return Ok(Exit::Interrupted.into()),
    };
    if args.exit {
        demo.server.stop().await;
        return Ok(if all_expected { Exit::Done } else { Exit::Failed }.into());
    }
    let addresses = demo.addresses();
    print!("\n{}", addresses.ready_box());
    if let Some(file) = &args.ready_file {
        addresses.write_json(file)?;
    }
    stopped.await;
    println!("\nstopping");
    demo.server.stop().await;
    Ok(Exit::Done.into())
}

/// Everything that runs. The fields end in this order: the servers before their folder.
struct Demo {
    server: Server,
    databases: Vec<PostgresServer>,
    s3: S3Server,
    folder: tempfile::TempDir,
}

impl Demo {
    fn addresses(&self) -> Addresses<'_> {
        Addresses {
            flight: self.server.door.address,
            admin: self.server.admin,
            databases: &self.databases,
            s3: &self.s3,
            folder: self.folder.path(),
        }
    }
}

async fn show(flags: &ConfigFlags) -> Result<(Demo, bool)> {
    let demo = start(flags).await?;
    let mut all_expected = true;
    for (number, query) in std::iter::zip(1.., QUERIES) {
        println!("\n{number}. {}\n\n{}\n", query.title, query.sql());
        all_expected &= show_query(&demo.server, query).await?;
    }
    Ok((demo, all_expected))
}

async fn start(flags: &ConfigFlags) -> Result<Demo> {
    let folder = temporary_folder()?;
    let (databases, s3) = tokio::try_join!(start_databases(folder.path()), start_s3(folder.path()))?;
    let etc = etc::write(folder.path(), &databases, &s3)?;
    let started = Instant::now();
    let server = Server::start(&etc, flags).await?;
    let names = server.engine.catalogs().names().join(", ");
    said("meesh", &format!("catalogs {names}; Flight SQL at {}", server.door.url()), started);
    Ok(Demo { server, databases, s3, folder })
}

/// A folder that PostgreSQL's own user may enter, too.
fn temporary_folder() -> Result<tempfile::TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new().prefix("meesh-demo-").tempdir().context("no temporary folder")?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

async fn start_databases(folder: &Path) -> Result<Vec<PostgresServer>> {
    let started = Instant::now();
    let programs = Programs::find()?;
    let (sales, marketing) = (folder.join("postgres-sales"), folder.join("postgres-marketing"));
    programs.init_cluster(&sales).await?;
    programs.copy_cluster(&sales, &marketing).await?;
    let (sales, marketing) = tokio::try_join!(
        PostgresServer::start(&programs, "sales", sales),
        PostgresServer::start(&programs, "marketing", marketing),
    )?;
    tokio::try_join!(sales.load(data::SALES_SQL), marketing.load(data::MARKETING_SQL))?;
    let what = format!("sales on port {}, marketing on port {}", sales.port, marketing.port);
    said(&format!("PostgreSQL {}", programs.version()), &what, started);
    Ok(vec![sales, marketing])
}

async fn start_s3(folder: &Path) -> Result<S3Server> {
    let started = Instant::now();
    let root = folder.join("s3");
    data::write_bucket(&root)?;
    let server = S3Server::start(&root).await?;
    let what = format!("bucket {} with {} objects at {}", data::BUCKET, data::OBJECTS.len(), server.endpoint());
    said("S3 server", &what, started);
    Ok(server)
}

fn said(who: &str, what: &str, started: Instant) {
    println!("{who:<17} {what}  ({})", format_duration(started.elapsed()));
}

/// Runs one query and prints its rows and time; whether they are the expected ones.
async fn show_query(server: &Server, query: &ShownQuery) -> Result<bool> {
    let started = Instant::now();
    let stream = server.engine.query(&server.session, query.sql(), Parameters::none()).await?;
    let schema = stream.schema();
    let batches: Vec<_> = stream.try_collect().await?;
    let took = format_duration(started.elapsed());
    print!("{}", table_of(&schema, &batches, &TableStyle::of_stdout(40))?);
    let rows: usize = batches.iter().map(arrow::array::RecordBatch::num_rows).sum();
    let difference = query.difference(&schema, &batches)?;
    match &difference {
        None => println!("{rows} rows in {took}, as expected"),
        Some(difference) => println!("{rows} rows in {took}, NOT as expected: {difference}"),
    }
    Ok(difference.is_none())
}
