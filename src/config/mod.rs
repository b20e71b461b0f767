//! Configuration: everything that the process is told, from files, the environment and flags.
//!
//! ```text
//! etc/config.properties, node.properties, …  \
//! etc/meesh.yaml                              > ConfigValues (name -> text, place) -> Settings
//! MEESH_… variables, flags                   /
//! etc/catalog/*.properties, meesh.yaml, --catalog -> CatalogSources -> CatalogSpec -> Connector
//! ```
//!
//! The environment is read here and in the shell only, never in a crate below.

mod catalog_spec;
mod catalogs;
mod etc_dir;
mod flags;
mod keys;
mod properties;
mod reference;
mod references;
mod reload;
mod server;
mod settings;
mod trino_keys;
mod yaml;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use meesh_base::{ConfigValues, Error, Result, Secret};

pub(crate) use catalog_spec::{CatalogSpec, Factories};
pub(crate) use catalogs::CatalogSources;
pub(crate) use flags::ConfigFlags;
pub(crate) use reference::reference_page;
pub(crate) use reload::{CatalogWatch, ReloadStatus};
pub(crate) use settings::Settings;

use references::References;

/// The whole configuration as it holds at start.
#[derive(Debug)]
pub(crate) struct Config {
    /// The configuration folder, if there is one.
    pub(crate) folder: Option<PathBuf>,
    /// The server's settings.
    pub(crate) settings: Settings,
    /// The same as text, with where each was said.
    pub(crate) values: ConfigValues,
    /// Where catalogs are read from.
    pub(crate) catalogs: CatalogSources,
    /// What has no effect, and what happens instead.
    pub(crate) warnings: Vec<String>,
    /// The level that `log.properties` asks for.
    pub(crate) log_level: Option<String>,
}

/// Reads the configuration of this process.
///
/// # Errors
/// `InvalidQuery`, `NotFound` or `Unsupported` with file and line for whatever is wrong with it,
/// except what is wrong with a single catalog: [`CatalogSources::read`] says that.
pub(crate) fn load(flags: &ConfigFlags) -> Result<Config> {
    let folder = etc_dir::find(flags.etc.as_deref())?;
    let references = References::of_process(folder.clone());
    load_with(folder, flags, references)
}

fn load_with(folder: Option<PathBuf>, flags: &ConfigFlags, references: References) -> Result<Config> {
    let server = server::read(folder.as_deref(), flags, &references)?;
    let settings = Settings::new(&server.values, &references)?;
    let mut warnings = server.warnings;
    if let Some(rules) = server.access_rules {
        warnings.push(unapplied_rules(&rules, settings.insecure)?);
    }
    let disabled = server.values.text(&keys::CATALOGS_DISABLED).unwrap_or_default();
    let catalogs = CatalogSources {
        folder: match server.values.text(&keys::CATALOGS_DIR) {
            Some(dir) => Some(references.path(Path::new(dir.trim()))),
            None => folder.as_ref().map(|folder| folder.join("catalog")),
        },
        yaml: folder.as_ref().map(|folder| folder.join("meesh.yaml")),
        flags: flags.catalogs.iter().map(Secret::new).collect(),
        disabled: disabled.split(',').map(|name| name.trim().to_owned()).collect(),
        references,
    };
    Ok(Config { folder, settings, values: server.values, catalogs, warnings, log_level: server.log_level })
}

/// Rules that are not applied would open what somebody closed.
fn unapplied_rules(file: &str, insecure: bool) -> Result<String> {
    if insecure {
        return Ok(format!("INSECURE: rules of access in {file} are not applied: who logs in can read every catalog"));
    }
    Err(Error::unsupported(format!("rules of access in {file:?} are not supported yet"))
        .with_hint("remove the file, or say insecure: true to let everybody who logs in read every catalog"))
}

impl Config {
    /// Every setting that has a value: name, text (`***` for secrets) and where it was said.
    pub(crate) fn effective(&self) -> Vec<(&'static str, String, String)> {
        let own = keys::SERVER.iter();
        let of_trino = keys::TRINO_HONOURED.iter().filter(|key| self.values.is_set(key));
        own.chain(of_trino)
            .filter_map(|key| {
                let text = self.values.text(key)?;
                let text = if key.secret { "***" } else { text };
                let origin = self.values.origin(key).unwrap_or("default");
                Some((key.name, text.to_owned(), origin.to_owned()))
            })
            .collect()
    }
}
