//! Devices: what `--device` and `--device-cgroup-rule` name, and the list every container may use.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use barge_api::containers::{DeviceMapping, HostConfig};
use barge_oci::runtime_spec::{LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType};

use crate::error::{Error, Result};

/// The devices of a container and what its cgroup lets it do with devices.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    pub(crate) nodes: Vec<LinuxDevice>,
    pub(crate) rules: Vec<LinuxDeviceCgroup>,
}

/// zero, null, urandom, random, tty, console: the character devices of every container.
const EVERYONES: [(i64, i64); 6] = [(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)];

/// Resolves what a container asks for against the host's devices.
///
/// # Errors
/// System, with Docker's text, for a device that is none.
pub(crate) fn resolve(host_config: &HostConfig) -> Result<Devices> {
    let mut devices = Devices::default();
    if host_config.privileged {
        collect_below(Path::new("/dev"), Path::new("/dev"), &mut devices.nodes);
        for mapping in host_config.resources.devices.iter() {
            if mapping.path_on_host != mapping.path_in_container {
                devices.nodes.extend(mapped(mapping)?);
            }
        }
        devices.rules.push(rule(true, None, None, None, "rwm"));
        return Ok(devices);
    }
    devices.rules.push(rule(false, None, None, None, "rwm"));
    for (major, minor) in EVERYONES {
        devices.rules.push(rule(true, Some(LinuxDeviceType::C), Some(major), Some(minor), "rwm"));
    }
    for mapping in &host_config.resources.devices {
        for node in mapped(mapping)? {
            let access = access(&mapping.cgroup_permissions);
            let (major, minor) = (Some(node.major()), Some(node.minor()));
            devices.rules.push(rule(true, Some(node.typ()), major, minor, access));
            devices.nodes.push(node);
        }
    }
    for text in &host_config.resources.device_cgroup_rules {
        devices.rules.push(parse_rule(text)?);
    }
    Ok(devices)
}

fn access(permissions: &str) -> &str {
    if permissions.is_empty() { "rwm" } else { permissions }
}

fn rule(
    allow: bool,
    kind: Option<LinuxDeviceType>,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> LinuxDeviceCgroup {
    let mut rule = LinuxDeviceCgroup::default();
    rule.set_allow(allow).set_typ(kind).set_major(major).set_minor(minor).set_access(Some(access.to_owned()));
    rule
}

/// Reads `TYPE MAJOR:MINOR ACCESS`, for example `c 42:* rmw`.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn parse_rule(text: &str) -> Result<LinuxDeviceCgroup> {
    let refuse = || Error::invalid(format!("invalid device cgroup rule format: '{text}'"));
    let mut words = text.split(' ');
    let (Some(kind), Some(numbers), Some(access), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(refuse());
    };
    let kind = match kind {
        "a" => LinuxDeviceType::A,
        "b" => LinuxDeviceType::B,
        "c" => LinuxDeviceType::C,
        _ => return Err(refuse()),
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(refuse)?;
    let number = |text: &str| match text {
        "*" => Ok(None),
        digits => digits.parse::<u32>().map(|number| Some(i64::from(number))).map_err(|_| refuse()),
    };
    let known = (1..=3).contains(&access.len()) && access.bytes().all(|letter| b"rwm".contains(&letter));
    if !known {
        return Err(refuse());
    }
    Ok(rule(true, Some(kind), number(major)?, number(minor)?, access))
}

/// Major and minor number of a device of the host.
///
/// # Errors
/// System, if it cannot be looked at.
pub(crate) fn numbers(path: &str) -> Result<(i64, i64)> {
    let metadata = std::fs::metadata(path).map_err(Error::failed(format!("stat {path}")))?;
    Ok(split(metadata.rdev()))
}

/// `dev_t` as glibc's `gnu_dev_major` and `gnu_dev_minor` read it.
fn split(device: u64) -> (i64, i64) {
    let major = ((device >> 8) & 0xfff) | ((device >> 32) & !0xfff_u64 & 0xffff_ffff);
    let minor = (device & 0xff) | ((device >> 12) & 0xffff_ff00);
    (major as i64, minor as i64)
}

/// The node a mapping names, or all nodes below it if it is a directory.
fn mapped(mapping: &DeviceMapping) -> Result<Vec<LinuxDevice>> {
    let host = &mapping.path_on_host;
    let gathering = |cause: String| {
        Error::system(format!(
            "error gathering device information while adding custom device {host:?}: {cause}"
        ))
    };
    let metadata = std::fs::metadata(host).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        gathering(if missing { "no such file or directory".to_owned() } else { error.to_string() })
    })?;
    let inside = Path::new(&mapping.path_in_container);
    if metadata.is_dir() {
        let mut nodes = Vec::new();
        collect_below(Path::new(host), inside, &mut nodes);
        if nodes.is_empty() {
            return Err(gathering("no devices found".to_owned()));
        }
        return Ok(nodes);
    }
    let node = device(&metadata, inside).ok_or_else(|| gathering("not a device node".to_owned()))?;
    Ok(vec![node])
}

/// A device node for the container, as the host has it.
fn device(metadata: &Metadata, inside: &Path) -> Option<LinuxDevice> {
    let kind = if metadata.file_type().is_char_device() {
        LinuxDeviceType::C
    } else if metadata.file_type().is_block_device() {
        LinuxDeviceType::B
    } else {
        return None;
    };
    let (major, minor) = split(metadata.rdev());
    let mut node = LinuxDevice::default();
    node.set_path(PathBuf::from(inside))
        .set_typ(kind)
        .set_major(major)
        .set_minor(minor)
        .set_file_mode(Some(metadata.mode() & 0o7777))
        .set_uid(Some(metadata.uid()))
        .set_gid(Some(metadata.gid()));
    Some(node)
}

/// All device nodes below a directory, but for those a container has of its own.
fn collect_below(dir: &Path, inside: &Path, nodes: &mut Vec<LinuxDevice>) {
    let own = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"];
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Ok(metadata) = entry.metadata() else { continue };
        let skip = own.iter().any(|own| name == *own);
        if metadata.is_dir() && !skip {
            collect_below(&entry.path(), &inside.join(&name), nodes);
        } else if !skip && let Some(node) = device(&metadata, &inside.join(&name)) {
            nodes.push(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let json = |text| serde_json::to_value(parse_rule(text).unwrap()).unwrap();
        assert_eq!(
            json("c 42:* rmw"),
            serde_json::json!({"allow": true, "type": "c", "major": 42, "access": "rmw"})
        );
        assert_eq!(json("a *:* m"), serde_json::json!({"allow": true, "type": "a", "access": "m"}));
        for text in ["", "c", "c 1:2", "d 1:2 r", "c 1 r", "c 1:x r", "c 1:2 rwmr", "c 1:2 q", "c 1:2 r x"] {
            let error = parse_rule(text).unwrap_err();
            assert_eq!(error.message(), format!("invalid device cgroup rule format: '{text}'"));
        }
    }

    #[test]
    fn a_device_of_the_host_is_given_with_a_rule() {
        let mut host_config = HostConfig::default();
        host_config.resources.devices = vec![DeviceMapping {
            path_on_host: "/dev/null".to_owned(),
            path_in_container: "/dev/nothing".to_owned(),
            cgroup_permissions: "r".to_owned(),
        }];
        let devices = resolve(&host_config).unwrap();
        let node = &devices.nodes[0];
        assert_eq!((node.major(), node.minor(), node.path().as_path()), (1, 3, Path::new("/dev/nothing")));
        assert_eq!(devices.rules.last().unwrap().access().as_deref(), Some("r"));
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for (path, cause) in
            [("/dev/no-such", "no such file or directory"), ("/etc/passwd", "not a device node")]
        {
            let mapping = DeviceMapping { path_on_host: path.to_owned(), ..DeviceMapping::default() };
            let message = mapped(&mapping).unwrap_err().message().to_owned();
            assert!(message.ends_with(cause), "{message}");
        }
    }
}
