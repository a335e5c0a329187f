//! What happened, for whoever asks: publish, subscribe, a ring of the last ones.

use std::collections::BTreeMap;

/// The stream of events of one engine.
pub struct Events {}

impl Events {
    /// No event yet.
    pub fn new() -> Self {
        Self {}
    }

    /// Tells all subscribers and the ring. `kind` is `container`, `image`, `volume`, `network`, …; `id` is the
    /// object's, `attributes` go with the actor.
    pub fn publish(&self, kind: &str, action: &str, id: &str, attributes: BTreeMap<String, String>) {
        let _ = (kind, action, id, attributes);
    }
}
