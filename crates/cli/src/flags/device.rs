//! `--device HOST[:CONTAINER][:rwm]`, CDI names, and `--device-cgroup-rule`.

use barge_api::containers::DeviceMapping;

use super::value::Value;

/// What a `--device` asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Device {
    Mapping(DeviceMapping),
    /// `VENDOR/CLASS=NAME`, for a CDI driver.
    Cdi(String),
}

/// Reads one `--device`.
pub(crate) fn parse(text: &str) -> Result<Device, String> {
    if is_cdi(text) {
        return Ok(Device::Cdi(text.to_owned()));
    }
    let parts: Vec<&str> = text.split(':').collect();
    let (host, container, mode) = match parts.as_slice() {
        [""] | ["", ..] => return Err(format!("bad format for path: {text}")),
        [host] => (*host, *host, "rwm"),
        [host, mode] if is_mode(mode) => (*host, *host, *mode),
        [host, container] => (*host, *container, "rwm"),
        [_, _, mode] if !is_mode(mode) => return Err(format!("bad mode specified: {mode}")),
        [host, container, mode] => (*host, *container, *mode),
        _ => return Err(format!("bad format for path: {text}")),
    };
    if !container.starts_with('/') {
        return Err(format!("{container} is not an absolute path"));
    }
    Ok(Device::Mapping(DeviceMapping {
        path_on_host: host.to_owned(),
        path_in_container: container.to_owned(),
        cgroup_permissions: mode.to_owned(),
    }))
}

fn is_cdi(text: &str) -> bool {
    let Some((kind, name)) = text.split_once('=') else { return false };
    let Some((vendor, class)) = kind.split_once('/') else { return false };
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
    };
    word(vendor) && word(class) && word(name) && vendor.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Some of `r`, `w` and `m`, each at most once.
fn is_mode(text: &str) -> bool {
    let mut left = vec!['r', 'w', 'm'];
    !text.is_empty()
        && text
            .chars()
            .all(|letter| left.iter().position(|known| *known == letter).map(|at| left.remove(at)).is_some())
}

/// Rules `TYPE MAJOR:MINOR ACCESS`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CgroupRules(pub(crate) Vec<String>);

impl Value for CgroupRules {
    const KIND: &'static str = "list";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let refuse = || format!("invalid device cgroup format '{text}'");
        let number =
            |part: &str| part == "*" || (!part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        let parts: Vec<&str> = text.split(' ').collect();
        let [kind, device, access] = parts.as_slice() else { return Err(refuse()) };
        let (major, minor) = device.split_once(':').ok_or_else(refuse)?;
        let access = (1..=3).contains(&access.len()) && access.bytes().all(|byte| b"rwm".contains(&byte));
        if !matches!(*kind, "a" | "c" | "b") || !number(major) || !number(minor) || !access {
            return Err(refuse());
        }
        self.0.push(text.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        let mapping = |host: &str, container: &str, mode: &str| {
            Ok(Device::Mapping(DeviceMapping {
                path_on_host: host.to_owned(),
                path_in_container: container.to_owned(),
                cgroup_permissions: mode.to_owned(),
            }))
        };
        assert_eq!(parse("/dev/fuse"), mapping("/dev/fuse", "/dev/fuse", "rwm"));
        assert_eq!(parse("/dev/a:/dev/b"), mapping("/dev/a", "/dev/b", "rwm"));
        assert_eq!(parse("/dev/a:rw"), mapping("/dev/a", "/dev/a", "rw"));
        assert_eq!(parse("/dev/a:/dev/b:r"), mapping("/dev/a", "/dev/b", "r"));
        assert_eq!(parse("vendor.com/gpu=0"), Ok(Device::Cdi("vendor.com/gpu=0".to_owned())));
        for text in ["", ":/dev/b", "dev/a", "/dev/a:/dev/b:rr", "/a:/b:r:x", "/dev/a:b"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn cgroup_rules() {
        let mut rules = CgroupRules::default();
        rules.set("c 1:3 mr").unwrap();
        rules.set("a *:* rwm").unwrap();
        for text in ["", "c 1:3", "x 1:3 r", "c 1 r", "c 1:3 rwmr", "c 1:a r"] {
            assert!(rules.set(text).is_err(), "{text}");
        }
    }
}
