//! `meesh config`: what holds and where it was said; the reference of all keys.

use std::process::ExitCode;

use clap::Subcommand;

use super::Exit;
use crate::config::{self, ConfigFlags, reference_page};
use crate::shell::render::text_table;

/// What to show.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print every setting with its value and where it was said
    Show,
    /// Print the reference of all keys as a Markdown page
    #[command(hide = true)]
    Reference,
}

/// Prints what was asked for.
///
/// # Errors
/// Those of a configuration that cannot be read.
pub(super) fn run(flags: &ConfigFlags, command: &ConfigCommand) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Reference => print!("{}", reference_page(&meesh_connector_registry::factories())),
        ConfigCommand::Show => show(flags)?,
    }
    Ok(Exit::Done.into())
}

fn show(flags: &ConfigFlags) -> anyhow::Result<()> {
    let config = config::load(flags)?;
    match &config.folder {
        Some(folder) => println!("configuration folder {}", folder.display()),
        None => println!("no configuration folder (--etc DIR)"),
    }
    let rows: Vec<[String; 3]> =
        config.effective().into_iter().map(|(name, text, origin)| [name.to_owned(), text, origin]).collect();
    print!("{}", text_table(["setting", "value", "said by"], &rows));
    let catalogs: Vec<[String; 3]> = config
        .catalogs
        .read()?
        .into_iter()
        .map(|(name, spec)| match spec {
            Ok(spec) => [name, spec.connector().to_owned(), spec.origin],
            Err(error) => [name, "(broken)".to_owned(), error.to_string()],
        })
        .collect();
    print!("{}", text_table(["catalog", "connector", "said by"], &catalogs));
    for warning in &config.warnings {
        println!("warning: {warning}");
    }
    Ok(())
}
