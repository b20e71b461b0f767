//! The command line: one file per command.

mod check;
mod config;
#[cfg(feature = "demo")]
mod demo;
mod exit;
mod ready;
mod serve;
mod sql;
mod version;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

pub(crate) use exit::Exit;

use crate::config::ConfigFlags;

/// How long work that cannot be interrupted (a read of a file) may hold up the end of the process.
const LAST_WORK: Duration = Duration::from_millis(500);

/// SQL over PostgreSQL and files in S3, as one small binary.
#[derive(Parser)]
#[command(name = "meesh", version = version::VERSION, after_help = AFTER_HELP, args_conflicts_with_subcommands = false)]
struct Cli {
    #[command(flatten)]
    config: ConfigFlags,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "\
Without a command it is the shell: meesh --catalog lake=s3://bucket
Exit codes: 0 done, 1 a statement failed, 2 usage or configuration, 3 a source or server cannot be reached, 130 Ctrl-C";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve Arrow Flight SQL until SIGTERM
    Serve,
    /// Run SQL from -e, a file, a pipe or a terminal, here or in a server
    Sql(sql::SqlArgs),
    /// Try every source step by step: DNS, TCP, TLS, login, one row
    Check,
    /// Show the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Show three federated queries over throw-away PostgreSQL and S3 servers, and stay up
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
}

/// Runs the command that the arguments name.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _ = error.print();
            return exit.into();
        }
    };
    let runtime = match meesh_engine::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start threads: {error}");
            return Exit::Failed.into();
        }
    };
    let done = runtime.block_on(run(cli));
    runtime.shutdown_timeout(LAST_WORK);
    done.unwrap_or_else(|error| {
        eprint!("{}", exit::explain(&error));
        Exit::of(&error).into()
    })
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let flags = cli.config;
    match cli.command {
        None => sql::run(&flags, sql::SqlArgs::default()).await,
        Some(Command::Sql(args)) => sql::run(&flags, args).await,
        Some(Command::Serve) => serve::run(&flags).await,
        Some(Command::Check) => check::run(&flags).await,
        Some(Command::Config(command)) => config::run(&flags, &command),
        #[cfg(feature = "demo")]
        Some(Command::Demo(args)) => demo::run(&flags, args).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_of_the_configuration_go_anywhere() {
        let cli = Cli::try_parse_from(["meesh", "serve", "--catalog", "a=s3://b", "--insecure"]).unwrap();
        assert!(cli.config.insecure && cli.config.catalogs == ["a=s3://b"]);
        assert!(Cli::try_parse_from(["meesh", "--catalog", "a=s3://b"]).unwrap().command.is_none());
        assert!(Cli::try_parse_from(["meesh", "sql", "-e", "select 1", "-f", "x.sql"]).is_err());
    }
}
