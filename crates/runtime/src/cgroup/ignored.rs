//! Limits that a host has nothing for and that runc passes over too: their owner is told.

use std::path::Path;

use barge_oci::runtime_spec::LinuxResources;

use super::settings::{self, Absent, Setting};
use super::{Cgroup, Places, v1};

impl Cgroup {
    /// What of `resources` is not done here, in words for whoever asked for it.
    pub(crate) fn ignored(&self, resources: &LinuxResources) -> Vec<String> {
        let unified = matches!(self.places, Places::Unified(_));
        let mut out: Vec<String> = everywhere(resources).collect();
        if unified {
            out.extend(with_v2(resources));
        }
        if may_be_told(resources) {
            let settings = if unified { settings::for_v2(resources) } else { settings::for_v1(resources) }
                .unwrap_or_default();
            out.extend(settings.iter().filter_map(|setting| self.passed_over(setting)));
        }
        out
    }

    fn passed_over(&self, setting: &Setting) -> Option<String> {
        let directory = match &self.places {
            Places::Legacy(places) => v1::place(places, setting.controller),
            Places::Unified(directory) => Some(directory.as_path()),
        };
        let is_there = |file: &str| directory.unwrap_or(Path::new("/nonexistent")).join(file).exists();
        if setting.absent != Absent::Told || setting.ways().any(|(file, _)| is_there(file)) {
            return None;
        }
        let files: Vec<&str> = setting.ways().map(|(file, _)| file).collect();
        Some(format!("{:?} is ignored: this host has no {}", setting.value, files.join(" or ")))
    }
}

/// Whether there is a limit among them that is told when a host lacks it: others need not be looked for.
fn may_be_told(resources: &LinuxResources) -> bool {
    resources.block_io().is_some() || resources.cpu().as_ref().is_some_and(|cpu| cpu.burst().is_some())
}

fn everywhere(resources: &LinuxResources) -> impl Iterator<Item = String> {
    let kernel = resources.memory().as_ref().is_some_and(|memory| memory.kernel().is_some());
    kernel.then(|| "Kernel memory settings are ignored and will be removed".to_owned()).into_iter()
}

fn with_v2(resources: &LinuxResources) -> Vec<String> {
    let memory = resources.memory().as_ref();
    let cpu = resources.cpu().as_ref();
    let network = resources.network().as_ref();
    let block = resources.block_io().as_ref();
    let positive = |number: Option<u64>| number.is_some_and(|number| number > 0);
    [
        ("memory.swappiness", memory.is_some_and(|memory| memory.swappiness().is_some())),
        ("memory.disableOOMKiller", memory.is_some_and(|memory| memory.disable_oom_killer() == Some(true))),
        (
            "memory.kernelTCP",
            memory.is_some_and(|memory| memory.kernel_tcp().is_some_and(|limit| limit != 0)),
        ),
        ("cpu.realtimePeriod", cpu.is_some_and(|cpu| positive(cpu.realtime_period()))),
        (
            "cpu.realtimeRuntime",
            cpu.is_some_and(|cpu| cpu.realtime_runtime().is_some_and(|runtime| runtime != 0)),
        ),
        ("network.classID", network.is_some_and(|network| network.class_id().is_some_and(|id| id != 0))),
        (
            "network.priorities",
            network.is_some_and(|network| network.priorities().as_ref().is_some_and(|list| !list.is_empty())),
        ),
        (
            "blockIO.leafWeight",
            block.is_some_and(|block| block.leaf_weight().is_some_and(|weight| weight != 0)),
        ),
    ]
    .into_iter()
    .filter(|(_, asked)| *asked)
    .map(|(name, _)| format!("linux.resources.{name} is ignored: cgroup v2 has no such setting"))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_version_two_lacks_is_named() {
        let cases = [
            ("{}", vec![]),
            (r#"{"memory":{"swappiness":0,"kernel":-1}}"#, vec!["Kernel memory", "memory.swappiness"]),
            (
                r#"{"cpu":{"realtimePeriod":5,"realtimeRuntime":4},"network":{"classID":1,"priorities":[]}}"#,
                vec!["cpu.realtimePeriod", "cpu.realtimeRuntime", "network.classID"],
            ),
            (r#"{"memory":{"disableOOMKiller":false},"cpu":{"realtimePeriod":0}}"#, vec![]),
        ];
        for (json, expected) in cases {
            let resources: LinuxResources = serde_json::from_str(json).unwrap();
            let told: Vec<String> = everywhere(&resources).chain(with_v2(&resources)).collect();
            assert_eq!(told.len(), expected.len(), "{json}: {told:?}");
            for (told, expected) in told.iter().zip(expected) {
                assert!(told.contains(expected), "{json}: {told}");
            }
        }
    }
}
