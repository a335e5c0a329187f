//! A container's document and what its start found out, as one OCI specification. Pure but for devices, which are
//! looked at on the host.

use std::collections::HashMap;

use barge_oci::runtime_spec::{Linux, LinuxNamespace, LinuxNamespaceType, LinuxSeccomp, Root, Spec};

use super::host::Host;
use super::mount_table::{self, EtcFile, Sources};
use super::process::INIT_PATH;
use super::security::{Seccomp, Security};
use super::{capabilities, devices, process, resources, seccomp, security};
use crate::containers::document::Document;
use crate::error::Result;

/// What a start brings beside the document.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    pub(crate) document: &'a Document,
    pub(crate) host: &'a Host,
    /// Processes whose namespaces are shared, by what is shared.
    pub(crate) shared: Shared,
    pub(crate) etc: &'a [EtcFile<'a>],
    /// The cgroup containers of this engine are made under.
    pub(crate) cgroup_parent: &'a str,
    /// The program of `--init`, if this container runs one.
    pub(crate) init: Option<&'a str>,
    pub(crate) no_new_privileges: bool,
    /// The engine's seccomp profile, if it is not the built-in one.
    pub(crate) seccomp_profile: Option<&'a str>,
}

/// PIDs of the containers that `container:X` modes name.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shared {
    pub(crate) network: Option<u32>,
    pub(crate) ipc: Option<u32>,
    pub(crate) pid: Option<u32>,
}

/// Builds the specification. Limits, modes and options were checked when the container was made.
///
/// # Errors
/// System or invalid, if a device is gone or a profile cannot be read.
pub(crate) fn build(inputs: &Inputs<'_>) -> Result<Spec> {
    let (config, host_config) = (&inputs.document.config, &inputs.document.host_config);
    let security = security::parse(&host_config.security_opt, inputs.no_new_privileges)?;
    let capabilities =
        capabilities::effective(&host_config.cap_add, &host_config.cap_drop, host_config.privileged)?;
    let mut process = process::oci(config, host_config, &capabilities, security.no_new_privileges)?;
    if inputs.init.is_some() {
        let words = [INIT_PATH, "--"].map(str::to_owned).into_iter().chain(process::command(config));
        process.set_args(Some(words.collect()));
    }
    if let Some(profile) = security.apparmor.as_ref().filter(|_| apparmor_is_on()) {
        process.set_apparmor_profile(Some(profile.clone()));
    }
    let mut root = Root::default();
    root.set_path("rootfs".into()).set_readonly(Some(host_config.readonly_rootfs));
    let mounts = mount_table::build(Sources {
        host_config,
        security: &security,
        mounts: &inputs.document.mounts,
        etc: inputs.etc,
        init: inputs.init,
    });
    let own_uts = host_config.uts_mode != "host";
    let annotations: HashMap<_, _> = host_config.annotations.clone().into_iter().collect();
    let mut spec = Spec::default();
    spec.set_root(Some(root))
        .set_process(Some(process))
        .set_mounts(Some(mounts))
        .set_hostname((own_uts && !config.hostname.is_empty()).then(|| config.hostname.clone()))
        .set_domainname((own_uts && !config.domainname.is_empty()).then(|| config.domainname.clone()))
        .set_annotations((!annotations.is_empty()).then_some(annotations))
        .set_linux(Some(linux(inputs, &security, &capabilities)?));
    Ok(spec)
}

fn linux(inputs: &Inputs<'_>, security: &Security, capabilities: &[String]) -> Result<Linux> {
    let host_config = &inputs.document.host_config;
    let devices = devices::resolve(host_config)?;
    let mut limits = resources::oci(&host_config.resources)?;
    limits.set_devices(Some(devices.rules));
    let parent = match host_config.resources.cgroup_parent.as_str() {
        "" => inputs.cgroup_parent,
        parent => parent,
    };
    let cgroup = super::paths::clean(&format!("/{parent}/{}", inputs.document.id));
    let mut linux = Linux::default();
    linux
        .set_namespaces(Some(namespaces(inputs)))
        .set_devices((!devices.nodes.is_empty()).then_some(devices.nodes))
        .set_resources(Some(limits))
        .set_cgroups_path(Some(cgroup.into()))
        .set_sysctl(sysctls(inputs))
        .set_seccomp(seccomp(inputs, security, capabilities)?)
        .set_rootfs_propagation(mount_table::rootfs_propagation(&inputs.document.mounts).map(str::to_owned))
        .set_masked_paths(host_config.masked_paths.clone())
        .set_readonly_paths(host_config.readonly_paths.clone());
    Ok(linux)
}

fn namespaces(inputs: &Inputs<'_>) -> Vec<LinuxNamespace> {
    use LinuxNamespaceType::{Cgroup, Ipc, Mount, Network, Pid, Uts};
    let host_config = &inputs.document.host_config;
    let namespace = |kind, path: Option<String>| {
        let mut namespace = LinuxNamespace::default();
        namespace.set_typ(kind).set_path(path.map(Into::into));
        namespace
    };
    let of = |pid: Option<u32>, name: &str| pid.map(|pid| format!("/proc/{pid}/ns/{name}"));
    let mut namespaces = vec![namespace(Mount, None)];
    let mut add = |wanted: bool, kind, path| {
        if wanted {
            namespaces.push(namespace(kind, path));
        }
    };
    add(host_config.network_mode != "host", Network, of(inputs.shared.network, "net"));
    add(host_config.uts_mode != "host", Uts, None);
    add(host_config.pid_mode != "host", Pid, of(inputs.shared.pid, "pid"));
    add(host_config.ipc_mode != "host", Ipc, of(inputs.shared.ipc, "ipc"));
    add(host_config.cgroupns_mode == "private", Cgroup, None);
    namespaces
}

/// Docker's sysctls for a container with a network of its own, and those asked for.
fn sysctls(inputs: &Inputs<'_>) -> Option<HashMap<String, String>> {
    let host_config = &inputs.document.host_config;
    let mut sysctls = HashMap::new();
    if !shares_network(&host_config.network_mode) {
        sysctls.insert("net.ipv4.ping_group_range".to_owned(), "0 2147483647".to_owned());
        sysctls.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
    }
    sysctls.extend(host_config.sysctls.iter().map(|(name, value)| (name.clone(), value.clone())));
    (!sysctls.is_empty()).then_some(sysctls)
}

/// Whether a network mode uses the stack of the host or of another container.
pub(crate) fn shares_network(mode: &str) -> bool {
    mode == "host" || mode.starts_with("container:")
}

fn seccomp(
    inputs: &Inputs<'_>,
    security: &Security,
    capabilities: &[String],
) -> Result<Option<LinuxSeccomp>> {
    if inputs.document.host_config.privileged {
        return Ok(None);
    }
    let target = seccomp::Target { capabilities, kernel: inputs.host.kernel, arch: inputs.host.arch };
    let default = Seccomp::from_value(inputs.seccomp_profile.unwrap_or_default());
    let profile = if security.seccomp == Seccomp::Default { &default } else { &security.seccomp };
    match profile {
        Seccomp::Unconfined => Ok(None),
        Seccomp::Default => seccomp::builtin(target).map(Some),
        Seccomp::Custom(text) => seccomp::custom(text, target).map(Some),
    }
}

fn apparmor_is_on() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
}

#[cfg(test)]
#[path = "oci_tests.rs"]
mod tests;
