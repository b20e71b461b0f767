//! Keeps the engine's catalogs as their files say, without a restart.
//!
//! Every two seconds, and at once on SIGHUP, all sources are read again and compared by content:
//! modification times do not tell when Kubernetes swaps the links of a mounted folder or when a
//! secret changes that a file refers to. A catalog that cannot be opened keeps its old state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use meesh_base::{Error, Result};
use meesh_engine::{CatalogState, Engine};
use parking_lot::Mutex;

use super::{CatalogSources, CatalogSpec, Factories};

const EVERY: Duration = Duration::from_secs(2);

/// What reading the sources again failed with, for the admin port.
#[derive(Debug, Default)]
pub(crate) struct ReloadStatus {
    errors: Mutex<BTreeMap<String, String>>,
}

impl ReloadStatus {
    /// The present errors: by catalog, or under an empty name for what concerns all of them.
    pub(crate) fn errors(&self) -> BTreeMap<String, String> {
        self.errors.lock().clone()
    }

    /// Notes an error; whether it is another than before.
    fn set(&self, name: &str, error: &Error) -> bool {
        let text = error.to_string();
        self.errors.lock().insert(name.to_owned(), text.clone()) != Some(text)
    }

    fn clear(&self, name: &str) -> bool {
        self.errors.lock().remove(name).is_some()
    }
}

/// The catalogs as they were last read.
pub(crate) struct CatalogWatch {
    engine: Engine,
    sources: CatalogSources,
    factories: Factories,
    /// What is open, by name; `None` for a catalog that never could be opened.
    known: BTreeMap<String, Option<u64>>,
    status: Arc<ReloadStatus>,
}

impl CatalogWatch {
    /// Opens every catalog in `engine`. A source that is down does not matter yet.
    ///
    /// # Errors
    /// That of the first catalog whose configuration is wrong; all of them are logged. A connector
    /// of Trino's that meesh does not have is no error: queries that ask for it are told.
    pub(crate) fn open(engine: Engine, sources: CatalogSources, factories: Factories) -> Result<Self> {
        let status = Arc::new(ReloadStatus::default());
        let mut watch = Self { engine, sources, factories, known: BTreeMap::new(), status };
        let mut errors = Vec::new();
        for (name, spec) in watch.sources.read()? {
            let is_foreign = spec.as_ref().is_ok_and(|spec| spec.is_foreign(&watch.factories));
            match spec.and_then(|spec| watch.put(&name, &spec)) {
                Ok(()) => {}
                Err(error) if is_foreign => {
                    tracing::warn!(catalog = name, "{error}");
                    watch.break_catalog(&name, error);
                }
                Err(error) => errors.push(error),
            }
        }
        for error in errors.iter().skip(1) {
            tracing::error!("{error}");
        }
        match errors.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(watch),
        }
    }

    /// The errors of later readings.
    pub(crate) fn status(&self) -> Arc<ReloadStatus> {
        Arc::clone(&self.status)
    }

    /// Reads the sources again and again until the returned task is dropped or aborted.
    pub(crate) fn run(mut self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move {
            let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok();
            loop {
                let asked = tokio::select! {
                    () = tokio::time::sleep(EVERY) => false,
                    () = next_signal(hangup.as_mut()) => true,
                };
                // Files may lie on a slow mount: reading them must not hold up a worker thread.
                let read = tokio::task::spawn_blocking(move || {
                    self.read_again();
                    self
                });
                self = match read.await {
                    Ok(watch) => watch,
                    Err(error) => {
                        tracing::error!("catalogs are no longer reloaded: {error}");
                        return;
                    }
                };
                if asked {
                    tracing::info!("catalogs were read again on SIGHUP");
                    self.refresh().await;
                }
            }
        })
    }

    /// Forgets what open catalogs have cached, so that a person who asked sees what is there now.
    async fn refresh(&self) {
        for name in self.known.keys() {
            if let Some(CatalogState::Open(connector)) = self.engine.catalogs().get(name)
                && let Err(error) = connector.refresh(None, None).await
            {
                tracing::warn!(catalog = name, "cannot refresh: {error}");
            }
        }
    }

    fn read_again(&mut self) {
        let found = match self.sources.read() {
            Ok(found) => found,
            Err(error) => {
                if self.status.set("", &error) {
                    tracing::error!("catalogs stay as they are: {error}");
                }
                return;
            }
        };
        self.status.clear("");
        let gone: BTreeSet<String> = self.known.keys().filter(|name| !found.contains_key(*name)).cloned().collect();
        for name in gone {
            self.engine.catalogs().remove(&name);
            self.known.remove(&name);
            self.status.clear(&name);
            tracing::info!(catalog = name, "catalog removed");
        }
        for (name, spec) in found {
            self.apply(&name, spec);
        }
    }

    fn apply(&mut self, name: &str, spec: Result<CatalogSpec>) {
        let before = self.known.get(name).copied().flatten();
        if let Ok(spec) = &spec
            && before == Some(spec.digest(&self.factories))
        {
            if self.status.clear(name) {
                tracing::info!(catalog = name, "catalog configuration is as it was");
            }
            return;
        }
        match spec.and_then(|spec| self.put(name, &spec)) {
            Ok(()) => {
                self.status.clear(name);
                let what = if before.is_some() { "changed" } else { "added" };
                metrics::counter!("meesh_catalog_reloads_total", "result" => "ok").increment(1);
                tracing::info!(catalog = name, "catalog {what}");
            }
            Err(error) => {
                let is_new = self.status.set(name, &error);
                if is_new {
                    metrics::counter!("meesh_catalog_reloads_total", "result" => "failed").increment(1);
                    let outcome = if before.is_some() { "stays as it was" } else { "cannot be opened" };
                    tracing::error!(catalog = name, "catalog {outcome}: {error}");
                }
                if before.is_none() && is_new {
                    self.break_catalog(name, error);
                }
            }
        }
    }

    fn put(&mut self, name: &str, spec: &CatalogSpec) -> Result<()> {
        let (connector, warnings) = spec.open(name, &self.factories)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        self.engine.catalogs().put(name, CatalogState::Open(connector));
        self.known.insert(name.to_owned(), Some(spec.digest(&self.factories)));
        Ok(())
    }

    fn break_catalog(&mut self, name: &str, error: Error) {
        self.status.set(name, &error);
        self.engine.catalogs().put(name, CatalogState::Broken(error));
        self.known.insert(name.to_owned(), None);
    }
}

/// The next SIGHUP; never, where the handler could not be set.
async fn next_signal(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use meesh_engine::EngineConfig;

    use super::*;

    /// Opens without a server, as every catalog does.
    const SALES: &str =
        "connector.name=postgresql\nconnection-url=jdbc:postgresql://127.0.0.1:1/sales\nconnection-user=u\n";

    #[test]
    fn a_credential_file_that_changes_opens_its_catalog_again() {
        let folder = Folder::new("credentials");
        folder.write("who", "connection-user=ann\nconnection-password=one\n");
        let file = folder.0.join("who");
        folder.write(
            "sales.properties",
            &format!("{}credential-provider.type=FILE\nconnection-credential-file={}\n", SALES, file.display()),
        );
        let mut watch = folder.watch().unwrap();
        let before = watch.known.clone();
        watch.read_again();
        assert_eq!(watch.known, before);
        folder.write("who", "connection-user=ann\nconnection-password=two\n");
        watch.read_again();
        assert_ne!(watch.known, before);
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("meesh-reload-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn write(&self, file: &str, text: &str) {
            std::fs::write(self.0.join(file), text).unwrap();
        }

        fn watch(&self) -> Result<CatalogWatch> {
            let sources = CatalogSources { folder: Some(self.0.clone()), ..CatalogSources::default() };
            let engine = Engine::new(EngineConfig::default())?;
            CatalogWatch::open(engine, sources, meesh_connector_registry::factories())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn is_open(watch: &CatalogWatch, name: &str) -> bool {
        matches!(watch.engine.catalogs().get(name), Some(CatalogState::Open(_)))
    }

    #[test]
    fn a_broken_file_keeps_the_old_catalog_and_says_so() {
        let folder = Folder::new("broken");
        folder.write("a.properties", SALES);
        let mut watch = folder.watch().unwrap();
        folder.write("a.properties", &format!("{SALES}not.a.key=1\n"));
        watch.read_again();
        assert!(is_open(&watch, "a"));
        assert!(watch.status().errors()["a"].contains("not.a.key"));
        folder.write("a.properties", SALES);
        watch.read_again();
        assert!(is_open(&watch, "a") && watch.status().errors().is_empty());
    }

    #[test]
    fn catalogs_come_and_go() {
        let folder = Folder::new("come");
        folder.write("a.properties", SALES);
        let mut watch = folder.watch().unwrap();
        folder.write("b.properties", SALES);
        folder.write("c.properties", "connector.name=postgre\n");
        std::fs::remove_file(folder.0.join("a.properties")).unwrap();
        watch.read_again();
        assert!(!is_open(&watch, "a") && is_open(&watch, "b"));
        assert!(matches!(watch.engine.catalogs().get("c"), Some(CatalogState::Broken(_))));
        std::fs::remove_file(folder.0.join("c.properties")).unwrap();
        watch.read_again();
        assert!(watch.engine.catalogs().get("c").is_none() && watch.status().errors().is_empty());
    }

    #[test]
    fn a_wrong_file_stops_the_start_and_a_foreign_connector_does_not() {
        let folder = Folder::new("start");
        folder.write("jmx.properties", "connector.name=jmx\n");
        assert!(matches!(folder.watch().unwrap().engine.catalogs().get("jmx"), Some(CatalogState::Broken(_))));
        folder.write("a.properties", "connector.name=postgre\n");
        assert!(folder.watch().is_err_and(|error| error.to_string().contains("did you mean \"postgres")));
    }
}
