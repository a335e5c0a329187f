//! Every option the daemon knows, once: its flag, its key in the configuration file, what it takes, what becomes of it.
//!
//! The set is dockerd's, so that scripts, unit files and test suites written for it work unchanged. Flags and file
//! are both read into one JSON object whose members are the keys below; `settings.rs` gives the used ones types.

/// What a directive takes, on the command line and in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `--flag`, `--flag=false`; a boolean in the file.
    Switch,
    Text,
    Number,
    /// Bytes with an optional unit (`64m`); a number or a text in the file.
    Bytes,
    /// A repeatable flag, a list of texts in the file.
    List,
    /// Repeatable `KEY=VALUE`, an object of texts in the file.
    Pairs,
    /// Repeatable `NAME[=true|false]`, an object in the file.
    Features,
    /// Repeatable `base=CIDR,size=BITS`, a list of objects in the file.
    Pools,
    /// Repeatable `NAME=SOFT[:HARD]`, an object of objects in the file.
    Ulimits,
    /// Repeatable `NAME=PATH`, an object of objects in the file.
    Runtimes,
    /// Only in the file: any JSON.
    Document,
}

/// What the daemon does with a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Used,
    /// Accepted in silence: the engine has no such part, or always behaves as if it were set.
    Moot,
    /// Accepted with a warning: Docker would act on it, this daemon doesn't yet.
    Ignored,
}

/// One option.
#[derive(Debug)]
pub(crate) struct Directive {
    /// Without dashes; empty if only the file has it.
    pub(crate) flag: &'static str,
    pub(crate) short: Option<char>,
    /// In the configuration file; empty if only the command line has it.
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    pub(crate) standing: Standing,
    pub(crate) help: &'static str,
}

impl Directive {
    /// The member's name in the merged object.
    pub(crate) fn name(&self) -> &'static str {
        if self.key.is_empty() { self.flag } else { self.key }
    }
}

/// The directive that the configuration file calls `key`.
pub(crate) fn by_key(key: &str) -> Option<&'static Directive> {
    DIRECTIVES.iter().find(|directive| !directive.key.is_empty() && directive.key == key)
}

const fn plain(flag: &'static str, kind: Kind, standing: Standing, help: &'static str) -> Directive {
    Directive { flag, short: None, key: flag, kind, standing, help }
}

const fn short(short: char, directive: Directive) -> Directive {
    Directive { short: Some(short), ..directive }
}

const fn keyed(key: &'static str, directive: Directive) -> Directive {
    Directive { key, ..directive }
}

const fn in_file(key: &'static str, kind: Kind, standing: Standing) -> Directive {
    Directive { flag: "", short: None, key, kind, standing, help: "" }
}

use Kind::{Bytes, Document, Features, List, Number, Pairs, Pools, Runtimes, Switch, Text, Ulimits};
use Standing::{Ignored, Moot, Used};

/// All of them, in the order of the help text.
pub(crate) const DIRECTIVES: &[Directive] = &[
    keyed("", plain("config-file", Text, Used, "Daemon configuration file")),
    plain("data-root", Text, Used, "Root directory of persistent state"),
    plain("exec-root", Text, Used, "Root directory of execution state"),
    short('p', plain("pidfile", Text, Used, "Path of the daemon's PID file")),
    short(
        'H',
        keyed("hosts", plain("host", List, Used, "Daemon sockets to listen on: unix://, tcp://, fd://")),
    ),
    short('G', plain("group", Text, Used, "Group of the unix socket")),
    short('D', plain("debug", Switch, Used, "Log at debug level")),
    short('l', plain("log-level", Text, Used, "Log level: debug, info, warn, error, fatal")),
    plain("log-format", Text, Used, "Log format: text or json"),
    plain("raw-logs", Switch, Used, "Log full timestamps without colours"),
    keyed(
        "",
        plain("idle-exit", Number, Used, "Leave after SECONDS without a request or a running container"),
    ),
    keyed("", plain("validate", Switch, Used, "Check the configuration and exit")),
    plain("tls", Switch, Used, "Use TLS on tcp sockets; implied by --tlsverify"),
    plain("tlsverify", Switch, Used, "Use TLS and ask clients for a certificate"),
    plain("tlscacert", Text, Used, "Trust clients with a certificate of this CA"),
    plain("tlscert", Text, Used, "TLS certificate"),
    plain("tlskey", Text, Used, "TLS private key"),
    plain("bip", Text, Used, "Address and prefix of the default bridge"),
    plain("fixed-cidr", Text, Used, "IPv4 subnet containers get their addresses from"),
    plain("mtu", Number, Used, "MTU of container networks"),
    plain("icc", Switch, Used, "Let containers of the default bridge reach each other"),
    plain("ip", Text, Used, "Default address of published ports"),
    plain("ip-masq", Switch, Used, "Masquerade what leaves the default bridge"),
    plain("iptables", Switch, Used, "Let the daemon write packet filter rules"),
    keyed(
        "default-address-pools",
        plain("default-address-pool", Pools, Used, "Pools that networks get subnets from"),
    ),
    plain("dns", List, Used, "DNS servers of containers"),
    keyed("dns-opts", plain("dns-opt", List, Used, "DNS options of containers")),
    plain("dns-search", List, Used, "DNS search domains of containers"),
    keyed(
        "host-gateway-ips",
        plain("host-gateway-ip", List, Ignored, "What host-gateway in --add-host means"),
    ),
    keyed("insecure-registries", plain("insecure-registry", List, Used, "Registries without (checked) TLS")),
    keyed("registry-mirrors", plain("registry-mirror", List, Used, "Mirrors of Docker Hub to ask first")),
    plain("max-concurrent-downloads", Number, Used, "Layers downloaded at once"),
    plain("max-concurrent-uploads", Number, Used, "Layers uploaded at once"),
    plain("max-download-attempts", Number, Ignored, "Attempts for each download"),
    plain("log-driver", Text, Used, "Default log driver of containers"),
    keyed("log-opts", plain("log-opt", Pairs, Used, "Default log options of containers")),
    keyed("default-ulimits", plain("default-ulimit", Ulimits, Used, "Default resource limits of containers")),
    plain("default-shm-size", Bytes, Used, "Default size of /dev/shm"),
    plain("default-cgroupns-mode", Text, Used, "Default cgroup namespace of containers: host or private"),
    plain("default-ipc-mode", Text, Used, "Default IPC namespace of containers: shareable or private"),
    plain("cgroup-parent", Text, Used, "Parent cgroup of all containers"),
    plain("init", Switch, Used, "Run an init in every container"),
    plain("no-new-privileges", Switch, Used, "Set no-new-privileges in every container"),
    plain("seccomp-profile", Text, Used, "Seccomp profile file, or unconfined"),
    keyed("labels", plain("label", List, Used, "Labels of the daemon")),
    plain("shutdown-timeout", Number, Moot, "Accepted: containers outlive the daemon"),
    short('s', plain("storage-driver", Text, Used, "Accepted: overlay2 is the only one")),
    plain("default-runtime", Text, Used, "Default OCI runtime of containers"),
    plain("live-restore", Switch, Moot, "Accepted: containers always outlive the daemon"),
    plain("containerd", Text, Moot, "Accepted: there is no containerd"),
    plain("containerd-namespace", Text, Moot, "Accepted: there is no containerd"),
    keyed(
        "containerd-plugin-namespace",
        plain("containerd-plugins-namespace", Text, Moot, "Accepted: there is no containerd"),
    ),
    plain("cri-containerd", Switch, Moot, "Accepted: there is no containerd"),
    plain("userland-proxy", Switch, Moot, "Accepted: published ports need no proxy"),
    plain("userland-proxy-path", Text, Moot, "Accepted: published ports need no proxy"),
    plain("init-path", Text, Used, "Program to use as init instead of the built-in one"),
    plain("firewall-backend", Text, Used, "Accepted: nftables is the only one"),
    plain("experimental", Switch, Used, "Report experimental features as on"),
    keyed("features", plain("feature", Features, Ignored, "Features to turn on or off")),
    keyed("exec-opts", plain("exec-opt", List, Ignored, "Runtime execution options")),
    keyed("storage-opts", plain("storage-opt", List, Ignored, "Storage driver options")),
    keyed("runtimes", plain("add-runtime", Runtimes, Ignored, "Further OCI runtimes")),
    plain("userns-remap", Text, Ignored, "User namespace of containers"),
    plain("ipv6", Switch, Ignored, "IPv6 on the default bridge"),
    plain("bip6", Text, Ignored, "IPv6 address and prefix of the default bridge"),
    plain("fixed-cidr-v6", Text, Ignored, "IPv6 subnet of the default bridge"),
    plain("ip6tables", Switch, Ignored, "IPv6 packet filter rules"),
    plain("ip-forward", Switch, Moot, "Accepted: forwarding is turned on where a network needs it"),
    plain("ip-forward-no-drop", Switch, Moot, "Accepted: no other table's policy is touched"),
    plain("allow-direct-routing", Switch, Ignored, "Reach published ports by container address"),
    plain("bridge-accept-fwmark", Text, Ignored, "Accept packets with this mark on bridges"),
    short('b', plain("bridge", Text, Used, "`none` for no default bridge")),
    plain("default-gateway", Text, Ignored, "IPv4 default gateway of containers"),
    plain("default-gateway-v6", Text, Ignored, "IPv6 default gateway of containers"),
    keyed(
        "default-network-opts",
        plain("default-network-opt", Pairs, Ignored, "Default options of networks"),
    ),
    plain("network-control-plane-mtu", Number, Ignored, "MTU of the control plane"),
    keyed("authorization-plugins", plain("authorization-plugin", List, Ignored, "Authorization plugins")),
    plain("metrics-addr", Text, Ignored, "Address to serve Prometheus metrics on"),
    plain("http-proxy", Text, Ignored, "Proxy for http of the daemon"),
    plain("https-proxy", Text, Ignored, "Proxy for https of the daemon"),
    plain("no-proxy", Text, Ignored, "Hosts the proxy is not used for"),
    keyed(
        "allow-nondistributable-artifacts",
        plain("allow-nondistributable-artifacts", List, Moot, "Accepted: no layer is foreign"),
    ),
    plain("api-cors-header", Text, Ignored, "CORS header of the API"),
    keyed("cdi-spec-dirs", plain("cdi-spec-dir", List, Ignored, "Directories of CDI specifications")),
    plain("cpu-rt-period", Number, Ignored, "Real-time period of the parent cgroup"),
    plain("cpu-rt-runtime", Number, Ignored, "Real-time runtime of the parent cgroup"),
    keyed(
        "node-generic-resources",
        plain("node-generic-resource", List, Ignored, "Resources of the swarm node"),
    ),
    plain("oom-score-adjust", Number, Ignored, "OOM score adjustment of the daemon"),
    plain("rootless", Switch, Ignored, "Rootless mode"),
    plain("selinux-enabled", Switch, Ignored, "SELinux labels"),
    plain("swarm-default-advertise-addr", Text, Ignored, "Default advertised address of the swarm"),
    in_file("builder", Document, Ignored),
    in_file("deprecated-key-path", Text, Moot),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let mut flags = BTreeSet::new();
        let mut shorts = BTreeSet::new();
        let mut keys = BTreeSet::new();
        for directive in DIRECTIVES {
            assert!(directive.flag.is_empty() || flags.insert(directive.flag), "{}", directive.flag);
            assert!(directive.key.is_empty() || keys.insert(directive.key), "{}", directive.key);
            assert!(directive.short.is_none_or(|letter| shorts.insert(letter)), "{:?}", directive.short);
        }
    }
}
