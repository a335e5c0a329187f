//! Which devices a container may use: the specification's rules and those every container gets. Pure.

use std::fmt;

use barge_oci::runtime_spec::{LinuxDeviceCgroup, LinuxDeviceType, LinuxResources};

use super::invalid;
use crate::error::Result;

/// The kind of device a rule speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeviceKind {
    All,
    Block,
    Character,
}

/// Reading, writing and making a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) mknod: bool,
}

/// One rule. The last that matches decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) allow: bool,
    pub(super) kind: DeviceKind,
    /// `None` is every number.
    pub(super) major: Option<u32>,
    pub(super) minor: Option<u32>,
    pub(super) access: Access,
}

impl Access {
    const ALL: Self = Self { read: true, write: true, mknod: true };
    const MKNOD: Self = Self { read: false, write: false, mknod: true };

    fn parse(text: &str) -> Option<Self> {
        let known = text.chars().all(|letter| "rwm".contains(letter));
        (known && !text.is_empty()).then(|| Self {
            read: text.contains('r'),
            write: text.contains('w'),
            mknod: text.contains('m'),
        })
    }
}

/// No access to any device.
const NOTHING: Rule =
    Rule { allow: false, kind: DeviceKind::All, major: None, minor: None, access: Access::ALL };

impl fmt::Display for Rule {
    /// A line of version 1's `devices.allow` and `devices.deny`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            // The kernel reads `a` as every device with every access, whatever follows.
            DeviceKind::All => return f.write_str("a"),
            DeviceKind::Block => 'b',
            DeviceKind::Character => 'c',
        };
        let number = |n: Option<u32>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
        write!(f, "{kind} {}:{} ", number(self.major), number(self.minor))?;
        let letters = [(self.access.read, 'r'), (self.access.write, 'w'), (self.access.mknod, 'm')];
        letters.iter().filter(|(has, _)| *has).try_for_each(|(_, letter)| write!(f, "{letter}"))
    }
}

/// The specification's rules alone.
pub(super) fn of(resources: Option<&LinuxResources>) -> &[LinuxDeviceCgroup] {
    resources.and_then(|resources| resources.devices().as_deref()).unwrap_or_default()
}

/// Nothing is allowed at first; then come the specification's rules, and then what every container has under `/dev` and
/// may make a node for, as runc adds it. So a specification that says nothing of devices leaves the host's shut.
///
/// A rule for all devices comes apart into one for each kind unless it is about everything.
pub(super) fn with_defaults(rules: &[LinuxDeviceCgroup]) -> Result<Vec<Rule>> {
    let mut out = Vec::with_capacity(rules.len() + 12);
    out.push(NOTHING);
    for rule in rules {
        let rule = parse(rule)?;
        let whole = rule.major.is_none() && rule.minor.is_none() && rule.access == Access::ALL;
        if rule.kind == DeviceKind::All && !whole {
            out.push(Rule { kind: DeviceKind::Block, ..rule });
            out.push(Rule { kind: DeviceKind::Character, ..rule });
        } else {
            out.push(rule);
        }
    }
    for rule in defaults() {
        // The same of the specification's would be undone by one that forbids and comes after it.
        out.retain(|earlier| *earlier != rule);
        out.push(rule);
    }
    // Nothing before a rule about every device has a say.
    let last_whole = out.iter().rposition(|rule| rule.kind == DeviceKind::All).unwrap_or(0);
    out.drain(..last_whole);
    if let Some(first) = out.first()
        && first.kind == DeviceKind::All
        && first.allow
    {
        out.retain(|rule| !rule.allow || rule.kind == DeviceKind::All);
    }
    Ok(out)
}

fn parse(rule: &LinuxDeviceCgroup) -> Result<Rule> {
    let field = "linux.resources.devices";
    let kind = match rule.typ() {
        None | Some(LinuxDeviceType::A) => DeviceKind::All,
        Some(LinuxDeviceType::B) => DeviceKind::Block,
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => DeviceKind::Character,
        Some(LinuxDeviceType::P) => return Err(invalid(field, "a pipe is no device".into())),
    };
    // -1 is the wildcard of runc's configurations.
    let number = |n: Option<i64>| match n {
        None | Some(-1) => Ok(None),
        Some(n) => u32::try_from(n).map(Some).map_err(|_| invalid(field, format!("{n} is no device number"))),
    };
    let access = match rule.access() {
        None => Access::ALL,
        Some(text) if text.is_empty() => Access::ALL,
        Some(text) => Access::parse(text).ok_or_else(|| invalid(field, format!("{text:?} is no access")))?,
    };
    Ok(Rule { allow: rule.allow(), kind, major: number(rule.major())?, minor: number(rule.minor())?, access })
}

fn defaults() -> impl Iterator<Item = Rule> {
    let allow = |kind, major, minor, access| Rule { allow: true, kind, major, minor, access };
    let make = [DeviceKind::Character, DeviceKind::Block].map(|kind| allow(kind, None, None, Access::MKNOD));
    // null zero full random urandom tty, pts/*, ptmx, net/tun
    let use_ = [(1, Some(3)), (1, Some(5)), (1, Some(7)), (1, Some(8)), (1, Some(9)), (5, Some(0))]
        .into_iter()
        .chain([(136, None), (5, Some(2)), (10, Some(200))])
        .map(move |(major, minor)| allow(DeviceKind::Character, Some(major), minor, Access::ALL));
    make.into_iter().chain(use_)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(json: &str) -> Vec<String> {
        let rules: Vec<LinuxDeviceCgroup> = serde_json::from_str(json).unwrap();
        let sign = |allow| if allow { '+' } else { '-' };
        with_defaults(&rules).unwrap().iter().map(|r| format!("{}{r}", sign(r.allow))).collect()
    }

    #[test]
    fn the_rules_of_a_plain_container_begin_with_nothing_allowed() {
        let all = lines(
            r#"[{"allow":true,"type":"c","major":1,"minor":3,"access":"r"},{"allow":false,"access":"rwm"}]"#,
        );
        assert_eq!(all[..4], ["-a", "+c *:* m", "+b *:* m", "+c 1:3 rwm"]);
        assert_eq!(all.last().unwrap(), "+c 10:200 rwm");
    }

    /// The list is that of runc.
    #[test]
    fn what_nobody_has_allowed_is_forbidden() {
        let everyones = [
            "+c *:* m",
            "+b *:* m",
            "+c 1:3 rwm",
            "+c 1:5 rwm",
            "+c 1:7 rwm",
            "+c 1:8 rwm",
            "+c 1:9 rwm",
            "+c 5:0 rwm",
            "+c 136:* rwm",
            "+c 5:2 rwm",
            "+c 10:200 rwm",
        ];
        let cases: [(&str, &[&str]); 6] = [
            ("[]", &["-a"]),
            (r#"[{"allow":false,"access":"rwm"}]"#, &["-a"]),
            (r#"[{"allow":true,"type":"b","major":8,"access":"r"}]"#, &["-a", "+b 8:* r"]),
            (r#"[{"allow":false,"type":"b","major":8,"access":"w"}]"#, &["-a", "-b 8:* w"]),
            // Everybody's devices stay everybody's, whatever comes after the rule that names one.
            (r#"[{"allow":true,"type":"c","major":1,"minor":3},{"allow":false,"access":"rwm"}]"#, &["-a"]),
            (
                r#"[{"allow":true,"type":"c","major":1,"minor":3},{"allow":false,"type":"c","major":1}]"#,
                &["-a", "-c 1:* rwm"],
            ),
        ];
        for (json, before) in cases {
            assert_eq!(lines(json), [before, &everyones].concat(), "{json}");
        }
    }

    #[test]
    fn a_privileged_container_needs_one_rule() {
        assert_eq!(lines(r#"[{"allow":false,"access":"rwm"},{"allow":true,"access":"rwm"}]"#), ["+a"]);
        assert_eq!(lines(r#"[{"allow":true,"access":"rwm"}]"#), ["+a"]);
    }

    #[test]
    fn partial_rules_for_all_kinds_come_apart() {
        let all =
            lines(r#"[{"allow":false,"access":"rwm"},{"allow":true,"type":"a","major":7,"access":"rw"}]"#);
        assert_eq!(all[..3], ["-a", "+b 7:* rw", "+c 7:* rw"]);
    }

    #[test]
    fn nonsense_is_refused() {
        for json in [
            r#"[{"allow":true,"type":"c","access":"x"}]"#,
            r#"[{"allow":true,"type":"c","major":-7}]"#,
            r#"[{"allow":true,"type":"p"}]"#,
        ] {
            let rules: Vec<LinuxDeviceCgroup> = serde_json::from_str(json).unwrap();
            assert!(with_defaults(&rules).is_err(), "{json}");
        }
    }
}
