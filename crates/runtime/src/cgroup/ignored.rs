//! Limits that a host has nothing for and that runc passes over too: their owner is told. Pure.

use barge_oci::runtime_spec::LinuxResources;

use super::{Cgroup, Places};

impl Cgroup {
    /// What of `resources` is not done here, in words for whoever asked for it.
    pub(crate) fn ignored(&self, resources: &LinuxResources) -> Vec<String> {
        let unified = matches!(self.places, Places::Unified(_));
        everywhere(resources).chain(if unified { with_v2(resources) } else { Vec::new() }).collect()
    }
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
