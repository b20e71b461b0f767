//! What bounds the engine: memory, spill space, and how many queries run at once.

mod admission;
mod container;
mod memory;
mod spill;
mod stores;

pub(crate) use admission::Admission;
pub use container::container_memory_bytes;
pub(crate) use memory::{ProcessMemory, QueryMemoryPool};
pub(crate) use spill::open_spill;
pub(crate) use stores::SourceStores;
