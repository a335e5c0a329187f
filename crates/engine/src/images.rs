//! Names on top of the store and the registry: pull, push, list, inspect, remove, save, load, import.

/// The images of one engine: verbs only, the state is the store's.
pub struct Images {}

impl Images {
    /// Nothing is read: the store was opened before.
    pub fn new() -> Self {
        Self {}
    }
}
