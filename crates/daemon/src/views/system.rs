//! Information and disk usage by API version.

use std::collections::BTreeMap;

use barge_api::ApiVersion;
use barge_api::system::{DiskUsage, Info};

/// The information as this version has it.
pub(crate) fn info(mut info: Info, version: ApiVersion) -> Info {
    if !version.at_least(44) {
        info.runtimes.values_mut().for_each(|runtime| runtime.status = BTreeMap::new());
    }
    if !version.at_least(46) {
        info.containerd = None;
    }
    if !version.at_least(49) {
        info.firewall_backend = None;
        for commit in [&mut info.containerd_commit, &mut info.runc_commit, &mut info.init_commit] {
            commit.expected.clone_from(&commit.id);
        }
    }
    if !version.at_least(50) {
        info.discovered_devices.clear();
        info.bridge_nf_iptables = Some(true);
        info.bridge_nf_ip6tables = Some(true);
    }
    info
}

/// What the usage must carry: lists for old clients, sums for new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Lists beside the sums: before 1.52, and in it unless told otherwise.
    Legacy,
    Sums,
    /// Sums that carry their lists.
    Verbose,
}

/// The usage in the wanted detail, from one that has all sums and their items.
pub(crate) fn disk_usage(mut usage: DiskUsage, detail: Detail, version: ApiVersion) -> DiskUsage {
    if detail == Detail::Verbose {
        return usage;
    }
    let images = usage.image_usage.as_mut().map(|usage| std::mem::take(&mut usage.items));
    let containers = usage.container_usage.as_mut().map(|usage| std::mem::take(&mut usage.items));
    let volumes = usage.volume_usage.as_mut().map(|usage| std::mem::take(&mut usage.items));
    let build_cache = usage.build_cache_usage.as_mut().map(|usage| std::mem::take(&mut usage.items));
    if detail == Detail::Legacy {
        usage.layers_size = usage.image_usage.as_ref().map(|usage| usage.total_size);
        usage.images = images;
        usage.containers = containers;
        usage.volumes = volumes;
        usage.build_cache = build_cache;
        usage.builder_size = (!version.at_least(42)).then_some(0);
    }
    if !version.at_least(52) {
        (usage.image_usage, usage.container_usage) = (None, None);
        (usage.volume_usage, usage.build_cache_usage) = (None, None);
    }
    usage
}

#[cfg(test)]
mod tests {
    use barge_api::system::{Commit, Firewall, Usage};
    use barge_api::volumes::Volume;

    use super::*;

    #[test]
    fn info_is_cut_back() {
        let newest = Info {
            firewall_backend: Some(Firewall::default()),
            runc_commit: Commit { id: "abc".to_owned(), expected: String::new() },
            ..Info::default()
        };
        let old = info(newest.clone(), ApiVersion::new(1, 48));
        assert_eq!((old.firewall_backend, old.runc_commit.expected.as_str()), (None, "abc"));
        assert_eq!(old.bridge_nf_iptables, Some(true));
        assert_eq!(info(newest.clone(), ApiVersion::new(1, 52)), newest);
    }

    #[test]
    fn usage_moves_between_lists_and_sums() {
        let volumes =
            Usage { total_count: 1, total_size: 7, items: vec![Volume::default()], ..Usage::default() };
        let newest = DiskUsage { volume_usage: Some(volumes), ..DiskUsage::default() };
        let old = disk_usage(newest.clone(), Detail::Legacy, ApiVersion::new(1, 41));
        assert_eq!((old.volumes.map(|items| items.len()), old.volume_usage), (Some(1), None));
        assert_eq!(old.builder_size, Some(0));
        let both = disk_usage(newest.clone(), Detail::Legacy, ApiVersion::new(1, 52));
        assert!(both.volumes.is_some() && both.volume_usage.unwrap().items.is_empty());
        let sums = disk_usage(newest.clone(), Detail::Sums, ApiVersion::new(1, 52));
        assert_eq!((sums.volumes, sums.volume_usage.unwrap().total_size), (None, 7));
        assert_eq!(disk_usage(newest.clone(), Detail::Verbose, ApiVersion::new(1, 52)), newest);
    }
}
