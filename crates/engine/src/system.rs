//! What the engine knows of itself and its host: version, info, disk usage.
//!
//! The names it gives itself are those clients match on. The storage driver is called `overlay2`, because that is
//! what it is: an overlay mount over unpacked layer directories, with `GraphDriver.Data` as overlay2's readers expect
//! it. Naming it by containerd's snapshotters (`overlayfs`) would make clients look for a containerd.

mod disk_usage;
mod host;
mod info;
mod version;

use std::path::Path;
use std::sync::OnceLock;

use crate::error::{Error, Result};

pub use disk_usage::Objects;
pub use host::cgroup_is_unified;

/// The Docker release this engine passes for where a release is asked: the one whose newest API version is ours.
/// Clients compare it with the releases that brought a feature.
pub const COMPATIBLE: &str = "29.1.3";

/// What `version` and `info` call the product.
pub const PRODUCT: &str = "Barge Engine";

/// The storage driver's name.
pub const DRIVER: &str = "overlay2";

/// System-wide questions: verbs, and the engine's ID once somebody asked for it.
pub struct System {
    id: OnceLock<String>,
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl System {
    /// Nothing is read yet.
    pub fn new() -> Self {
        Self { id: OnceLock::new() }
    }

    /// The engine's own ID, made once per data root and kept in `DATA_ROOT/engine-id`, where dockerd has it too.
    fn id(&self, data_root: &Path) -> Result<String> {
        if let Some(id) = self.id.get() {
            return Ok(id.clone());
        }
        let path = data_root.join("engine-id");
        let id = match std::fs::read_to_string(&path) {
            Ok(id) if !id.trim().is_empty() => id.trim().to_owned(),
            _ => {
                let id = random_uuid()?;
                let temporary = data_root.join("engine-id.tmp");
                let written =
                    std::fs::write(&temporary, &id).and_then(|()| std::fs::rename(&temporary, &path));
                written.map_err(Error::failed("writing the engine's ID"))?;
                id
            }
        };
        Ok(self.id.get_or_init(|| id).clone())
    }
}

fn random_uuid() -> Result<String> {
    let mut bytes: [u8; 16] = ring::rand::generate(&ring::rand::SystemRandom::new())
        .map_err(|_| Error::system("the system has no random numbers"))?
        .expose();
    // Version 4, variant 1, as RFC 9562 section 5.4 has them.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_stays_the_same() {
        let root = std::env::temp_dir().join(format!("barge-system-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let id = System::new().id(&root).unwrap();
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'4'));
        assert_eq!(System::new().id(&root).unwrap(), id);
        std::fs::remove_dir_all(root).unwrap();
    }
}
