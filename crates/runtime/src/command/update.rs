//! `update`: other limits for a container that exists. What is not named stays.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use barge_oci::runtime_spec::LinuxResources;
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::state::{Container, Status};
use crate::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// File with the limits as JSON (`linux.resources`), - for standard input; all other options are ignored then
    #[arg(long, short)]
    resources: Option<PathBuf>,
    /// Block I/O weight, 10 to 1000
    #[arg(long)]
    blkio_weight: Option<u16>,
    /// Period of the CPU quota, microseconds
    #[arg(long)]
    cpu_period: Option<u64>,
    /// CPU time in a period, microseconds; -1 for no limit
    #[arg(long, allow_hyphen_values = true)]
    cpu_quota: Option<i64>,
    /// CPU time that may be saved up, microseconds
    #[arg(long)]
    cpu_burst: Option<u64>,
    /// CPU shares, relative to other containers
    #[arg(long)]
    cpu_share: Option<u64>,
    /// Period of real-time scheduling, microseconds
    #[arg(long)]
    cpu_rt_period: Option<u64>,
    /// Real-time CPU time in a period, microseconds
    #[arg(long, allow_hyphen_values = true)]
    cpu_rt_runtime: Option<i64>,
    /// Processors to use
    #[arg(long)]
    cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long)]
    cpuset_mems: Option<String>,
    /// Ignored, as in runc: kernels have no such limit any more
    #[arg(long, hide = true, allow_hyphen_values = true)]
    kernel_memory: Option<String>,
    /// Ignored, as in runc: kernels have no such limit any more
    #[arg(long, hide = true, allow_hyphen_values = true)]
    kernel_memory_tcp: Option<String>,
    /// Memory limit, bytes or with a unit; -1 for none
    #[arg(long, allow_hyphen_values = true)]
    memory: Option<String>,
    /// 1 to run only when nothing else does
    #[arg(long)]
    cpu_idle: Option<i64>,
    /// Soft memory limit
    #[arg(long, allow_hyphen_values = true)]
    memory_reservation: Option<String>,
    /// Memory and swap together; -1 for no limit
    #[arg(long, allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// Most processes
    #[arg(long, allow_hyphen_values = true)]
    pids_limit: Option<i64>,
    /// Refused: Intel RDT is not managed
    #[arg(long, hide = true)]
    l3_cache_schema: Option<String>,
    /// Refused: Intel RDT is not managed
    #[arg(long, hide = true)]
    mem_bw_schema: Option<String>,
    /// Container
    id: String,
}

pub(super) fn update(root: &Path, arguments: &Arguments) -> Result<u8> {
    let mut container = Container::load(root, &arguments.id)?;
    if container.status() == Status::Stopped {
        return Err(Error::Usage { reason: "container not running".into() });
    }
    if arguments.l3_cache_schema.is_some() || arguments.mem_bw_schema.is_some() {
        return Err(Error::Usage { reason: "Intel RDT: no container of this runtime has a group".into() });
    }
    let mut wanted = match &arguments.resources {
        Some(file) => document(file)?,
        None => described(arguments)?,
    };
    let linux = container.document.spec.linux().clone().unwrap_or_default();
    let mut present = linux.resources().as_ref().map_or(Value::Null, |r| json!(r));
    complete(&mut wanted, &present);
    let resources = resources(&wanted)?;
    container.cgroup()?.update(&resources)?;
    merge(&mut present, &wanted);
    let mut linux = linux;
    linux.set_resources(Some(self::resources(&present)?));
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

fn described(arguments: &Arguments) -> Result<Value> {
    let mut out = json!({});
    let mut put = |section: &str, key: &str, value: Option<Value>| {
        if let Some(value) = value {
            out[section][key] = value;
        }
    };
    put("blockIO", "weight", arguments.blkio_weight.map(Value::from));
    put("cpu", "period", arguments.cpu_period.map(Value::from));
    put("cpu", "quota", arguments.cpu_quota.map(Value::from));
    put("cpu", "burst", arguments.cpu_burst.map(Value::from));
    put("cpu", "shares", arguments.cpu_share.map(Value::from));
    put("cpu", "realtimePeriod", arguments.cpu_rt_period.map(Value::from));
    put("cpu", "realtimeRuntime", arguments.cpu_rt_runtime.map(Value::from));
    put("cpu", "cpus", arguments.cpuset_cpus.clone().map(Value::from));
    put("cpu", "mems", arguments.cpuset_mems.clone().map(Value::from));
    put("cpu", "idle", arguments.cpu_idle.map(Value::from));
    put("memory", "limit", bytes("memory", arguments.memory.as_deref())?);
    put("memory", "reservation", bytes("memory-reservation", arguments.memory_reservation.as_deref())?);
    put("memory", "swap", bytes("memory-swap", arguments.memory_swap.as_deref())?);
    put("pids", "limit", arguments.pids_limit.map(Value::from));
    Ok(out)
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
