//! The object stores that plans may read: those that a connector registered, and nothing else.
//!
//! DataFusion's own registry begins with the local file system in it, which would let a statement
//! read any file of the server.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use parking_lot::RwLock;
use url::Url;

/// Stores by scheme and authority.
#[derive(Debug, Default)]
pub(crate) struct SourceStores(RwLock<HashMap<String, Arc<dyn ObjectStore>>>);

fn key(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.authority())
}

impl ObjectStoreRegistry for SourceStores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.0.write().insert(key(url), store)
    }

    fn deregister_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        self.0.write().remove(&key(url)).ok_or_else(|| unknown(url))
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        self.0.read().get(&key(url)).cloned().ok_or_else(|| unknown(url))
    }
}

fn unknown(url: &Url) -> DataFusionError {
    meesh_connector_spi::into_datafusion(meesh_base::Error::unsupported(format!(
        "no catalog gives access to {}",
        key(url)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_reachable_until_a_connector_registers_it() {
        let stores = SourceStores::default();
        let file = Url::parse("file:///etc/passwd").unwrap();
        assert!(stores.get_store(&file).is_err());
    }
}
