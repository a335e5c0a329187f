//! Which capabilities a container gets: Docker's default list, changed by `--cap-add`, `--cap-drop`, `--privileged`.

use std::collections::HashSet;

use barge_oci::runtime_spec::{Capabilities, Capability, LinuxCapabilities};

use crate::error::{Error, Result};

/// Every capability Linux knows, in the kernel's order (`include/uapi/linux/capability.h`).
const ALL: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What a container may do unless told otherwise.
const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// Names as a request has them, in the form `CAP_NAME`, or `ALL`.
///
/// # Errors
/// Invalid, with Docker's text, for a name the kernel does not know.
pub(crate) fn normalize(names: &[String]) -> Result<Vec<String>> {
    names.iter().map(|name| normalize_one(name)).collect()
}

fn normalize_one(name: &str) -> Result<String> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if upper == "ALL" {
        Ok(upper)
    } else if ALL.contains(&bare) {
        Ok(format!("CAP_{bare}"))
    } else {
        Err(Error::invalid(format!("unknown capability: {:?}", format!("CAP_{bare}"))))
    }
}

/// The container's set, as `CAP_NAME`s without repetition.
///
/// # Errors
/// As [`normalize`].
pub(crate) fn effective(add: &[String], drop: &[String], privileged: bool) -> Result<Vec<String>> {
    let (add, drop) = (normalize(add)?, normalize(drop)?);
    let full = |name: &&str| format!("CAP_{name}");
    let kept = |name: &String| !drop.contains(name);
    let mut set: Vec<String> = if privileged {
        ALL.iter().map(full).collect()
    } else if add.iter().any(|name| name == "ALL") {
        ALL.iter().map(full).filter(kept).collect()
    } else if drop.iter().any(|name| name == "ALL") {
        add
    } else {
        DEFAULT.iter().map(full).filter(kept).chain(add).collect()
    };
    let mut seen = HashSet::new();
    set.retain(|name| seen.insert(name.clone()));
    Ok(set)
}

/// The OCI form. As in Docker nothing is inheritable or ambient, so that a user other than root starts without
/// any and root with all of the set.
pub(crate) fn oci(names: &[String]) -> Result<LinuxCapabilities> {
    let set = names
        .iter()
        .map(|name| {
            serde_json::from_value::<Capability>(serde_json::Value::String(name.clone()))
                .map_err(|_| Error::invalid(format!("unknown capability: {name:?}")))
        })
        .collect::<Result<Capabilities>>()?;
    let mut capabilities = LinuxCapabilities::default();
    capabilities
        .set_bounding(Some(set.clone()))
        .set_effective(Some(set.clone()))
        .set_permitted(Some(set))
        .set_inheritable(None)
        .set_ambient(None);
    Ok(capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(add: &[&str], drop: &[&str], privileged: bool) -> Result<Vec<String>> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        effective(&owned(add), &owned(drop), privileged)
    }

    #[test]
    fn sets() {
        let has = |set: &[String], name: &str| set.iter().any(|known| known == name);
        assert_eq!(set(&[], &[], false).unwrap().len(), DEFAULT.len());
        assert_eq!(set(&[], &["all"], false).unwrap(), Vec::<String>::new());
        assert_eq!(set(&["net_admin", "CAP_NET_ADMIN"], &["ALL"], false).unwrap(), ["CAP_NET_ADMIN"]);
        let all_but_one = set(&["ALL"], &["SYS_ADMIN"], false).unwrap();
        assert!(!has(&all_but_one, "CAP_SYS_ADMIN") && has(&all_but_one, "CAP_BPF"));
        let changed = set(&["SYS_TIME"], &["chown"], false).unwrap();
        assert!(has(&changed, "CAP_SYS_TIME") && !has(&changed, "CAP_CHOWN") && has(&changed, "CAP_KILL"));
        assert_eq!(set(&[], &["ALL"], true).unwrap().len(), ALL.len());
    }

    #[test]
    fn an_unknown_name_is_refused_in_dockers_words() {
        assert_eq!(set(&["fly"], &[], false).unwrap_err().message(), r#"unknown capability: "CAP_FLY""#);
    }

    #[test]
    fn every_name_is_known_to_the_oci_form() {
        let names = set(&[], &[], true).unwrap();
        assert_eq!(oci(&names).unwrap().bounding().as_ref().map(HashSet::len), Some(ALL.len()));
    }
}
