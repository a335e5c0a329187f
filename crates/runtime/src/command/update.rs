//! `update`: other limits for a container that exists. What is not named stays.

use std::fs;
use std::io::Read;
use std::path::Path;

use barge_oci::runtime_spec::LinuxResources;
use serde::Deserialize;
use serde_json::{Value, json};

use super::flags::{CONTAINER, Flag, Given, Syntax};
use super::state::{Container, Status};
use super::{Globals, Verb, warn};
use crate::error::{Error, Result};
use crate::rdt::RdtPlan;

pub(super) const VERB: Verb = Verb::new(
    Syntax {
        verb: "update",
        about: "Change a container's limits",
        words: CONTAINER,
        count: (1, 1),
        open: false,
        flags: &[
            Flag::with("resources", "file", "File with the limits as JSON (`linux.resources`), - for standard input; all other options are ignored then").or('r'),
            Flag::with("blkio-weight", "n", "Block I/O weight, 10 to 1000"),
            Flag::with("cpu-period", "n", "Period of the CPU quota, microseconds"),
            Flag::with("cpu-quota", "n", "CPU time in a period, microseconds; -1 for no limit"),
            Flag::with("cpu-burst", "n", "CPU time that may be saved up, microseconds"),
            Flag::with("cpu-share", "n", "CPU shares, relative to other containers"),
            Flag::with("cpu-rt-period", "n", "Period of real-time scheduling, microseconds"),
            Flag::with("cpu-rt-runtime", "n", "Real-time CPU time in a period, microseconds"),
            Flag::with("cpuset-cpus", "text", "Processors to use"),
            Flag::with("cpuset-mems", "text", "Memory nodes to use"),
            Flag::with("kernel-memory", "text", ""),
            Flag::with("kernel-memory-tcp", "text", ""),
            Flag::with("memory", "text", "Memory limit, bytes or with a unit; -1 for none"),
            Flag::with("cpu-idle", "n", "1 to run only when nothing else does"),
            Flag::with("memory-reservation", "text", "Soft memory limit"),
            Flag::with("memory-swap", "text", "Memory and swap together; -1 for no limit"),
            Flag::with("pids-limit", "n", "Most processes"),
            Flag::with("l3-cache-schema", "text", ""),
            Flag::with("mem-bw-schema", "text", ""),
        ],
    },
    update,
);

fn update(globals: &Globals, given: &Given) -> Result<u8> {
    let id = given.container()?;
    if Container::load(&globals.root, &id)?.stage()? == Status::Stopped {
        return Err(Error::Usage { reason: "container not running".into() });
    }
    let mut wanted = match given.path("resources") {
        Some(file) => document(&file)?,
        None => described(given)?,
    };
    // Standard input, which others must not wait for, has been read.
    let (mut container, _lock) = Container::load_to_change(&globals.root, &id)?;
    let linux = container.document.spec.linux().clone().unwrap_or_default();
    let rdt = match (given.text("l3-cache-schema")?, given.text("mem-bw-schema")?) {
        (None, None) => None,
        (cache, bandwidth) => Some(RdtPlan::changing(&linux, &container.document.id, cache, bandwidth)?),
    };
    let mut present = linux.resources().as_ref().map_or(Value::Null, |r| json!(r));
    complete(&mut wanted, &present);
    let resources = resources(&wanted)?;
    let cgroup = container.cgroup()?;
    cgroup.ignored(&resources).iter().for_each(|ignored| warn(ignored));
    cgroup.update(&resources)?;
    merge(&mut present, &wanted);
    let mut linux = linux;
    linux.set_resources(Some(self::resources(&present)?));
    if let Some((rdt, plan)) = rdt {
        plan.update()?;
        linux.set_intel_rdt(Some(rdt));
    }
    container.document.spec.set_linux(Some(linux));
    Container::save(container.directory, container.document)?;
    Ok(0)
}

fn resources(json: &Value) -> Result<LinuxResources> {
    LinuxResources::deserialize(json)
        .map_err(|error| Error::Document { path: "resources".into(), reason: error.to_string() })
}

fn document(file: &Path) -> Result<Value> {
    let mut text = Vec::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().lock().read_to_end(&mut text).map(|_| ()),
        _ => fs::read(file).map(|content| text = content),
    };
    read.map_err(|error| Error::File { operation: "read".into(), path: file.into(), source: error.into() })?;
    serde_json::from_slice(&text)
        .map_err(|error| Error::Document { path: file.into(), reason: error.to_string() })
}

fn described(given: &Given) -> Result<Value> {
    let mut out = json!({});
    for (flag, section, key) in [
        ("blkio-weight", "blockIO", "weight"),
        ("cpu-period", "cpu", "period"),
        ("cpu-burst", "cpu", "burst"),
        ("cpu-share", "cpu", "shares"),
        ("cpu-rt-period", "cpu", "realtimePeriod"),
    ] {
        put(&mut out, section, key, given.number::<u64>(flag)?);
    }
    for (flag, section, key) in [
        ("cpu-quota", "cpu", "quota"),
        ("cpu-rt-runtime", "cpu", "realtimeRuntime"),
        ("cpu-idle", "cpu", "idle"),
        ("pids-limit", "pids", "limit"),
    ] {
        put(&mut out, section, key, given.number::<i64>(flag)?);
    }
    put(&mut out, "cpu", "cpus", given.text("cpuset-cpus")?);
    put(&mut out, "cpu", "mems", given.text("cpuset-mems")?);
    for (flag, key) in [
        ("memory", "limit"),
        ("memory-reservation", "reservation"),
        ("memory-swap", "swap"),
        ("kernel-memory", "kernel"),
        ("kernel-memory-tcp", "kernelTCP"),
    ] {
        put(&mut out, "memory", key, bytes(flag, given.text(flag)?.as_deref())?);
    }
    Ok(out)
}

fn put(out: &mut Value, section: &str, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        out[section][key] = value.into();
    }
}

fn bytes(flag: &str, text: Option<&str>) -> Result<Option<Value>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    match size(text) {
        Some(size) => Ok(Some(size.into())),
        None => Err(Error::Usage { reason: format!("invalid value for {flag}: invalid size: '{text}'") }),
    }
}

/// Bytes as `1024`, `1.5g`, `64MiB`: units are powers of 1024. -1 is no limit.
fn size(text: &str) -> Option<i64> {
    if text == "-1" {
        return Some(-1);
    }
    let lower = text.to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (digits, unit) = lower.split_at(end);
    let unit = unit.trim_start();
    let power = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(unit) {
        "" if unit != "ib" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let number: f64 = digits.parse().ok()?;
    let product = number * 1024f64.powi(power);
    (product < i64::MAX as f64).then_some(product as i64)
}

/// Values of which the kernel wants both get the one that was not named from what the container has.
fn complete(wanted: &mut Value, present: &Value) {
    for (section, named, other) in
        [("memory", "swap", "limit"), ("cpu", "quota", "period"), ("cpu", "period", "quota")]
    {
        if wanted[section][named].is_null() || !wanted[section][other].is_null() {
            continue;
        }
        if !present[section][other].is_null() {
            wanted[section][other] = present[section][other].clone();
        }
    }
    // No memory limit and one for memory and swap is what version 1 refuses: as in runc, both go.
    if wanted["memory"]["limit"] == -1 && wanted["memory"]["swap"].is_null() {
        wanted["memory"]["swap"] = json!(-1);
    }
    if let Some(sections) = wanted.as_object_mut() {
        sections.retain(|_, section| !section.is_null());
    }
}

fn merge(into: &mut Value, from: &Value) {
    match from.as_object() {
        Some(fields) => fields.iter().for_each(|(key, value)| merge(&mut into[key], value)),
        None => *into = from.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let cases = [
            ("1024", Some(1024)),
            ("-1", Some(-1)),
            ("64m", Some(64 << 20)),
            ("1.5GiB", Some(3 << 29)),
            ("2kb", Some(2048)),
            ("5b", Some(5)),
            ("", None),
            ("m", None),
            ("-2", None),
            ("1x", None),
            ("1ib", None),
            ("99999p", None),
        ];
        for (text, expected) in cases {
            assert_eq!(size(text), expected, "{text}");
        }
    }

    #[test]
    fn pairs_are_completed_from_what_is_there() {
        let present = json!({"memory": {"limit": 5}, "cpu": {"quota": 1, "period": 2}});
        let cases = [
            (json!({"memory": {"swap": 9}}), json!({"memory": {"swap": 9, "limit": 5}})),
            (json!({"cpu": {"quota": 7}}), json!({"cpu": {"quota": 7, "period": 2}})),
            (json!({"memory": {"limit": -1}}), json!({"memory": {"limit": -1, "swap": -1}})),
            (json!({"pids": {"limit": 3}}), json!({"pids": {"limit": 3}})),
        ];
        for (mut wanted, expected) in cases {
            complete(&mut wanted, &present);
            assert_eq!(wanted, expected);
        }
    }

    #[test]
    fn what_is_not_named_stays() {
        let mut present = json!({"memory": {"limit": 5, "swap": 6}});
        merge(&mut present, &json!({"memory": {"limit": 7}, "pids": {"limit": 1}}));
        assert_eq!(present, json!({"memory": {"limit": 7, "swap": 6}, "pids": {"limit": 1}}));
    }
}
