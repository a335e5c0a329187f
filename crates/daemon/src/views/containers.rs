//! Containers by API version: what old clients see, and in `create.rs` what they mean.

mod create;

use barge_api::ApiVersion;
use barge_api::containers::{
    ContainerInspect, ContainerNetworkSettings, ContainerSummary, DefaultNetworkSettings, UpdateRequest,
};
use barge_api::networks::EndpointSettings;

pub(crate) use create::create_request;

/// Networks that have no DNS of their own.
const PREDEFINED: [&str; 4] = ["bridge", "host", "none", "default"];

/// The list as this version has it.
pub(crate) fn list(mut containers: Vec<ContainerSummary>, version: ApiVersion) -> Vec<ContainerSummary> {
    for container in &mut containers {
        if !version.at_least(46) {
            container.host_config.annotations.clear();
        }
        if !version.at_least(48) {
            container.image_manifest_descriptor = None;
        }
        if !version.at_least(52) {
            container.health = None;
        }
    }
    containers
}

/// The container as this version has it.
pub(crate) fn inspect(mut container: ContainerInspect, version: ApiVersion) -> ContainerInspect {
    if !version.at_least(44) {
        let endpoint = main_endpoint(&container);
        container.config.mac_address =
            endpoint.map(|endpoint| endpoint.mac_address.clone()).unwrap_or_default();
    }
    if !version.at_least(45) {
        short_id_as_alias(&mut container);
    }
    if !version.at_least(46) {
        container.host_config.annotations.clear();
    }
    if !version.at_least(48) {
        container.image_manifest_descriptor = None;
    }
    let settings = &mut container.network_settings;
    if version.at_least(52) {
        settings.bridge = None;
        settings.default_bridge = None;
    } else {
        settings.bridge.get_or_insert_default();
        settings.default_bridge = Some(default_bridge(settings));
    }
    container
}

/// The endpoint of the network that the container names first.
fn main_endpoint(container: &ContainerInspect) -> Option<&EndpointSettings> {
    let mode = container.host_config.network_mode.as_str();
    let name = if mode == "default" { "bridge" } else { mode };
    container.network_settings.networks.get(name)
}

/// Up to 1.44 the short ID stood among the aliases on networks with DNS; later it is a DNS name only.
fn short_id_as_alias(container: &mut ContainerInspect) {
    let short: String = container.id.chars().take(12).collect();
    for (name, endpoint) in &mut container.network_settings.networks {
        if !PREDEFINED.contains(&name.as_str()) && !endpoint.aliases.contains(&short) {
            endpoint.aliases.push(short.clone());
        }
    }
}

/// The default bridge's endpoint, repeated beside the networks.
fn default_bridge(settings: &ContainerNetworkSettings) -> DefaultNetworkSettings {
    let Some(endpoint) = settings.networks.get("bridge") else { return DefaultNetworkSettings::default() };
    DefaultNetworkSettings {
        endpoint_id: endpoint.endpoint_id.clone(),
        gateway: endpoint.gateway.clone(),
        global_ipv6_address: endpoint.global_ipv6_address.clone(),
        global_ipv6_prefix_len: endpoint.global_ipv6_prefix_len,
        ip_address: endpoint.ip_address.clone(),
        ip_prefix_len: endpoint.ip_prefix_len,
        ipv6_gateway: endpoint.ipv6_gateway.clone(),
        mac_address: endpoint.mac_address.clone(),
        ..DefaultNetworkSettings::default()
    }
}

/// What an update of this version means.
pub(crate) fn update_request(mut request: UpdateRequest, version: ApiVersion) -> UpdateRequest {
    if !version.at_least(40) {
        request.resources.pids_limit = None;
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_see_the_default_bridge_twice() {
        let endpoint = EndpointSettings {
            ip_address: "172.17.0.2".to_owned(),
            mac_address: "02:42".to_owned(),
            ..EndpointSettings::default()
        };
        let mut container =
            ContainerInspect { id: "0123456789abcdef".to_owned(), ..ContainerInspect::default() };
        container.host_config.network_mode = "bridge".to_owned();
        container.network_settings.networks.insert("bridge".to_owned(), endpoint.clone());
        container.network_settings.networks.insert("mine".to_owned(), endpoint);

        let old = inspect(container.clone(), ApiVersion::new(1, 43));
        let bridge = old.network_settings.default_bridge.unwrap();
        assert_eq!((bridge.ip_address.as_str(), old.config.mac_address.as_str()), ("172.17.0.2", "02:42"));
        assert_eq!(old.network_settings.networks["mine"].aliases, ["0123456789ab"]);
        assert!(old.network_settings.networks["bridge"].aliases.is_empty());

        let between = inspect(container.clone(), ApiVersion::new(1, 51));
        assert!(between.network_settings.default_bridge.is_some() && between.config.mac_address.is_empty());
        assert_eq!(inspect(container.clone(), ApiVersion::new(1, 52)), container);
    }
}
