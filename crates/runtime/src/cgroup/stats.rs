//! What a container uses, read from its cgroups.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::v1::Place;

/// A reading. What the host does not count is 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Processor time, nanoseconds.
    pub cpu_total: u64,
    /// Of it in user mode, nanoseconds.
    pub cpu_user: u64,
    /// Of it in the kernel, nanoseconds.
    pub cpu_system: u64,
    /// Scheduling periods that have passed under a quota.
    pub periods: u64,
    /// Of them those in which the quota was used up.
    pub throttled_periods: u64,
    /// Time waited for quota, nanoseconds.
    pub throttled_time: u64,
    /// Memory in use, page cache included, bytes.
    pub memory_usage: u64,
    /// Its greatest value so far, bytes.
    pub memory_peak: u64,
    /// Page cache that could be dropped first (`inactive_file`), bytes.
    pub memory_inactive_file: u64,
    /// The limit, bytes; a huge number when there is none.
    pub memory_limit: u64,
    /// How often the limit was met.
    pub memory_failures: u64,
    /// Processes and threads now.
    pub pids: u64,
    /// Their limit, 0 for none.
    pub pids_limit: u64,
    /// Bytes read from block devices.
    pub io_read: u64,
    /// Bytes written to block devices.
    pub io_written: u64,
}

fn text(directory: &Path, file: &str) -> String {
    fs::read_to_string(directory.join(file)).unwrap_or_default()
}

fn number(directory: &Path, file: &str) -> u64 {
    let text = text(directory, file);
    match text.trim() {
        "max" => u64::MAX,
        digits => digits.parse().unwrap_or(0),
    }
}

/// The number behind a key in a file of `key number` lines.
pub(super) fn keyed(text: &str, key: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

pub(super) fn of_v1(places: &[Place]) -> Stats {
    let at = |controller: &str| places.iter().find(|p| p.has(controller)).map(|p| p.directory.clone());
    let mut out = Stats::default();
    if let Some(directory) = at("cpuacct") {
        out.cpu_total = number(&directory, "cpuacct.usage");
        out.cpu_user = number(&directory, "cpuacct.usage_user");
        out.cpu_system = number(&directory, "cpuacct.usage_sys");
    }
    if let Some(directory) = at("cpu") {
        let stat = text(&directory, "cpu.stat");
        out.periods = keyed(&stat, "nr_periods");
        out.throttled_periods = keyed(&stat, "nr_throttled");
        out.throttled_time = keyed(&stat, "throttled_time");
    }
    if let Some(directory) = at("memory") {
        out.memory_usage = number(&directory, "memory.usage_in_bytes");
        out.memory_peak = number(&directory, "memory.max_usage_in_bytes");
        out.memory_limit = number(&directory, "memory.limit_in_bytes");
        out.memory_failures = number(&directory, "memory.failcnt");
        out.memory_inactive_file = keyed(&text(&directory, "memory.stat"), "total_inactive_file");
    }
    if let Some(directory) = at("pids") {
        pids(&directory, &mut out);
    }
    if let Some(directory) = at("blkio") {
        for line in text(&directory, "blkio.throttle.io_service_bytes_recursive").lines() {
            let mut words = line.split(' ').skip(1);
            let (operation, bytes) = (words.next(), words.next().and_then(|n| n.parse::<u64>().ok()));
            match (operation, bytes) {
                (Some("Read"), Some(bytes)) => out.io_read += bytes,
                (Some("Write"), Some(bytes)) => out.io_written += bytes,
                _ => {}
            }
        }
    }
    out
}

fn pids(directory: &Path, out: &mut Stats) {
    out.pids = number(directory, "pids.current");
    out.pids_limit = match number(directory, "pids.max") {
        u64::MAX => 0,
        limit => limit,
    };
}

pub(super) fn of_v2(directory: &Path) -> Stats {
    let mut out = Stats::default();
    let cpu = text(directory, "cpu.stat");
    out.cpu_total = keyed(&cpu, "usage_usec") * 1000;
    out.cpu_user = keyed(&cpu, "user_usec") * 1000;
    out.cpu_system = keyed(&cpu, "system_usec") * 1000;
    out.periods = keyed(&cpu, "nr_periods");
    out.throttled_periods = keyed(&cpu, "nr_throttled");
    out.throttled_time = keyed(&cpu, "throttled_usec") * 1000;
    out.memory_usage = number(directory, "memory.current");
    out.memory_peak = number(directory, "memory.peak");
    out.memory_limit = number(directory, "memory.max");
    out.memory_failures = keyed(&text(directory, "memory.events"), "max");
    out.memory_inactive_file = keyed(&text(directory, "memory.stat"), "inactive_file");
    pids(directory, &mut out);
    for word in text(directory, "io.stat").split_whitespace() {
        match word.split_once('=') {
            Some(("rbytes", bytes)) => out.io_read += bytes.parse().unwrap_or(0),
            Some(("wbytes", bytes)) => out.io_written += bytes.parse().unwrap_or(0),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_whole_name() {
        let text = "oom_kill_disable 1\nunder_oom 0\noom_kill 3\n";
        for (key, value) in [("oom_kill", 3), ("under_oom", 0), ("oom", 0), ("oom_kill_disable", 1)] {
            assert_eq!(keyed(text, key), value, "{key}");
        }
    }
}
