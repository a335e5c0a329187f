//! The invariants of ARCHITECTURE.md that no compiler lint can hold.
//!
//! Each rule reads the sources and returns what breaks it; all breaches are shown at once.

mod edges;
mod files;

use anyhow::{Result, bail};

/// Checks every rule.
pub(crate) fn check() -> Result<()> {
    let root = crate::ci::root();
    let mut breaches = edges::check(root)?;
    breaches.extend(files::check(root)?);
    for breach in &breaches {
        crate::ci::say(breach);
    }
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("tidy: {} breach(es)", breaches.len())
}
