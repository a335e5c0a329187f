//! The files a container finds as /etc/hosts, /etc/hostname and /etc/resolv.conf. They are bound into it from its
//! directory, so that it can change them and the next start writes them anew.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use barge_network::hosts::{self, Hosts};
use barge_network::resolv::{self, Overrides, Resolv};

use super::document::Document;
use super::spec::mount_table::EtcFile;
use super::spec::oci::shares_network;
use crate::config::Config;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::networks::Attachment;

/// Where the three files of a container are.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths {
    pub(super) hosts: PathBuf,
    pub(super) hostname: PathBuf,
    pub(super) resolv_conf: PathBuf,
}

impl Paths {
    /// The container's own files; those of another container if it uses that one's network.
    pub(super) fn of(engine: &Engine, document: &Document) -> Self {
        let other = document.host_config.network_mode.strip_prefix("container:");
        let owner = other.and_then(|wanted| engine.containers.index.find(wanted).ok());
        let dir = engine.config.containers_dir().join(owner.as_ref().map_or(&document.id, |owner| &owner.id));
        Self {
            hosts: dir.join("hosts"),
            hostname: dir.join("hostname"),
            resolv_conf: dir.join("resolv.conf"),
        }
    }

    /// The mounts that bring them into the container.
    pub(super) fn mounts(&self) -> [EtcFile<'static>; 3] {
        let file =
            |destination, path: &Path| EtcFile { destination, source: path.to_string_lossy().into_owned() };
        [
            file("/etc/resolv.conf", &self.resolv_conf),
            file("/etc/hostname", &self.hostname),
            file("/etc/hosts", &self.hosts),
        ]
    }
}

/// Writes what is known before the network is.
pub(super) fn write_early(engine: &Engine, document: &Document) -> Result<()> {
    if document.host_config.network_mode.starts_with("container:") {
        return Ok(());
    }
    let paths = Paths::of(engine, document);
    write(&paths.hostname, &format!("{}\n", document.config.hostname))?;
    write(&paths.resolv_conf, &resolv_conf(&engine.config, document)?)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(Error::failed(format!("writing {}", path.display())))
}

fn resolv_conf(config: &Config, document: &Document) -> Result<String> {
    let host_config = &document.host_config;
    let chosen = |own: &[String], default: &[String]| if own.is_empty() { default } else { own }.to_vec();
    let nameservers = chosen(&host_config.dns, &config.dns)
        .iter()
        .map(|text| text.parse().map_err(|_| Error::invalid(format!("bad nameserver address: {text}"))))
        .collect::<Result<Vec<IpAddr>>>()?;
    let overrides = Overrides {
        nameservers,
        search: chosen(&host_config.dns_search, &config.dns_search),
        options: chosen(&host_config.dns_options, &config.dns_options),
    };
    let read = |path| Resolv::parse(&std::fs::read_to_string(path).unwrap_or_default());
    let mut host = read(resolv::HOST_FILE);
    if host_config.network_mode == "host" {
        if overrides == Overrides::default() {
            return Ok(std::fs::read_to_string(resolv::HOST_FILE).unwrap_or_default());
        }
    } else if host.is_resolved_stub() {
        host = read(resolv::RESOLVED_FILE);
    }
    Ok(host.for_container(&overrides).render())
}

/// Writes the hosts file, which names the container's own addresses.
pub(super) fn write_hosts(engine: &Engine, document: &Document, attachments: &[Attachment]) -> Result<()> {
    let host_config = &document.host_config;
    if host_config.network_mode.starts_with("container:") {
        return Ok(());
    }
    let path = engine.config.containers_dir().join(&document.id).join("hosts");
    let address = |text: &str| text.parse::<IpAddr>().ok();
    let gateway = attachments.iter().find_map(|attachment| address(&attachment.settings.gateway));
    let extra = host_config
        .extra_hosts
        .iter()
        .map(|text| hosts::parse_extra_host(text, gateway).map_err(|error| Error::invalid(error.to_string())))
        .collect::<Result<Vec<_>>>()?;
    if shares_network(&host_config.network_mode) {
        let mut text = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
        for (address, name) in &extra {
            text.push_str(&format!("{address}\t{name}\n"));
        }
        return write(&path, &text);
    }
    let hosts = Hosts {
        extra,
        own: attachments.iter().filter_map(|attachment| address(&attachment.settings.ip_address)).collect(),
        hostname: document.config.hostname.clone(),
        domain: Some(document.config.domainname.clone()).filter(|domain| !domain.is_empty()),
    };
    write(&path, &hosts.render())
}
