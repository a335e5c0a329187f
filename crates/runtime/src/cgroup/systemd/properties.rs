//! What systemd is told of a scope: the limits of control files that it has a property for. Pure.
//!
//! The limits come as the settings that are written to files anyway, so that both always say the same; what systemd
//! has no property for is left out. See systemd.resource-control(5) and org.freedesktop.systemd1(5).

use barge_oci::runtime_spec::{LinuxDeviceCgroup, LinuxResources};
use zbus::Variant;

use super::location::Location;
use crate::bus::Manager;
use crate::cgroup::device_rules::{self, Access, DeviceKind, Rule};
use crate::cgroup::settings::{self, Setting};
use crate::cgroup::{Places, invalid};
use crate::error::Result;

/// A name and a value.
pub(super) type Property = (String, Variant<'static>);

const INFINITY: u64 = u64::MAX;
/// The kernel's own period of a CPU quota, microseconds.
const PERIOD: u64 = 100_000;
/// The first version in which a CPU weight of 0 means idle.
const IDLE: u32 = 252;
/// The first version that has `OOMPolicy` for scopes.
const OOM_POLICY: u32 = 253;

fn property(name: &str, value: impl Into<Variant<'static>>) -> Property {
    (name.into(), value.into())
}

/// What every container's scope is, whatever its limits.
pub(super) fn of_scope(location: &Location, manager: Manager, pid: u32, places: &Places) -> Vec<Property> {
    let io = match places {
        Places::Legacy(_) => "BlockIOAccounting",
        Places::Unified(_) => "IOAccounting",
    };
    vec![
        property("Description", format!("barge container {}", location.name)),
        property("Slice", location.slice(manager).to_owned()),
        property("Delegate", true),
        property("PIDs", vec![pid]),
        property("MemoryAccounting", true),
        property("CPUAccounting", true),
        property(io, true),
        property("TasksAccounting", true),
        property("DefaultDependencies", false),
    ]
}

/// Systemd keeps CPU quotas in whole percents. The quota is made one, upwards, so that its file says the same
/// before and after systemd has written it.
pub(super) fn rounded(resources: &LinuxResources) -> LinuxResources {
    let mut out = resources.clone();
    if let Some(cpu) = out.cpu_mut()
        && let Some(quota) =
            cpu.quota().and_then(|quota| u64::try_from(quota).ok()).filter(|&quota| quota > 0)
    {
        let period = cpu.period().filter(|&period| period > 0).unwrap_or(PERIOD);
        let rounded = u128::from(per_second(quota, period)) * u128::from(period) / 1_000_000;
        cpu.set_quota(i64::try_from(rounded).ok().or(cpu.quota()));
    }
    out
}

/// Microseconds of CPU time in a second, in whole percents.
fn per_second(quota: u64, period: u64) -> u64 {
    let exact = u128::from(quota) * 1_000_000 / u128::from(period.max(1));
    u64::try_from(exact.next_multiple_of(10_000)).unwrap_or(INFINITY)
}

/// Whether [`for_v2`] has to know the version of systemd.
pub(super) fn depend_on_version(resources: &LinuxResources) -> bool {
    let unified = resources.unified().as_ref();
    let named = |file: &str| unified.is_some_and(|map| map.contains_key(file));
    resources.cpu().as_ref().is_some_and(|cpu| cpu.idle().is_some())
        || named("cpu.idle")
        || named("memory.oom.group")
}

/// The number in `v252.4-1` or `252 (252.38-1~deb12u1)`; 0 if there is none.
pub(super) fn version(text: &str) -> u32 {
    let digits = text.trim_start_matches(['"', 'v']);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}

/// The properties of limits on a host with cgroup v1.
pub(super) fn for_v1(resources: &LinuxResources) -> Result<Vec<Property>> {
    let mut out = Vec::new();
    let (mut quota, mut period) = (None, None);
    let settings = settings::for_v1(resources)?;
    for (file, value) in settings.iter().flat_map(Setting::ways) {
        match file {
            "memory.limit_in_bytes" => out.push(property("MemoryLimit", number(file, value)?)),
            "cpu.shares" => out.push(property("CPUShares", number(file, value)?)),
            "blkio.weight" => out.push(property("BlockIOWeight", number(file, value)?)),
            "pids.max" => out.push(tasks(number(file, value)?)),
            "cpu.cfs_quota_us" => quota = Some(number(file, value)?),
            "cpu.cfs_period_us" => period = Some(number(file, value)?),
            _ => {}
        }
    }
    out.extend(cpu_quota(quota, period));
    Ok(out)
}

/// The properties of limits on a host with cgroup v2, for this version of systemd.
pub(super) fn for_v2(resources: &LinuxResources, version: u32) -> Result<Vec<Property>> {
    let mut out: Vec<Property> = Vec::new();
    let mut idle = false;
    let settings = settings::for_v2(resources)?;
    for (file, value) in settings.iter().flat_map(Setting::ways) {
        let value = value.trim();
        let new = match file {
            "memory.max" => vec![property("MemoryMax", number(file, value)?)],
            "memory.high" => vec![property("MemoryHigh", number(file, value)?)],
            "memory.low" => vec![property("MemoryLow", number(file, value)?)],
            "memory.min" => vec![property("MemoryMin", number(file, value)?)],
            "memory.swap.max" => vec![property("MemorySwapMax", number(file, value)?)],
            "pids.max" => vec![tasks(number(file, value)?)],
            "cpu.weight" if !idle => vec![property("CPUWeight", number(file, value)?)],
            "cpu.idle" if value == "1" && version >= IDLE => {
                idle = true;
                vec![property("CPUWeight", 0_u64)]
            }
            "cpu.max" => cpu_max(value)?,
            "cpuset.cpus" => vec![property("AllowedCPUs", bits(file, value)?)],
            "cpuset.mems" => vec![property("AllowedMemoryNodes", bits(file, value)?)],
            "io.weight" => match value.strip_prefix("default ") {
                Some(weight) => vec![property("IOWeight", number(file, weight)?)],
                None => Vec::new(),
            },
            _ => Vec::new(),
        };
        // A later one is of the unified map, which has the last word.
        out.retain(|(name, _)| !new.iter().any(|(other, _)| name == other));
        out.extend(new);
    }
    Ok(out)
}

/// What can be said only when a scope is made.
pub(super) fn at_birth(resources: &LinuxResources, version: u32) -> Vec<Property> {
    let group = resources.unified().as_ref().and_then(|map| map.get("memory.oom.group"));
    let policy = match group.map(|value| value.trim()) {
        Some("0") => "continue",
        Some("1") => "kill",
        _ => return Vec::new(),
    };
    if version < OOM_POLICY { Vec::new() } else { vec![property("OOMPolicy", policy.to_owned())] }
}

fn number(file: &str, text: &str) -> Result<u64> {
    match text {
        "max" | "-1" => Ok(INFINITY),
        _ => text.parse().map_err(|_| invalid("linux.resources", format!("{text:?} is no value for {file}"))),
    }
}

/// Systemd takes no 0 here.
fn tasks(limit: u64) -> Property {
    property("TasksMax", limit.max(1))
}

fn cpu_max(value: &str) -> Result<Vec<Property>> {
    let mut words = value.split_whitespace();
    let quota = words.next().map(|word| number("cpu.max", word)).transpose()?;
    let period = words.next().map(|word| number("cpu.max", word)).transpose()?;
    Ok(cpu_quota(quota, period))
}

fn cpu_quota(quota: Option<u64>, period: Option<u64>) -> Vec<Property> {
    let mut out = Vec::new();
    out.extend(period.map(|period| property("CPUQuotaPeriodUSec", period)));
    if quota.is_some() || period.is_some() {
        let share = match quota {
            None | Some(INFINITY) => INFINITY,
            Some(quota) => per_second(quota, period.unwrap_or(PERIOD)),
        };
        out.push(property("CPUQuotaPerSecUSec", share));
    }
    out
}

/// A list of numbers and ranges as a bit mask, least byte first.
fn bits(file: &str, list: &str) -> Result<Vec<u8>> {
    const MOST: usize = 1 << 16;
    let wrong = || invalid("linux.resources", format!("{list:?} is no value for {file}"));
    let mut mask = Vec::new();
    for range in list.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let first: usize = first.trim().parse().map_err(|_| wrong())?;
        let last: usize = last.trim().parse().map_err(|_| wrong())?;
        if first > last || last >= MOST {
            return Err(wrong());
        }
        mask.resize(mask.len().max(last / 8 + 1), 0);
        (first..=last).for_each(|bit| mask[bit / 8] |= 1 << (bit % 8));
    }
    if mask.is_empty() { Err(wrong()) } else { Ok(mask) }
}

/// Systemd's list of devices, which only allows. It lets through what the rules do and at most a little more: those
/// that forbid come after it, as the container's own program or lines.
pub(super) fn of_devices(rules: &[LinuxDeviceCgroup]) -> Result<Vec<Property>> {
    let rules = device_rules::with_defaults(rules)?;
    let everything = rules.first().is_some_and(|rule| rule.kind == DeviceKind::All && rule.allow);
    let mut allowed: Vec<(String, String)> = Vec::new();
    if !everything {
        allowed.extend(rules.iter().filter(|rule| rule.allow).filter_map(entry));
    }
    Ok(vec![
        // An empty list first: the next one is added to what is there.
        property("DeviceAllow", Vec::<(String, String)>::new()),
        property("DevicePolicy", if everything { "auto" } else { "strict" }.to_owned()),
        property("DeviceAllow", allowed),
    ])
}

/// `None` for one number of every major, which systemd has no words for.
fn entry(rule: &Rule) -> Option<(String, String)> {
    let kind = match rule.kind {
        DeviceKind::All => return None,
        DeviceKind::Block => "block",
        DeviceKind::Character => "char",
    };
    let path = match (rule.major, rule.minor) {
        (None, None) => format!("{kind}-*"),
        (None, Some(_)) => return None,
        (Some(major), None) => format!("{kind}-{major}"),
        (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
    };
    let Access { read, write, mknod } = rule.access;
    let letters = [(read, 'r'), (write, 'w'), (mknod, 'm')];
    Some((path, letters.iter().filter(|(has, _)| *has).map(|(_, letter)| letter).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(json: &str) -> LinuxResources {
        serde_json::from_str(json).unwrap()
    }

    fn words(properties: &[Property]) -> String {
        let word = |(name, value): &Property| match value {
            Variant::U64(INFINITY) => format!("{name}=infinity"),
            Variant::U64(number) => format!("{name}={number}"),
            Variant::Str(text) => format!("{name}={text}"),
            Variant::Array(list) => {
                let numbers: Vec<String> = list.iter().map(|item| format!("{item:?}")).collect();
                format!("{name}={}", numbers.join("+"))
            }
            other => format!("{name}={other:?}"),
        };
        properties.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn limits_become_properties() {
        let cases = [
            (
                r#"{"memory":{"limit":1048576,"swap":2097152,"reservation":524288},"pids":{"limit":-1}}"#,
                "MemoryLimit=1048576 TasksMax=infinity",
                "MemorySwapMax=1048576 MemoryMax=1048576 MemoryLow=524288 TasksMax=infinity",
            ),
            (
                r#"{"cpu":{"shares":512,"quota":50000,"period":100000,"cpus":"0-1,9"}}"#,
                "CPUShares=512 CPUQuotaPeriodUSec=100000 CPUQuotaPerSecUSec=500000",
                "CPUWeight=59 CPUQuotaPeriodUSec=100000 CPUQuotaPerSecUSec=500000 AllowedCPUs=U8(3)+U8(2)",
            ),
            (r#"{"cpu":{"quota":-1}}"#, "CPUQuotaPerSecUSec=infinity", "CPUQuotaPerSecUSec=infinity"),
            (r#"{"blockIO":{"weight":1000}}"#, "BlockIOWeight=1000", "IOWeight=10000"),
            (r#"{}"#, "", ""),
        ];
        for (json, v1, v2) in cases {
            assert_eq!(words(&for_v1(&resources(json)).unwrap()), v1, "{json}");
            assert_eq!(words(&for_v2(&resources(json), 252).unwrap()), v2, "{json}");
        }
    }

    #[test]
    fn the_unified_map_has_the_last_word() {
        let cases = [
            (
                r#"{"memory":{"limit":5000},"unified":{"memory.max":"max","memory.high":"7","io.max":"x"}}"#,
                252,
                "MemoryHigh=7 MemoryMax=infinity",
            ),
            (r#"{"cpu":{"shares":1024,"idle":1}}"#, 252, "CPUWeight=0"),
            (r#"{"cpu":{"shares":1024,"idle":1}}"#, 251, "CPUWeight=100"),
            (r#"{"unified":{"cpu.idle":"1","cpu.weight":"7"}}"#, 252, "CPUWeight=0"),
            (
                r#"{"unified":{"cpu.max":"max 5000"}}"#,
                0,
                "CPUQuotaPeriodUSec=5000 CPUQuotaPerSecUSec=infinity",
            ),
        ];
        for (json, version, expected) in cases {
            assert_eq!(words(&for_v2(&resources(json), version).unwrap()), expected, "{json}");
        }
        for json in
            [r#"{"cpu":{"cpus":"1-"}}"#, r#"{"cpu":{"cpus":"99999"}}"#, r#"{"unified":{"pids.max":"x"}}"#]
        {
            assert!(for_v2(&resources(json), 252).is_err(), "{json}");
        }
        let group = resources(r#"{"unified":{"memory.oom.group":"1"}}"#);
        assert!(depend_on_version(&group) && !depend_on_version(&resources("{}")));
        assert_eq!(words(&at_birth(&group, 253)), "OOMPolicy=kill");
        assert_eq!(words(&at_birth(&group, 252)), "");
    }

    #[test]
    fn quotas_are_whole_percents() {
        for (json, expected) in [
            (r#"{"cpu":{"quota":12345,"period":100000}}"#, Some(13_000)),
            (r#"{"cpu":{"quota":50000}}"#, Some(50_000)),
            (r#"{"cpu":{"quota":-1}}"#, Some(-1)),
            (r#"{"cpu":{}}"#, None),
        ] {
            assert_eq!(
                rounded(&resources(json)).cpu().as_ref().and_then(|cpu| cpu.quota()),
                expected,
                "{json}"
            );
        }
    }

    #[test]
    fn versions_are_the_first_number() {
        for (text, expected) in
            [("252 (252.38-1~deb12u1)", 252), ("v245.4-1.fc32", 245), ("\"v250\"", 250), ("", 0)]
        {
            assert_eq!(version(text), expected, "{text}");
        }
    }

    #[test]
    fn devices_are_a_list_of_what_is_allowed() {
        let rules = |json: &str| serde_json::from_str::<Vec<LinuxDeviceCgroup>>(json).unwrap();
        let none = words(&of_devices(&[]).unwrap());
        assert!(none.contains("DevicePolicy=strict") && none.contains("/dev/char/1:3"), "{none}");
        let all = of_devices(&rules(r#"[{"allow":true,"access":"rwm"}]"#)).unwrap();
        assert_eq!(words(&all), "DeviceAllow= DevicePolicy=auto DeviceAllow=");
        let some = of_devices(&rules(
            r#"[{"allow":false,"access":"rwm"},{"allow":true,"type":"b","major":8,"access":"r"}]"#,
        ));
        let text = words(&some.unwrap());
        assert!(text.contains("DevicePolicy=strict") && text.contains(r#"block-8"#), "{text}");
        assert!(text.contains("char-*") && text.contains("/dev/char/1:3"), "{text}");
    }
}
