//! The one directory of version 2.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use barge_oci::runtime_spec::LinuxMemory;
use barge_sys::bpf;
use rustix::fs::{Mode, OFlags};

use super::device_rules::Rule;
use super::order::write_in_order;
use super::settings::Setting;
use super::{Made, device_program, failed, make_directory, write_value};
use crate::error::{Error, Result};

/// Makes the directory and hands down every controller from the root of the hierarchy to it.
///
/// A controller that can't be handed down (somebody else's processes sit on the way, a threaded parent) is left out:
/// a limit that needs it fails later, by name.
pub(super) fn make(path: &Path, directory: &Path) -> Result<Made> {
    let made = make_directory(directory)?;
    let depth = path.components().count().saturating_sub(1);
    let mut ancestors: Vec<&Path> = directory.ancestors().skip(1).take(depth).collect();
    ancestors.reverse();
    ancestors.into_iter().for_each(delegate);
    Ok(made)
}

fn delegate(directory: &Path) {
    let words = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
    let (available, enabled) = (words("cgroup.controllers"), words("cgroup.subtree_control"));
    let missing: Vec<String> = available
        .split_whitespace()
        .filter(|name| !enabled.split_whitespace().any(|present| present == *name))
        .map(|name| format!("+{name}"))
        .collect();
    let control = directory.join("cgroup.subtree_control");
    if missing.is_empty() || fs::write(&control, missing.join(" ")).is_ok() {
        return;
    }
    for controller in missing {
        let _ = fs::write(&control, controller);
    }
}

pub(super) fn open_directory(directory: &Path) -> Result<OwnedFd> {
    rustix::fs::open(directory, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| failed(directory, "open", errno.into()))
}

/// Writes settings, in their order.
pub(super) fn apply(directory: &Path, settings: &[Setting]) -> Result<()> {
    let each = |(index, setting)| write_in_order(directory, setting, &settings[index..]);
    settings.iter().enumerate().try_for_each(each)
}

/// Refuses limits that would at once kill what is in the group, if the specification says so: the kernel of version 2
/// does not refuse them itself.
pub(super) fn check_use(directory: &Path, memory: &LinuxMemory) -> Result<()> {
    if memory.check_before_update() != Some(true) {
        return Ok(());
    }
    let usage = fs::read_to_string(directory.join("memory.current")).ok();
    let Some(usage) = usage.and_then(|text| text.trim().parse::<i64>().ok()) else { return Ok(()) };
    let both = [("memory+swap", memory.swap()), ("memory", memory.limit())];
    match both.into_iter().find(|(_, limit)| limit.is_some_and(|limit| limit > 0 && limit <= usage)) {
        Some((what, Some(limit))) => {
            let reason = format!("rejecting {what} limit {limit} <= usage {usage}");
            Err(Error::CgroupUnsupported { reason })
        }
        _ => Ok(()),
    }
}

/// Loads the rules as a program and puts it in the place of those that were there.
pub(super) fn restrict_devices(directory: &Path, rules: &[Rule]) -> Result<()> {
    let cgroup = open_directory(directory)?;
    let because = |operation: &'static str| move |error| failed(directory, operation, error);
    let old = bpf::device_programs(cgroup.as_fd()).unwrap_or_default();
    let program =
        bpf::load_device_program(&device_program::compile(rules)).map_err(because("load device program"))?;
    bpf::attach_device_program(cgroup.as_fd(), program.as_fd()).map_err(because("attach device program"))?;
    for program in old {
        bpf::detach_device_program(cgroup.as_fd(), program.as_fd())
            .map_err(because("detach device program"))?;
    }
    Ok(())
}

pub(super) fn set_frozen(directory: &Path, frozen: bool) -> Result<()> {
    let wanted = u64::from(frozen);
    write_value(&directory.join("cgroup.freeze"), &wanted.to_string())?;
    let events = directory.join("cgroup.events");
    for attempt in 0..1000u64 {
        let text = fs::read_to_string(&events).map_err(|error| failed(&events, "read", error))?;
        if super::stats::keyed(&text, "frozen") == wanted {
            return Ok(());
        }
        std::thread::sleep(Duration::from_micros(10 * (attempt + 1).min(1000)));
    }
    Err(failed(&events, "wait for frozen", io::Error::from(rustix::io::Errno::TIMEDOUT)))
}

pub(super) fn is_frozen(directory: &Path) -> bool {
    fs::read_to_string(directory.join("cgroup.freeze")).is_ok_and(|text| text.trim() == "1")
}
