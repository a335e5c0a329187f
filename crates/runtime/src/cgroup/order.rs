//! Writing limits of which the kernel wants one before the other, and what it means when it refuses one.

use std::fs;
use std::path::Path;

use rustix::io::Errno;

use super::settings::{Absent, Setting, UNIFIED};
use super::{unsupported, write_value};
use crate::error::{Error, Result};

/// Pairs of which the kernel refuses the first while the second has its present value: where the second is about to
/// be set too, it is lifted until then. The third is how.
const PAIRS: [(&str, &str, &str); 7] = [
    // Memory alone may not be above memory and swap together.
    ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "-1"),
    // A quota may not be too large for its period.
    ("cpu.cfs_period_us", "cpu.cfs_quota_us", "-1"),
    // What is saved up may not be more than a quota.
    ("cpu.cfs_quota_us", "cpu.cfs_burst_us", "0"),
    ("cpu.max", "cpu.max.burst", "0"),
    // Who is idle has no weight.
    ("cpu.shares", "cpu.idle", "0"),
    ("cpu.weight", "cpu.idle", "0"),
    // Real time may not be longer than its period.
    ("cpu.rt_period_us", "cpu.rt_runtime_us", "0"),
];

/// Writes a setting that comes before those of `rest`.
pub(super) fn write_in_order(directory: &Path, setting: &Setting, rest: &[Setting]) -> Result<()> {
    let refused = match write_setting(directory, setting) {
        Err(error) if errno(&error) == Some(Errno::INVAL) => error,
        result => return result,
    };
    let pair = PAIRS.iter().find(|(first, ..)| setting.file == *first);
    match pair.filter(|(_, second, _)| rest.iter().any(|later| later.file == *second)) {
        Some((_, second, lifted)) => {
            let second = directory.join(second);
            let before = fs::read_to_string(&second);
            write_value(&second, lifted)?;
            write_setting(directory, setting).inspect_err(|_| {
                // Not even half of it is done. The refusal is what the caller wants to hear of.
                let _ = before.and_then(|before| fs::write(&second, before));
            })
        }
        None => Err(refused),
    }
}

fn errno(error: &Error) -> Option<Errno> {
    match error {
        Error::Cgroup { source, .. } => Some(Errno::from_raw_os_error(source.errno())),
        _ => None,
    }
}

/// Writes a setting into its directory. What a kernel does not have shows in the failure: no call is spent on looking.
fn write_setting(directory: &Path, setting: &Setting) -> Result<()> {
    let file = directory.join(&setting.file);
    let Err(error) = write_value(&file, &setting.value) else { return Ok(()) };
    if file.exists() {
        let full = errno(&error) == Some(Errno::BUSY) && setting.file == "memory.limit_in_bytes";
        return Err(if full { busy(directory, setting) } else { error });
    }
    match &setting.or {
        Some((other, value)) if directory.join(other).exists() => write_value(&directory.join(other), value),
        _ if setting.absent == Absent::Refused => Err(missing(directory, setting)),
        _ => Ok(()),
    }
}

/// The kernel can't get a group's memory below a limit.
fn busy(directory: &Path, setting: &Setting) -> Error {
    let number = |file: &str| fs::read_to_string(directory.join(file)).unwrap_or_default();
    let (usage, peak) = (number("memory.usage_in_bytes"), number("memory.max_usage_in_bytes"));
    Error::CgroupUnsupported {
        reason: format!(
            "unable to set memory limit to {} (current usage: {}, peak usage: {})",
            setting.value,
            usage.trim(),
            peak.trim()
        ),
    }
}

/// A file of version 2 is missing with its controller, which a group gets from those above it.
fn missing(directory: &Path, setting: &Setting) -> Error {
    let Ok(present) = fs::read_to_string(directory.join("cgroup.controllers")) else {
        return unsupported(setting);
    };
    let controller = setting.file.split('.').next().unwrap_or_default();
    if controller == "cgroup" || present.split_whitespace().any(|name| name == controller) {
        return unsupported(setting);
    }
    let kind = fs::read_to_string(directory.join("cgroup.type")).unwrap_or_default();
    let path = directory.display();
    let reason = match kind.trim() {
        "domain invalid" => {
            format!("cannot enter cgroupv2 \"{path}\" with domain controllers -- it is in an invalid state")
        }
        kind @ ("threaded" | "domain threaded") => {
            format!("cannot enter cgroupv2 \"{path}\" with domain controllers -- it is in {kind} mode")
        }
        _ if setting.controller == UNIFIED => {
            format!(
                "unified resource {:?} can't be set: controller {controller:?} not available",
                setting.file
            )
        }
        _ => format!("{} can't be set: controller {controller:?} not available in {path}", setting.file),
    };
    Error::CgroupUnsupported { reason }
}
