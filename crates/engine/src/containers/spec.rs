//! From a request to an OCI specification, by pure steps.
//!
//! ```text
//! CreateRequest ─ check ─▶ merge (image) ─▶ adapt (defaults) ─▶ Document        at create
//! Document + namespaces shared, files, host ─────────────────▶ runtime_spec     at start (oci.rs)
//! ```
//!
//! Nothing here makes or changes anything. The host is only looked at: `host.rs` reads its facts once, `devices.rs`
//! looks up device numbers.

pub(crate) mod capabilities;
pub(crate) mod check;
pub(crate) mod devices;
pub(crate) mod host;
pub(crate) mod log;
pub(crate) mod merge;
pub(crate) mod mount_points;
pub(crate) mod mount_table;
pub(crate) mod oci;
pub(crate) mod paths;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod resources;
pub(crate) mod seccomp;
pub(crate) mod security;
pub(crate) mod signals;

use barge_api::containers::{ContainerConfig, CreateRequest, HostConfig};
use barge_oci::image_config::ContainerDefaults;

use self::host::Host;
use crate::config::Config;
use crate::error::Result;

/// A request found good, with nothing left open.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) config: ContainerConfig,
    pub(crate) host_config: HostConfig,
    pub(crate) warnings: Vec<String>,
}

/// Checks a request, fills it from the image and with Docker's defaults.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn resolve(
    request: CreateRequest,
    image: &ContainerDefaults,
    defaults: &Config,
    host: &Host,
) -> Result<Checked> {
    let mut config = request.config;
    let mut host_config = request.host_config.unwrap_or_default();
    check::config(&mut config)?;
    let warnings = check::host_config(&mut host_config, host)?;
    check::together(&config, &host_config)?;
    ports::expose(&mut config, &host_config.port_bindings)?;
    merge::apply(&mut config, image)?;
    if !image.working_dir.is_empty() {
        config.working_dir = paths::clean(&config.working_dir);
    }
    check::adapt(&mut host_config, defaults, host);
    Ok(Checked { config, host_config, warnings })
}
