//! The flags of `run` and `create`.

use crate::flags::attachment::Attachments;
use crate::flags::block_device::{ByteRates, OperationRates, Weights};
use crate::flags::device::CgroupRules;
use crate::flags::flags;
use crate::flags::gpus::Gpus;
use crate::flags::mount::Mounts;
use crate::flags::size::{Bytes, Cpus, SwapBytes};
use crate::flags::ulimit::Ulimits;
use crate::flags::value::{Environment, Labels, Nanoseconds, Pairs, Value};

flags! {
    /// What a container is made of.
    pub(crate) struct ContainerFlags {
        annotation: Pairs = "annotation", "Add an annotation to the container (passed through to the OCI runtime)";
        attach: Streams = "attach" / 'a', "Attach to STDIN, STDOUT or STDERR";
        cidfile: String = "cidfile", "Write the container ID to the file";
        device: Vec<String> = "device", "Add a host device to the container";
        device_cgroup_rule: CgroupRules = "device-cgroup-rule", "Add a rule to the cgroup allowed devices list";
        domainname: String = "domainname", "Container NIS domain name";
        entrypoint: Option<String> = "entrypoint", "Overwrite the default ENTRYPOINT of the image";
        env: Environment = "env" / 'e', "Set environment variables";
        env_file: Vec<String> = "env-file", "Read in a file of environment variables";
        gpus: Gpus = "gpus", "GPU devices to add to the container ('all' to pass all GPUs)";
        group_add: Vec<String> = "group-add", "Add additional groups to join";
        hostname: String = "hostname" / 'h', "Container host name";
        init: Option<bool> = "init", "Run an init inside the container that forwards signals and reaps processes";
        interactive: bool = "interactive" / 'i', "Keep STDIN open even if not attached";
        isolation: String = "isolation", "Container isolation technology";
        label: Labels = "label" / 'l', "Set meta data on a container";
        label_file: Vec<String> = "label-file", "Read in a line delimited file of labels";
        log_driver: String = "log-driver", "Logging driver for the container";
        log_opt: Vec<String> = "log-opt", "Log driver options";
        mount: Mounts = "mount", "Attach a filesystem mount to the container";
        read_only: bool = "read-only", "Mount the container's root filesystem as read only";
        restart: String = "restart" or "no", "Restart policy to apply when a container exits";
        rm: bool = "rm", "Automatically remove the container and its associated anonymous volumes when it exits";
        runtime: String = "runtime", "Runtime to use for this container";
        shm_size: Bytes = "shm-size", "Size of /dev/shm";
        stop_signal: String = "stop-signal", "Signal to stop the container";
        stop_timeout: Option<i64> = "stop-timeout", "Timeout (in seconds) to stop a container";
        storage_opt: Vec<String> = "storage-opt", "Storage driver options for the container";
        sysctl: Sysctls = "sysctl", "Sysctl options";
        tmpfs: Vec<String> = "tmpfs", "Mount a tmpfs directory";
        tty: bool = "tty" / 't', "Allocate a pseudo-TTY";
        ulimit: Ulimits = "ulimit", "Ulimit options";
        user: String = "user" / 'u', "Username or UID (format: <name|uid>[:<group|gid>])";
        volume: Vec<String> = "volume" / 'v', "Bind mount a volume";
        volume_driver: String = "volume-driver", "Optional volume driver for the container";
        volumes_from: Vec<String> = "volumes-from", "Mount volumes from the specified container(s)";
        workdir: String = "workdir" / 'w', "Working directory inside the container";
        + health: HealthFlags;
        + isolation_flags: SecurityFlags;
        + network: NetworkFlags;
        + limits: LimitFlags;
    }
}

flags! {
    /// How its health is checked.
    pub(crate) struct HealthFlags {
        command: String = "health-cmd", "Command to run to check health";
        interval: Nanoseconds = "health-interval", "Time between running the check (ms|s|m|h) (default 0s)";
        retries: i64 = "health-retries", "Consecutive failures needed to report unhealthy";
        start_interval: Nanoseconds = "health-start-interval", "Time between running the check during the start period (ms|s|m|h) (default 0s)";
        start_period: Nanoseconds = "health-start-period", "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) (default 0s)";
        timeout: Nanoseconds = "health-timeout", "Maximum time to allow one check to run (ms|s|m|h) (default 0s)";
        none: bool = "no-healthcheck", "Disable any container-specified HEALTHCHECK";
    }
}

flags! {
    /// Privileges and namespaces.
    pub(crate) struct SecurityFlags {
        cap_add: Vec<String> = "cap-add", "Add Linux capabilities";
        cap_drop: Vec<String> = "cap-drop", "Drop Linux capabilities";
        cgroup_parent: String = "cgroup-parent", "Optional parent cgroup for the container";
        cgroupns: String = "cgroupns", "Cgroup namespace to use (host|private)\n'host':    Run the container in the Docker host's cgroup namespace\n'private': Run the container in its own private cgroup namespace\n'':        Use the cgroup namespace as configured by the\n           default-cgroupns-mode option on the daemon (default)";
        ipc: String = "ipc", "IPC mode to use";
        pid: String = "pid", "PID namespace to use";
        privileged: bool = "privileged", "Give extended privileges to this container";
        security_opt: Vec<String> = "security-opt", "Security Options";
        userns: String = "userns", "User namespace to use";
        uts: String = "uts", "UTS namespace to use";
    }
}

flags! {
    /// Networks, names and ports.
    pub(crate) struct NetworkFlags {
        add_host: Hosts = "add-host", "Add a custom host-to-IP mapping (host:ip)";
        dns: Addresses = "dns", "Set custom DNS servers";
        dns_opt: Vec<String> = "dns-opt", "";
        dns_option: Vec<String> = "dns-option", "Set DNS options";
        dns_search: Vec<String> = "dns-search", "Set custom DNS search domains";
        expose: Vec<String> = "expose", "Expose a port or a range of ports";
        ip: String = "ip", "IPv4 address (e.g., 172.30.100.104)";
        ip6: String = "ip6", "IPv6 address (e.g., 2001:db8::33)";
        link: Links = "link", "Add link to another container";
        link_local_ip: Vec<String> = "link-local-ip", "Container IPv4/IPv6 link-local addresses";
        mac_address: String = "mac-address", "Container MAC address (e.g., 92:d0:c6:0a:29:33)";
        net: Attachments = "net", "";
        net_alias: Vec<String> = "net-alias", "";
        network: Attachments = "network", "Connect a container to a network";
        network_alias: Vec<String> = "network-alias", "Add network-scoped alias for the container";
        publish: Vec<String> = "publish" / 'p', "Publish a container's port(s) to the host";
        publish_all: bool = "publish-all" / 'P', "Publish all exposed ports to random ports";
    }
}

flags! {
    /// What it may use.
    pub(crate) struct LimitFlags {
        blkio_weight: u16 = "blkio-weight", "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)";
        blkio_weight_device: Weights = "blkio-weight-device", "Block IO weight (relative device weight)";
        cpu_count: i64 = "cpu-count", "CPU count (Windows only)";
        cpu_percent: i64 = "cpu-percent", "CPU percent (Windows only)";
        cpu_period: i64 = "cpu-period", "Limit CPU CFS (Completely Fair Scheduler) period";
        cpu_quota: i64 = "cpu-quota", "Limit CPU CFS (Completely Fair Scheduler) quota";
        cpu_rt_period: i64 = "cpu-rt-period", "Limit CPU real-time period in microseconds";
        cpu_rt_runtime: i64 = "cpu-rt-runtime", "Limit CPU real-time runtime in microseconds";
        cpu_shares: i64 = "cpu-shares" / 'c', "CPU shares (relative weight)";
        cpus: Cpus = "cpus", "Number of CPUs";
        cpuset_cpus: String = "cpuset-cpus", "CPUs in which to allow execution (0-3, 0,1)";
        cpuset_mems: String = "cpuset-mems", "MEMs in which to allow execution (0-3, 0,1)";
        device_read_bps: ByteRates = "device-read-bps", "Limit read rate (bytes per second) from a device";
        device_read_iops: OperationRates = "device-read-iops", "Limit read rate (IO per second) from a device";
        device_write_bps: ByteRates = "device-write-bps", "Limit write rate (bytes per second) to a device";
        device_write_iops: OperationRates = "device-write-iops", "Limit write rate (IO per second) to a device";
        io_maxbandwidth: Bytes = "io-maxbandwidth", "Maximum IO bandwidth limit for the system drive (Windows only)";
        io_maxiops: u64 = "io-maxiops", "Maximum IOps limit for the system drive (Windows only)";
        kernel_memory: Bytes = "kernel-memory", "Kernel memory limit";
        memory: Bytes = "memory" / 'm', "Memory limit";
        memory_reservation: Bytes = "memory-reservation", "Memory soft limit";
        memory_swap: SwapBytes = "memory-swap", "Swap limit equal to memory plus swap: '-1' to enable unlimited swap";
        memory_swappiness: i64 = "memory-swappiness" or "-1", "Tune container memory swappiness (0 to 100)";
        oom_kill_disable: bool = "oom-kill-disable", "Disable OOM Killer";
        oom_score_adj: i64 = "oom-score-adj", "Tune host's OOM preferences (-1000 to 1000)";
        pids_limit: i64 = "pids-limit", "Tune container pids limit (set -1 for unlimited)";
    }
}

flags! {
    /// What is done with the image and the name, for `create` and `run` alike.
    pub(crate) struct CreateFlags {
        disable_content_trust: bool = "disable-content-trust" or "true", "Skip image verification";
        name: String = "name", "Assign a name to the container";
        platform: String = "platform", "Set platform if server is multi-platform capable";
        pull: String = "pull" or "missing", "Pull image before running (\"always\", \"missing\", \"never\")";
        quiet: bool = "quiet" / 'q', "Suppress the pull output";
        + container: ContainerFlags;
    }
}

/// `stdin`, `stdout` and `stderr`, in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Streams(Vec<String>);

impl Streams {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|stream| stream == name)
    }
}

impl Value for Streams {
    const KIND: &'static str = "list";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let name = text.to_ascii_lowercase();
        if !matches!(name.as_str(), "stdin" | "stdout" | "stderr") {
            return Err("valid streams are STDIN, STDOUT and STDERR".to_owned());
        }
        self.0.push(name);
        Ok(())
    }
}

/// `HOST:IP` or `HOST=IP`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts(pub(crate) Vec<String>);

impl Value for Hosts {
    const KIND: &'static str = "list";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let bad = || format!("bad format for add-host: {text:?}");
        let (name, address) = text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(bad)?;
        if name.is_empty() || address.is_empty() {
            return Err(bad());
        }
        let address = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
        // The engine knows where its host is.
        if address != "host-gateway" && address.parse::<std::net::IpAddr>().is_err() {
            return Err(format!("invalid IP address in add-host: {address:?}"));
        }
        self.0.push(format!("{name}:{address}"));
        Ok(())
    }
}

/// IP addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses(pub(crate) Vec<String>);

impl Value for Addresses {
    const KIND: &'static str = "list";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let address: std::net::IpAddr =
            text.trim().parse().map_err(|_| format!("IP address is not correctly formatted: {text}"))?;
        self.0.push(address.to_string());
        Ok(())
    }
}

/// `CONTAINER[:ALIAS]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Links(pub(crate) Vec<String>);

impl Value for Links {
    const KIND: &'static str = "list";

    fn set(&mut self, text: &str) -> Result<(), String> {
        if text.is_empty() {
            return Err("empty string specified for links".to_owned());
        }
        if text.split(':').count() > 2 {
            return Err(format!("bad format for links: {text}"));
        }
        self.0.push(text.to_owned());
        Ok(())
    }
}

/// Namespaced sysctls `NAME=VALUE`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sysctls(pub(crate) Pairs);

impl Value for Sysctls {
    const KIND: &'static str = "map";

    fn set(&mut self, text: &str) -> Result<(), String> {
        const KERNEL: [&str; 8] =
            ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"];
        let name = text.split_once('=').map_or("", |(name, _)| name);
        let is_kernel = name.strip_prefix("kernel.").is_some_and(|rest| KERNEL.contains(&rest));
        if !is_kernel && !name.starts_with("net.") && !name.starts_with("fs.mqueue.") {
            return Err(format!("sysctl '{text}' is not allowed"));
        }
        self.0.set(text)
    }
}
