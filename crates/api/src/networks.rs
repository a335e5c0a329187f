//! Networks and the endpoints that join containers to them.

use std::collections::BTreeMap;

use crate::wire::{is_default, null_when_empty, wire};

wire! {
    /// A network, in a list or inspected.
    pub struct Network {
        pub name: String,
        pub id: String,
        pub created: String,
        /// `local`, `swarm` or `global`.
        pub scope: String,
        pub driver: String,
        #[serde(rename = "EnableIPv4")]
        pub enable_ipv4: bool,
        #[serde(rename = "EnableIPv6")]
        pub enable_ipv6: bool,
        #[serde(rename = "IPAM")]
        pub ipam: Ipam,
        pub internal: bool,
        pub attachable: bool,
        pub ingress: bool,
        pub config_from: ConfigReference,
        pub config_only: bool,
        /// By container ID; in lists always empty.
        pub containers: BTreeMap<String, EndpointResource>,
        pub options: BTreeMap<String, String>,
        pub labels: BTreeMap<String, String>,
        /// Inspection only, from API 1.52 on.
        #[serde(skip_serializing_if = "is_default")]
        pub status: Option<NetworkStatus>,
    }

    /// How a network's addresses are handed out.
    pub struct Ipam {
        pub driver: String,
        #[serde(serialize_with = "null_when_empty")]
        pub options: BTreeMap<String, String>,
        pub config: Vec<IpamConfig>,
    }

    /// One subnet.
    pub struct IpamConfig {
        #[serde(skip_serializing_if = "is_default")]
        pub subnet: String,
        /// The part of the subnet containers get addresses from.
        #[serde(rename = "IPRange", skip_serializing_if = "is_default")]
        pub ip_range: String,
        #[serde(skip_serializing_if = "is_default")]
        pub gateway: String,
        /// Addresses not to be given out, by name.
        #[serde(rename = "AuxiliaryAddresses", skip_serializing_if = "is_default")]
        pub auxiliary_addresses: BTreeMap<String, String>,
    }

    /// The network a configuration is taken from.
    pub struct ConfigReference {
        pub network: String,
    }

    /// A container on a network.
    pub struct EndpointResource {
        pub name: String,
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        pub mac_address: String,
        /// With its prefix length.
        #[serde(rename = "IPv4Address")]
        pub ipv4_address: String,
        /// With its prefix length.
        #[serde(rename = "IPv6Address")]
        pub ipv6_address: String,
    }

    /// How full a network is.
    pub struct NetworkStatus {
        #[serde(rename = "IPAM")]
        pub ipam: IpamStatus,
    }

    /// How full each subnet is, by CIDR.
    pub struct IpamStatus {
        pub subnets: BTreeMap<String, SubnetStatus>,
    }

    /// How full a subnet is.
    pub struct SubnetStatus {
        #[serde(rename = "IPsInUse")]
        pub ips_in_use: u64,
        #[serde(rename = "DynamicIPsAvailable")]
        pub dynamic_ips_available: u64,
    }

    /// `POST /networks/create`.
    pub struct NetworkCreateRequest {
        pub name: String,
        /// Ignored since API 1.44: names are unique.
        #[serde(skip_serializing_if = "is_default")]
        pub check_duplicate: Option<bool>,
        pub driver: String,
        pub scope: String,
        #[serde(rename = "EnableIPv4", skip_serializing_if = "is_default")]
        pub enable_ipv4: Option<bool>,
        #[serde(rename = "EnableIPv6", skip_serializing_if = "is_default")]
        pub enable_ipv6: Option<bool>,
        #[serde(rename = "IPAM")]
        pub ipam: Option<Ipam>,
        pub internal: bool,
        pub attachable: bool,
        pub ingress: bool,
        pub config_only: bool,
        pub config_from: Option<ConfigReference>,
        pub options: BTreeMap<String, String>,
        pub labels: BTreeMap<String, String>,
    }

    /// The new network's ID.
    pub struct NetworkCreateResponse {
        pub id: String,
        pub warning: String,
    }

    /// `POST /networks/{id}/connect`.
    pub struct NetworkConnectRequest {
        pub container: String,
        #[serde(skip_serializing_if = "is_default")]
        pub endpoint_config: Option<EndpointSettings>,
    }

    /// `POST /networks/{id}/disconnect`.
    pub struct NetworkDisconnectRequest {
        pub container: String,
        pub force: bool,
    }

    /// `POST /networks/prune`.
    pub struct NetworkPrune {
        #[serde(serialize_with = "null_when_empty")]
        pub networks_deleted: Vec<String>,
    }

    /// A container's place on one network: what was asked for, then what it got.
    pub struct EndpointSettings {
        #[serde(rename = "IPAMConfig")]
        pub ipam_config: Option<EndpointIpamConfig>,
        #[serde(serialize_with = "null_when_empty")]
        pub links: Vec<String>,
        #[serde(serialize_with = "null_when_empty")]
        pub aliases: Vec<String>,
        pub mac_address: String,
        #[serde(serialize_with = "null_when_empty")]
        pub driver_opts: BTreeMap<String, String>,
        /// The highest gives the default route.
        pub gw_priority: i64,
        #[serde(rename = "NetworkID")]
        pub network_id: String,
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        pub gateway: String,
        #[serde(rename = "IPAddress")]
        pub ip_address: String,
        #[serde(rename = "IPPrefixLen")]
        pub ip_prefix_len: i64,
        #[serde(rename = "IPv6Gateway")]
        pub ipv6_gateway: String,
        #[serde(rename = "GlobalIPv6Address")]
        pub global_ipv6_address: String,
        #[serde(rename = "GlobalIPv6PrefixLen")]
        pub global_ipv6_prefix_len: i64,
        /// Every name the network's DNS answers with this endpoint.
        #[serde(rename = "DNSNames", serialize_with = "null_when_empty")]
        pub dns_names: Vec<String>,
    }

    /// Addresses asked for.
    pub struct EndpointIpamConfig {
        #[serde(rename = "IPv4Address", skip_serializing_if = "is_default")]
        pub ipv4_address: String,
        #[serde(rename = "IPv6Address", skip_serializing_if = "is_default")]
        pub ipv6_address: String,
        #[serde(rename = "LinkLocalIPs", skip_serializing_if = "is_default")]
        pub link_local_ips: Vec<String>,
    }
}
