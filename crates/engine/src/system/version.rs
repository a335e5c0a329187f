//! `GET /version`.

use std::collections::BTreeMap;

use barge_api::system::{ComponentVersion, Version, VersionPlatform};
use barge_api::versions::{MAX, MIN};

use super::{COMPATIBLE, PRODUCT, System, host};
use crate::engine::Engine;

/// Barge's own version.
pub(super) const OWN: &str = env!("CARGO_PKG_VERSION");

impl System {
    /// Which engine this is, and for which it may be taken.
    pub fn version(&self, engine: &Engine) -> Version {
        let version = Version {
            platform: VersionPlatform { name: PRODUCT.to_owned() },
            version: COMPATIBLE.to_owned(),
            api_version: MAX.to_string(),
            min_api_version: MIN.to_string(),
            git_commit: option_env!("BARGE_COMMIT").unwrap_or("unknown").to_owned(),
            // What it would be compiled with, were it Docker: clients print it.
            go_version: "none (Rust)".to_owned(),
            os: "linux".to_owned(),
            arch: host::go_architecture().to_owned(),
            kernel_version: host::kernel(),
            experimental: engine.config.experimental,
            build_time: option_env!("BARGE_BUILD_TIME").unwrap_or_default().to_owned(),
            components: Vec::new(),
        };
        Version { components: components(&version), ..version }
    }
}

fn components(version: &Version) -> Vec<ComponentVersion> {
    let details = [
        ("ApiVersion", version.api_version.clone()),
        ("Arch", version.arch.clone()),
        ("BuildTime", version.build_time.clone()),
        ("Experimental", version.experimental.to_string()),
        ("GitCommit", version.git_commit.clone()),
        ("GoVersion", version.go_version.clone()),
        ("KernelVersion", version.kernel_version.clone()),
        ("MinAPIVersion", version.min_api_version.clone()),
        ("Os", version.os.clone()),
    ];
    let component = |name: &str, version: &str, details: BTreeMap<String, String>| ComponentVersion {
        name: name.to_owned(),
        version: version.to_owned(),
        details,
    };
    let details = details.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let commit = BTreeMap::from([("GitCommit".to_owned(), version.git_commit.clone())]);
    vec![component("Engine", COMPATIBLE, details), component("Barge", OWN, commit)]
}
