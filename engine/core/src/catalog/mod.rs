//! The catalogs of the server, and how a statement's names are found in them.

mod builtin;
mod like;
mod listing;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use meesh_base::{Error, Result, nearest};
use meesh_connector_spi::Connector;
use parking_lot::RwLock;

pub(crate) use builtin::{SYSTEM_CATALOG, builtin_names, is_builtin};
pub(crate) use like::like;
pub use listing::{MetadataFilter, SchemaEntry, TableEntry};
pub(crate) use listing::{list_schemas, list_tables};
pub(crate) use view::{CatalogView, FullName, Resolver, default_catalog, default_schema};

/// What stands behind a catalog's name.
#[derive(Debug, Clone)]
pub enum CatalogState {
    /// A connector; its source may be up or down.
    Open(Arc<dyn Connector>),
    /// Its configuration could not be read; every use of it reports this error.
    Broken(Error),
}

/// The catalogs by name. Running queries keep the connector they resolved, whatever happens here.
#[derive(Debug, Default)]
pub struct Catalogs(RwLock<BTreeMap<String, CatalogState>>);

impl Catalogs {
    /// The names, sorted, `system` included.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.read().keys().cloned().collect();
        names.push(SYSTEM_CATALOG.to_owned());
        names.sort();
        names
    }

    /// Adds a catalog or replaces the one of that name. Names are folded to lower case.
    pub fn put(&self, name: &str, state: CatalogState) {
        self.0.write().insert(name.to_lowercase(), state);
    }

    /// Removes a catalog.
    pub fn remove(&self, name: &str) {
        self.0.write().remove(&name.to_lowercase());
    }

    /// The catalog of that name, without regard to case; `None` also for `system`.
    pub fn get(&self, name: &str) -> Option<CatalogState> {
        self.0.read().get(&name.to_lowercase()).cloned()
    }

    /// The connector of a catalog.
    ///
    /// # Errors
    /// `NotFound` with the nearest names, or the error that keeps the catalog from being opened.
    pub(crate) fn connector(&self, name: &str) -> Result<Arc<dyn Connector>> {
        match self.get(name) {
            Some(CatalogState::Open(connector)) => Ok(connector),
            Some(CatalogState::Broken(error)) => Err(error.in_context(format!("catalog {name:?} could not be opened"))),
            None => {
                let names = self.names();
                let error = Error::not_found(format!("catalog {name:?} does not exist")).with_code("CATALOG_NOT_FOUND");
                Err(with_nearest(error, name, names.iter().map(String::as_str)))
            }
        }
    }

    /// Every connector that is open.
    pub(crate) fn open(&self) -> Vec<(String, Arc<dyn Connector>)> {
        let open = |(name, state): (&String, &CatalogState)| match state {
            CatalogState::Open(connector) => Some((name.clone(), Arc::clone(connector))),
            CatalogState::Broken(_) => None,
        };
        self.0.read().iter().filter_map(open).collect()
    }
}

/// Adds the nearest names as a hint.
pub(crate) fn with_nearest<'a>(error: Error, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Error {
    match nearest(name, candidates).as_slice() {
        [] => error,
        near => {
            let quoted: Vec<String> = near.iter().map(|name| format!("{name:?}")).collect();
            error.with_hint(format!("did you mean {}?", quoted.join(" or ")))
        }
    }
}
