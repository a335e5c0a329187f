//! What containers join: the default bridge, host and none, and the endpoints of running containers.
//!
//! `containers/start.rs` calls [`Networks::build`] on a blocking thread beside the shim's start, and
//! [`Networks::tear_down`] when the container has ended or its start failed. What `build` made is kept in the
//! container's document as [`Attachment`]s, so that a later daemon can take it over ([`Networks::restore`]).

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use barge_api::networks::EndpointSettings;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::Result;

/// All networks of one engine.
pub struct Networks {}

/// What a container that starts wants of the network. `host` and `container:X` never get here; `none` comes with
/// no endpoints.
#[derive(Clone, Debug)]
pub struct SandboxRequest {
    /// The container's ID, 64 hex digits.
    pub container: String,
    /// The container's name, without a slash.
    pub name: String,
    /// Network name or ID (`bridge` is the default one) to what is wanted there.
    pub endpoints: BTreeMap<String, EndpointSettings>,
    pub ports: Vec<PortRequest>,
}

/// One port to publish, as validated by `containers/spec/ports.rs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRequest {
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// `None` takes the network's default binding.
    pub host_ip: Option<std::net::IpAddr>,
    /// First and last host port to choose from; `None` is any free one.
    pub host_ports: Option<(u16, u16)>,
}

/// A network namespace with all its endpoints.
#[derive(Debug)]
pub struct Sandbox {
    pub netns: OwnedFd,
    /// Bound sockets that keep the published ports from others: the shim holds them as long as the container runs.
    pub held: Vec<OwnedFd>,
    pub attachments: Vec<Attachment>,
}

/// One endpoint of a running container; lives in its `container.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attachment {
    /// The name the container knows the network by, the key in `NetworkSettings.Networks`.
    pub network: String,
    /// All of it as `inspect` shows it: IDs, gateway, address, prefix length, MAC address, aliases, DNS names.
    pub settings: EndpointSettings,
    /// Published ports of this endpoint, `PORT/PROTO` to where they are bound.
    pub ports: barge_api::containers::PortMap,
}

impl Networks {
    /// Reads `DATA_ROOT/networks` and brings the default bridge up (or defers that to the first `build`).
    pub fn open(config: &Config) -> Result<Self> {
        let _ = config;
        Ok(Self {})
    }

    /// Checks at create time that a network exists; the 404 text is `network NAME not found`.
    pub fn check(&self, name: &str) -> Result<()> {
        let _ = name;
        Ok(())
    }

    /// Makes namespace, endpoints and published ports, and tells `connect` events. Blocks. On failure it has
    /// removed what it made.
    pub fn build(&self, engine: &crate::Engine, request: &SandboxRequest) -> Result<Sandbox> {
        let _ = (engine, request);
        Err(crate::Error::not_implemented("networks"))
    }

    /// Takes the endpoints of a container that has ended down again, with `disconnect` events. Blocks; parts that
    /// are gone already are no error.
    pub fn tear_down(&self, engine: &crate::Engine, container: &str, attachments: &[Attachment]) -> Result<()> {
        let _ = (engine, container, attachments);
        Ok(())
    }

    /// After a restart of the daemon: the endpoints of containers that still run are taken over (addresses
    /// reserved, rules and veths put back where missing), all others of ours are removed. Blocks.
    pub fn restore(&self, running: &[(String, Vec<Attachment>)]) -> Result<()> {
        let _ = running;
        Ok(())
    }
}
