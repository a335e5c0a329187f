//! How an engine is set up. The daemon fills it from flags and `daemon.json`; nothing here reads a file.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use barge_api::containers::{LogConfig, Ulimit};
use ipnet::Ipv4Net;

/// Everything an [`Engine`](crate::Engine) is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where containers, images, volumes and networks live.
    pub data_root: PathBuf,
    /// Where sockets and bundles of running containers live; a tmpfs, emptied by a reboot.
    pub exec_root: PathBuf,
    /// The program that is run as a container's shim, as `EXE shim BUNDLE`.
    pub exe: PathBuf,
    /// The cgroup containers are made under where the container does not say another.
    pub cgroup_parent: String,
    /// Limits a container gets unless it sets its own.
    pub default_ulimits: BTreeMap<String, Ulimit>,
    /// The log driver and options of containers that name none.
    pub log: LogConfig,
    /// Name servers of containers that name none; empty takes the host's.
    pub dns: Vec<String>,
    pub dns_options: Vec<String>,
    pub dns_search: Vec<String>,
    /// `private` or `host`; `None` decides by the host's cgroup version.
    pub default_cgroupns_mode: Option<String>,
    /// `private` or `shareable`.
    pub default_ipc_mode: String,
    /// Bytes of `/dev/shm`.
    pub default_shm_size: i64,
    /// Run an init in containers that do not say.
    pub init: bool,
    /// A program to use as that init; `None` takes [`Config::exe`], which answers to the name `docker-init`.
    pub init_path: Option<PathBuf>,
    /// Set no-new-privileges in containers that do not say.
    pub no_new_privileges: bool,
    /// The seccomp profile's text in place of the built-in one, or `unconfined`.
    pub seccomp_profile: Option<String>,
    /// The default bridge's own address and subnet.
    pub bip: Option<Ipv4Net>,
    /// The part of the default bridge's subnet that addresses are given from.
    pub fixed_cidr: Option<Ipv4Net>,
    /// Where subnets are taken from.
    pub address_pools: Vec<AddressPool>,
    /// MTU of the default bridge; `None` takes 1500.
    pub mtu: Option<u32>,
    /// Containers on the default bridge may talk to each other.
    pub icc: bool,
    /// Where ports are published if no address is given.
    pub default_binding: IpAddr,
    pub ip_masquerade: bool,
    /// Do not make the default bridge.
    pub no_default_bridge: bool,
    /// `HOST[:PORT]` or CIDR of registries that may be plain http or have an unknown certificate.
    pub insecure_registries: Vec<String>,
    /// Mirrors, tried in order: `URL` for Docker Hub, `DOMAIN=URL` for any registry.
    pub registry_mirrors: Vec<String>,
    pub max_concurrent_downloads: usize,
    pub max_concurrent_uploads: usize,
    /// `KEY=VALUE` labels of this engine, shown by `info`.
    pub labels: Vec<String>,
    pub experimental: bool,
    pub debug: bool,
}

/// A range that networks without a subnet of their own are cut from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPool {
    pub base: Ipv4Net,
    /// Prefix length of each network.
    pub size: u8,
}

impl Config {
    /// Docker's defaults for these roots, with `exe` as the shim.
    pub fn new(
        data_root: impl Into<PathBuf>,
        exec_root: impl Into<PathBuf>,
        exe: impl Into<PathBuf>,
    ) -> Self {
        Self {
            data_root: data_root.into(),
            exec_root: exec_root.into(),
            exe: exe.into(),
            cgroup_parent: "/docker".to_owned(),
            default_ulimits: BTreeMap::new(),
            log: LogConfig { driver: "json-file".to_owned(), config: BTreeMap::new() },
            dns: Vec::new(),
            dns_options: Vec::new(),
            dns_search: Vec::new(),
            default_cgroupns_mode: None,
            default_ipc_mode: "private".to_owned(),
            default_shm_size: 64 << 20,
            init: false,
            init_path: None,
            no_new_privileges: false,
            seccomp_profile: None,
            bip: None,
            fixed_cidr: None,
            address_pools: Vec::new(),
            mtu: None,
            icc: true,
            default_binding: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            ip_masquerade: true,
            no_default_bridge: false,
            insecure_registries: Vec::new(),
            registry_mirrors: Vec::new(),
            max_concurrent_downloads: 3,
            max_concurrent_uploads: 5,
            labels: Vec::new(),
            experimental: false,
            debug: false,
        }
    }

    /// `DATA_ROOT/containers`, one directory per container.
    pub fn containers_dir(&self) -> PathBuf {
        self.data_root.join("containers")
    }

    /// The bundle of a running container.
    pub fn bundle(&self, id: &str) -> PathBuf {
        self.exec_root.join("containers").join(id)
    }

    /// The program mounted as `/sbin/docker-init`.
    pub fn init_program(&self) -> &Path {
        self.init_path.as_deref().unwrap_or(&self.exe)
    }
}
