//! What this host can do, read once: the facts that requests are checked and specifications built against.

use std::path::Path;
use std::sync::OnceLock;

/// Facts that do not change while the engine runs.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// In Go's words: `amd64`, `arm64`, …
    pub(crate) arch: &'static str,
    /// Major and minor.
    pub(crate) kernel: (u32, u32),
    pub(crate) cpus: u32,
    /// The list of online CPUs, for example `0-3`.
    pub(crate) cpu_list: String,
    /// The list of memory nodes.
    pub(crate) node_list: String,
    pub(crate) cgroup: CgroupSetup,
    /// Swap can be limited.
    pub(crate) swap_limit: bool,
    /// Directories of each CPU that tell of its heat, masked since they tell of neighbours too (GHSA-6fw5-f8r9-fgfm).
    pub(crate) thermal_throttles: Vec<String>,
}

/// How the host's cgroups are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CgroupSetup {
    /// One hierarchy for everything.
    Unified,
    /// One hierarchy per controller; hybrid hosts are of this kind.
    Legacy,
}

impl Host {
    /// The facts of the host this runs on.
    pub(crate) fn here() -> &'static Self {
        static HOST: OnceLock<Host> = OnceLock::new();
        HOST.get_or_init(Self::probe)
    }

    fn probe() -> Self {
        let line = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let swap_file = "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes";
        let cpu_list = line("/sys/devices/system/cpu/online");
        let possible = parse_list(&line("/sys/devices/system/cpu/possible")).unwrap_or_default();
        let throttle = |cpu: &u32| format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle");
        Self {
            arch: go_arch(std::env::consts::ARCH),
            kernel: parse_kernel(&line("/proc/sys/kernel/osrelease")).unwrap_or((0, 0)),
            cpus: std::thread::available_parallelism()
                .map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX)),
            node_list: line("/sys/devices/system/node/online"),
            cgroup: if unified { CgroupSetup::Unified } else { CgroupSetup::Legacy },
            swap_limit: unified || Path::new(swap_file).exists(),
            thermal_throttles: possible
                .iter()
                .map(throttle)
                .filter(|path| Path::new(path).exists())
                .collect(),
            cpu_list,
        }
    }
}

fn go_arch(arch: &'static str) -> &'static str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

fn parse_kernel(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Reads a list as cpusets have it: `0-2,7`. `None` if it is none.
pub(crate) fn parse_list(text: &str) -> Option<Vec<u32>> {
    const MOST: u32 = 8192;
    let mut found = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= MOST {
            return None;
        }
        found.extend(first..=last);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let cases = [
            ("", Some(vec![])),
            ("0", Some(vec![0])),
            ("0-2,7", Some(vec![0, 1, 2, 7])),
            ("2-1", None),
            ("a", None),
            ("0-", None),
            ("4294967295", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_list(text), expected, "{text}");
        }
    }

    #[test]
    fn kernels() {
        assert_eq!(parse_kernel("6.18.5-amd64"), Some((6, 18)));
        assert_eq!(parse_kernel("5.10"), Some((5, 10)));
        assert_eq!(parse_kernel("x"), None);
    }
}
