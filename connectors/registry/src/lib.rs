//! The list of connectors. A new one is a folder beside this one and a line here.

use meesh_connector_spi::ConnectorFactory;

/// Every connector of this build.
pub fn factories() -> Vec<Box<dyn ConnectorFactory>> {
    vec![
        Box::new(meesh_connector_postgres::PostgresFactory),
        Box::new(meesh_connector_lake::LakeFactory),
        Box::new(meesh_connector_memory::MemoryFactory),
    ]
}
