//! The daemon's configuration: command line and `daemon.json`, read once into what the rest of the crate uses.
//!
//! ```text
//! flags ─┐
//!        ├─ merge ─> one JSON object ─> Settings (typed) ─> Config (checked, defaults filled in)
//! file ──┘
//! ```

mod directives;
mod file;
mod flags;
pub(crate) mod hosts;
mod settings;
mod sizes;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use barge_engine::config::AddressPool;
use serde_json::Value;
use tracing::level_filters::LevelFilter;

use crate::error::{Error, Result};
use hosts::Host;
use settings::{Pool, Settings};

/// Everything the daemon was told.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) engine: barge_engine::Config,
    pub(crate) pidfile: PathBuf,
    pub(crate) hosts: Vec<Host>,
    /// The group that may use the unix socket; a missing one is an error only if it was asked for.
    pub(crate) group: Option<String>,
    pub(crate) tls: Option<Tls>,
    pub(crate) log: Log,
    pub(crate) idle_exit: Option<Duration>,
    /// Only check the configuration.
    pub(crate) validate: bool,
    /// What to tell the log once there is one.
    pub(crate) warnings: Vec<String>,
    /// What the command line said, to read the file again with.
    args: Vec<OsString>,
}

/// TLS of the tcp sockets.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Clients need a certificate of this authority.
    pub(crate) authority: Option<PathBuf>,
}

/// How the daemon logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) level: LevelFilter,
    pub(crate) json: bool,
    pub(crate) colours: bool,
}

/// What the command line asks for.
pub(crate) enum Asked {
    Version,
    Run(Box<Config>),
}

/// Reads the command line (without the program's name) and the configuration file.
pub(crate) fn load(args: Vec<OsString>) -> Result<Asked> {
    let words = std::iter::once(OsString::from("dockerd")).chain(args.iter().cloned()).collect();
    let flags::Parsed::Run(mut flags) = flags::parse(words)? else { return Ok(Asked::Version) };
    let (path, missing) = match flags.remove("config-file") {
        Some(Value::String(path)) => (PathBuf::from(path), file::Missing::Refused),
        _ => (PathBuf::from(file::DEFAULT_PATH), file::Missing::Empty),
    };
    let members = file::read(&path, missing)?;
    let merged =
        file::merge(flags, members).map_err(|reason| Error::Config { path: path.clone(), reason })?;
    let (settings, warnings) = Settings::new(merged)?;
    Ok(Asked::Run(Box::new(Config { args, ..Config::new(settings, warnings)? })))
}

impl Config {
    /// Reads everything again, for what can change while the daemon runs.
    pub(crate) fn reload(&self) -> Result<Log> {
        match load(self.args.clone())? {
            Asked::Run(config) => Ok(config.log),
            Asked::Version => Ok(self.log),
        }
    }

    fn new(settings: Settings, mut warnings: Vec<String>) -> Result<Self> {
        let exec_root = path(settings.exec_root.as_deref(), "BARGE_RUN_DIR", "/run/barge")?;
        let tls = tls(&settings);
        let socket = exec_root.join("barge.sock");
        let mut hosts = Vec::new();
        for text in &settings.hosts {
            hosts.push(hosts::parse(text, &socket, tls.is_some())?);
        }
        if hosts.is_empty() {
            hosts.push(Host::Unix(default_socket(socket)));
        }
        warnings.extend(insecure_hosts(&hosts, tls.as_ref()));
        Ok(Self {
            pidfile: settings.pidfile.as_deref().map_or_else(|| exec_root.join("barge.pid"), PathBuf::from),
            hosts,
            group: settings.group.clone(),
            tls,
            log: log(&settings)?,
            idle_exit: settings.idle_exit.map(Duration::from_secs),
            validate: settings.validate,
            engine: engine(settings, exec_root, &mut warnings)?,
            warnings,
            args: Vec::new(),
        })
    }
}

/// A directory of ours: as configured, else as the environment says, else the default. Made absolute, because it is
/// shown to clients and handed to other processes.
fn path(configured: Option<&str>, variable: &str, default: &str) -> Result<PathBuf> {
    let chosen = match configured {
        Some(path) if !path.is_empty() => PathBuf::from(path),
        _ => std::env::var_os(variable).map_or_else(|| PathBuf::from(default), PathBuf::from),
    };
    std::path::absolute(&chosen).map_err(|source| Error::File { operation: "resolve", path: chosen, source })
}

/// As `dockerd` the daemon listens where Docker's clients look for it.
fn default_socket(socket: PathBuf) -> PathBuf {
    let called = std::env::args_os().next().map(PathBuf::from);
    match called.as_deref().and_then(Path::file_name) {
        Some(name) if name == "dockerd" => PathBuf::from("/var/run/docker.sock"),
        _ => socket,
    }
}

fn tls(settings: &Settings) -> Option<Tls> {
    if !settings.tls && !settings.tlsverify {
        return None;
    }
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    let file = |configured: &Option<String>, name: &str| {
        configured.as_deref().map_or_else(|| home.join(".docker").join(name), PathBuf::from)
    };
    Some(Tls {
        certificate: file(&settings.tlscert, "cert.pem"),
        key: file(&settings.tlskey, "key.pem"),
        authority: settings.tlsverify.then(|| file(&settings.tlscacert, "ca.pem")),
    })
}

/// Whoever reaches the API is root on this host.
fn insecure_hosts(hosts: &[Host], tls: Option<&Tls>) -> Vec<String> {
    if tls.is_some_and(|tls| tls.authority.is_some()) {
        return Vec::new();
    }
    let exposed = hosts.iter().filter_map(|host| match host {
        Host::Tcp { host, port } if host.parse::<IpAddr>().is_ok_and(|address| !address.is_loopback()) => {
            Some(format!("{host}:{port}"))
        }
        _ => None,
    });
    exposed
        .map(|address| {
            format!("the API on tcp://{address} gives root on this host to anyone; use --tlsverify")
        })
        .collect()
}

fn log(settings: &Settings) -> Result<Log> {
    let refuse = |what, text: &str| Error::Settings { reason: format!("invalid {what}: {text}") };
    let level = match settings.log_level.as_deref().unwrap_or("info") {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "info" | "" => LevelFilter::INFO,
        "warn" | "warning" => LevelFilter::WARN,
        "error" | "fatal" | "panic" => LevelFilter::ERROR,
        other => return Err(refuse("logging level", other)),
    };
    let json = match settings.log_format.as_deref().unwrap_or("text") {
        "json" => true,
        "text" | "" => false,
        other => return Err(refuse("log format", other)),
    };
    let level = if settings.debug { level.max(LevelFilter::DEBUG) } else { level };
    Ok(Log { level, json, colours: !settings.raw_logs && std::env::var_os("NO_COLOR").is_none() })
}

fn engine(
    settings: Settings,
    exec_root: PathBuf,
    warnings: &mut Vec<String>,
) -> Result<barge_engine::Config> {
    let data_root = path(settings.data_root.as_deref(), "BARGE_DATA_DIR", "/var/lib/barge")?;
    // The link's own path, not what it points to: after an upgrade new shims are of the new binary.
    let exe = std::env::current_exe().map_err(|source| Error::File {
        operation: "find",
        path: PathBuf::from("/proc/self/exe"),
        source,
    })?;
    let seccomp_profile = seccomp_profile(settings.seccomp_profile.as_deref())?;
    let defaults = barge_engine::Config::new(data_root, exec_root, exe);
    reject_unknown_drivers(&settings, warnings)?;
    let mut log = defaults.log.clone();
    if let Some(driver) = settings.log_driver {
        log.driver = driver;
    }
    log.config = settings.log_opts;
    Ok(barge_engine::Config {
        cgroup_parent: settings.cgroup_parent.unwrap_or(defaults.cgroup_parent),
        default_ulimits: settings.default_ulimits,
        log,
        dns: settings.dns,
        dns_options: settings.dns_opts,
        dns_search: settings.dns_search,
        default_cgroupns_mode: choice(
            "default-cgroupns-mode",
            settings.default_cgroupns_mode,
            &["host", "private"],
        )?,
        default_ipc_mode: choice("default-ipc-mode", settings.default_ipc_mode, &["shareable", "private"])?
            .unwrap_or(defaults.default_ipc_mode),
        default_shm_size: settings.default_shm_size.unwrap_or(defaults.default_shm_size),
        init: settings.init,
        init_path: settings.init_path.map(PathBuf::from),
        no_new_privileges: settings.no_new_privileges,
        seccomp_profile,
        no_default_bridge: settings.bridge.as_deref() == Some("none"),
        bip: settings.bip.map(|text| network("bip", &text)).transpose()?,
        fixed_cidr: settings.fixed_cidr.map(|text| network("fixed-cidr", &text)).transpose()?,
        address_pools: settings.default_address_pools.iter().map(pool).collect::<Result<_>>()?,
        mtu: settings.mtu.filter(|mtu| *mtu != 0),
        icc: settings.icc.unwrap_or(true),
        default_binding: address(settings.ip.as_deref(), defaults.default_binding)?,
        ip_masquerade: settings.ip_masq.unwrap_or(true),
        insecure_registries: settings.insecure_registries,
        registry_mirrors: settings.registry_mirrors,
        max_concurrent_downloads: settings
            .max_concurrent_downloads
            .unwrap_or(defaults.max_concurrent_downloads),
        max_concurrent_uploads: settings.max_concurrent_uploads.unwrap_or(defaults.max_concurrent_uploads),
        labels: settings.labels,
        experimental: settings.experimental,
        debug: settings.debug,
        ..defaults
    })
}

/// Parts that can be chosen in Docker and of which this engine has one.
fn reject_unknown_drivers(settings: &Settings, warnings: &mut Vec<String>) -> Result<()> {
    let refuse = |reason: String| Err(Error::Settings { reason });
    match settings.storage_driver.as_deref() {
        None | Some("" | "overlay2" | "overlay" | "overlayfs") => {}
        Some(other) => warnings.push(format!("storage driver {other} is not there; overlay2 is used")),
    }
    if let Some(bridge) = settings.bridge.as_deref().filter(|bridge| !matches!(*bridge, "" | "none")) {
        warnings.push(format!("bridge {bridge} is left alone: the default bridge is the engine's own"));
    }
    if settings.iptables == Some(false) {
        warnings.push("packet filter rules are written all the same, into a table of our own".to_owned());
    }
    match settings.firewall_backend.as_deref() {
        None | Some("" | "nftables") => {}
        Some("iptables") => {
            warnings.push("firewall backend iptables is not there; nftables is used".to_owned())
        }
        Some(other) => return refuse(format!("invalid firewall-backend \"{other}\"")),
    }
    match settings.default_runtime.as_deref() {
        None | Some("" | "runc" | "barge" | "io.containerd.runc.v2") => Ok(()),
        Some(other) => refuse(format!("specified default runtime '{other}' does not exist")),
    }
}

fn choice(name: &str, chosen: Option<String>, known: &[&str]) -> Result<Option<String>> {
    match chosen {
        Some(word) if word.is_empty() => Ok(None),
        Some(word) if !known.contains(&word.as_str()) => Err(Error::Settings {
            reason: format!("{name} \"{word}\" is invalid: use one of {}", known.join(", ")),
        }),
        other => Ok(other),
    }
}

fn seccomp_profile(configured: Option<&str>) -> Result<Option<String>> {
    match configured {
        None | Some("" | "builtin") => Ok(None),
        Some("unconfined") => Ok(Some("unconfined".to_owned())),
        Some(path) => std::fs::read_to_string(path).map(Some).map_err(|source| Error::File {
            operation: "open seccomp profile",
            path: path.into(),
            source,
        }),
    }
}

fn network(directive: &str, text: &str) -> Result<ipnet::Ipv4Net> {
    text.parse().map_err(|_| Error::Settings { reason: format!("{directive}: invalid CIDR address: {text}") })
}

fn pool(pool: &Pool) -> Result<AddressPool> {
    let base = network("default-address-pools", &pool.base)?;
    if pool.size < base.prefix_len() || pool.size > 32 {
        return Err(Error::Settings { reason: format!("invalid size {} of address pool {base}", pool.size) });
    }
    Ok(AddressPool { base, size: pool.size })
}

fn address(configured: Option<&str>, default: IpAddr) -> Result<IpAddr> {
    match configured {
        None | Some("") => Ok(default),
        Some(text) => text.parse().map_err(|source| Error::Address { text: text.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_words(words: &[&str]) -> Result<Box<Config>> {
        match load(words.iter().map(OsString::from).collect())? {
            Asked::Run(config) => Ok(config),
            Asked::Version => panic!("version asked"),
        }
    }

    #[test]
    fn flags_and_file_are_put_together() {
        let dir = std::env::temp_dir().join(format!("barge-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("daemon.json");
        std::fs::write(&file, r#"{"debug":true,"bip":"10.9.0.1/24","dns":["1.1.1.1"],"ipv6":true}"#).unwrap();
        let file = file.to_str().unwrap();
        let config = load_words(&[
            "--config-file",
            file,
            "--exec-root",
            "/x",
            "-H",
            "tcp://0.0.0.0:1",
            "-H",
            "unix://",
        ])
        .unwrap();
        assert_eq!(config.log.level, LevelFilter::DEBUG);
        assert_eq!(config.engine.bip.unwrap().to_string(), "10.9.0.1/24");
        assert_eq!(config.pidfile, Path::new("/x/barge.pid"));
        assert_eq!(config.hosts[1], Host::Unix("/x/barge.sock".into()));
        assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
        let error = load_words(&["--config-file", file, "--dns", "8.8.8.8"]).unwrap_err().to_string();
        assert!(error.contains("dns: (from flag: [8.8.8.8], from file: [1.1.1.1])"), "{error}");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn impossible_settings_are_refused() {
        let cases: [&[&str]; 8] = [
            &["--bip", "10.0.0.1"],
            &["--log-level", "loud"],
            &["--ip", "everywhere"],
            &["--default-runtime", "kata"],
            &["--default-ipc-mode", "host"],
            &["--default-address-pool", "base=10.0.0.0/16,size=8"],
            &["--config-file", "/nowhere/daemon.json"],
            &["-H", "http://x"],
        ];
        for words in cases {
            assert!(load_words(words).is_err(), "{words:?}");
        }
    }
}
