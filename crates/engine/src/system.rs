//! What the engine knows of itself and its host: version, info, disk usage.

/// System-wide questions: verbs only.
pub struct System {}

impl System {
    /// Nothing is read yet.
    pub fn new() -> Self {
        Self {}
    }
}
