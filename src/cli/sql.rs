//! `meesh sql`: statements from -e, a file, a pipe or a person, here or in a server.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use meesh_base::Error;
use meesh_engine::{Engine, Session};

use super::Exit;
use crate::config::{self, CatalogWatch, ConfigFlags};
use crate::logging;
use crate::shell::{Format, Outcome, Remote, RemoteLogin, Shell, Target, is_server_url, read_password, read_pem};

/// Where to run statements, which, and how to show what they return.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct SqlArgs {
    /// A server: grpc://host:32010, or grpc+tls://host:32010; without it the engine runs in this process
    url: Option<String>,

    /// Statements to run, with semicolons between
    #[arg(short = 'e', long, value_name = "SQL", conflicts_with = "file")]
    execute: Option<String>,

    /// A file of statements
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// How results are written [default: table on a terminal, csv otherwise]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<Format>,

    /// Rows that a table shows; of more, the first and the last half [default: 40 on a terminal, 10000 otherwise]
    #[arg(long, value_name = "ROWS")]
    max_rows: Option<usize>,

    /// Catalog, or catalog and schema, in which names start
    #[arg(long = "use", value_name = "CATALOG.SCHEMA")]
    place: Option<String>,

    /// User of the server; the password is MEESH_PASSWORD's value, or asked for on a terminal
    #[arg(long, env = "MEESH_USER")]
    user: Option<String>,

    /// PEM file of the authority that signed the server's certificate [default: the system's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Runs the statements; a person's shell if there are none.
///
/// # Errors
/// Those of a wrong configuration, a server that does not answer and a file that cannot be read;
/// what statements fail with is shown by the shell and told by the exit code.
pub(super) async fn run(flags: &ConfigFlags, args: SqlArgs) -> anyhow::Result<ExitCode> {
    logging::start("warn", None)?;
    let script = script(&args)?;
    let is_interactive = script.is_none();
    let target = match &args.url {
        Some(url) => remote(url, &args).await?,
        None => local(flags, &args, is_interactive)?,
    };
    let mut shell = Shell::new(target, args.output, args.max_rows);
    if let Some(place) = &args.place {
        let outcome = shell.run_quietly(&format!("USE {place}")).await;
        if outcome != Outcome::Done {
            return Ok(exit_of(outcome));
        }
    }
    let outcome = match script {
        Some(script) => shell.run_script(&script).await,
        None => shell.interact().await?,
    };
    Ok(exit_of(outcome))
}

/// The statements to run, or `None` to ask a person.
fn script(args: &SqlArgs) -> anyhow::Result<Option<String>> {
    if let Some(sql) = &args.execute {
        return Ok(Some(sql.clone()));
    }
    if let Some(file) = &args.file {
        let unreadable = |error: std::io::Error| {
            Error::invalid_query(format!("cannot read file {:?}", file.display())).with_detail(error.to_string())
        };
        return Ok(Some(std::fs::read_to_string(file).map_err(unreadable)?));
    }
    if std::io::stdin().is_terminal() {
        return Ok(None);
    }
    let mut script = String::new();
    std::io::stdin().read_to_string(&mut script).context("cannot read statements from standard input")?;
    Ok(Some(script))
}

fn local(flags: &ConfigFlags, args: &SqlArgs, is_interactive: bool) -> anyhow::Result<Target> {
    let config = config::load(flags)?;
    let engine = Engine::new(config.settings.engine)?;
    let watch = CatalogWatch::open(engine.clone(), config.catalogs, meesh_connector_registry::factories())?;
    if is_interactive {
        println!("meesh {}: catalogs {}; \\? for help", Engine::version(), engine.catalogs().names().join(", "));
        drop(watch.run());
    }
    let mut session: Session = config.settings.session.as_defaults_for(user(args));
    session.source = Some("meesh sql".to_owned());
    Ok(Target::Local { engine, session: Box::new(session) })
}

async fn remote(url: &str, args: &SqlArgs) -> anyhow::Result<Target> {
    if !is_server_url(url) {
        return Err(Error::invalid_query("the argument of meesh sql is a server's URL, such as grpc://host:32010")
            .with_hint("statements go to -e: meesh sql -e 'select 1'")
            .into());
    }
    let user = user(args);
    let login = RemoteLogin {
        password: password(args, &user)?,
        authority_pem: args.ca.as_deref().map(read_pem).transpose()?,
        user,
    };
    Ok(Target::Remote(Box::new(Remote::connect(url, &login).await?)))
}

fn user(args: &SqlArgs) -> String {
    let of_system = || std::env::var("USER").ok().filter(|name| !name.is_empty());
    args.user.clone().or_else(of_system).unwrap_or_else(|| "meesh".to_owned())
}

/// Only somebody who names a user is asked: a server without users wants no password.
fn password(args: &SqlArgs, user: &str) -> anyhow::Result<String> {
    match std::env::var("MEESH_PASSWORD") {
        Ok(password) => Ok(password),
        Err(_) if args.user.is_some() && std::io::stdin().is_terminal() => {
            read_password(&format!("password of {user}"))
        }
        Err(_) => Ok(String::new()),
    }
}

fn exit_of(outcome: Outcome) -> ExitCode {
    let exit = match outcome {
        Outcome::Done | Outcome::Quit | Outcome::Closed => Exit::Done,
        Outcome::Failed(kind) => Exit::of_statement(kind),
        Outcome::Interrupted => Exit::Interrupted,
    };
    exit.into()
}
