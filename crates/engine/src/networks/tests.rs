//! What is decided and kept without touching the host.

use std::path::Path;

use barge_api::Filters;
use barge_api::networks::{EndpointIpamConfig, Ipam, IpamConfig, NetworkCreateRequest};

use super::document::{BridgeDocument, DriverName};
use super::*;
use crate::config::Config;
use crate::error::Kind;

struct Root(PathBuf);

impl Root {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("barge-networks-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        Self(root)
    }

    /// Networks without a default bridge: that one would be made on the host.
    fn open(&self) -> Networks {
        let mut config = Config::new(&self.0, self.0.join("run"), "/nowhere");
        config.no_default_bridge = true;
        Networks::open(&config).unwrap()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn entry(id: &str, name: &str, chosen_subnet: bool) -> Document {
    let definition = Definition {
        id: id.to_owned(),
        name: name.to_owned(),
        bridge: format!("br-{name}"),
        subnet: "10.9.0.0/24".parse().unwrap(),
        gateway: "10.9.0.1".parse().unwrap(),
        mtu: 1500,
        masquerade: true,
        icc: true,
        internal: false,
        default_binding: std::net::Ipv4Addr::UNSPECIFIED.into(),
    };
    let reserved = BTreeMap::from([("printer".to_owned(), "10.9.0.2".parse().unwrap())]);
    let mut document = Document::new(id.to_owned(), name, DriverName::Bridge);
    document.bridge = Some(BridgeDocument { definition, range: None, reserved, chosen_subnet });
    document
}

fn insert(networks: &Networks, document: Document) {
    networks.entries_mut().insert(document.id.clone(), Arc::new(document.into_entry()));
}

#[test]
fn ids_of_host_and_none_outlive_the_engine() {
    let root = Root::new("ids");
    let first = root.open();
    let (host, none) = (first.id("host").unwrap(), first.id("none").unwrap());
    assert!(host.len() == 64 && host != none);
    drop(first);
    let second = root.open();
    assert_eq!((second.id("host").unwrap(), second.id("none").unwrap()), (host, none));
    assert_eq!(second.id("bridge").unwrap_err().message(), "network bridge not found");
}

#[test]
fn networks_are_found_by_id_name_and_the_start_of_an_id() {
    let root = Root::new("find");
    let networks = root.open();
    insert(&networks, entry("beef01", "one", false));
    insert(&networks, entry("beef02", "two", false));
    insert(&networks, entry("cafe", "beef", false));
    let id = |wanted: &str| networks.find(wanted).map(|entry| entry.document.id.clone());
    assert_eq!(id("one").unwrap(), "beef01");
    assert_eq!(id("beef02").unwrap(), "beef02");
    assert_eq!(id("beef").unwrap(), "cafe", "a name goes before the start of an ID");
    assert_eq!(id("caf").unwrap(), "cafe");
    assert_eq!(id("bee").unwrap_err().message(), "network bee is ambiguous (2 matches found on ID prefix)");
    for missing in ["", "three"] {
        assert_eq!(id(missing).unwrap_err().kind(), Kind::NotFound, "{missing:?}");
    }
}

#[test]
fn lists_are_filtered() {
    let root = Root::new("list");
    let networks = root.open();
    let mut labelled = entry("not-hex", "mine", false);
    labelled.labels.insert("team".to_owned(), "blue".to_owned());
    insert(&networks, labelled);
    let names = |filters: &str| -> Vec<String> {
        let filters = Filters::parse(filters).unwrap();
        networks.list(&filters).unwrap().into_iter().map(|network| network.name).collect()
    };
    let cases: [(&str, &[&str]); 9] = [
        ("", &["host", "mine", "none"]),
        (r#"{"name":["in"]}"#, &["mine"]),
        (r#"{"id":["ot-h"]}"#, &["mine"]),
        (r#"{"driver":["null"]}"#, &["none"]),
        (r#"{"type":["custom"]}"#, &["mine"]),
        (r#"{"type":["builtin"]}"#, &["host", "none"]),
        (r#"{"label":["team=blue"]}"#, &["mine"]),
        (r#"{"dangling":["true"]}"#, &["mine"]),
        (r#"{"scope":["swarm"]}"#, &[]),
    ];
    for (filters, expected) in cases {
        let mut found = names(filters);
        found.sort_unstable();
        assert_eq!(found, expected, "{filters}");
    }
    for bad in [r#"{"colour":["blue"]}"#, r#"{"type":["odd"]}"#, r#"{"dangling":["maybe"]}"#] {
        assert_eq!(networks.list(&Filters::parse(bad).unwrap()).unwrap_err().kind(), Kind::InvalidParameter);
    }
}

#[test]
fn reserved_addresses_are_not_given_out() {
    let entry = entry("beef", "one", true).into_entry();
    let bridge = entry.bridge.as_ref().unwrap();
    assert_eq!(bridge.pool().allocate(None).unwrap().to_string(), "10.9.0.3");
}

#[test]
fn an_address_may_be_asked_for_where_the_user_chose_the_subnet() {
    let wanted = EndpointSettings {
        ipam_config: Some(EndpointIpamConfig { ipv4_address: "10.9.0.7".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    let check = |document: Document| build::check_wishes(&document.into_entry(), &wanted);
    assert!(check(entry("a", "mine", true)).is_ok());
    assert!(check(entry("a", "mine", false)).unwrap_err().message().contains("user configured subnets"));
    assert!(check(entry("a", "bridge", true)).unwrap_err().message().contains("user defined networks only"));
}

fn request(name: &str, change: impl FnOnce(&mut NetworkCreateRequest)) -> NetworkCreateRequest {
    let config = IpamConfig { subnet: "10.8.0.0/24".to_owned(), ..Default::default() };
    let ipam = Some(Ipam { config: vec![config], ..Default::default() });
    let mut request = NetworkCreateRequest { name: name.to_owned(), ipam, ..Default::default() };
    change(&mut request);
    request
}

fn subnet(request: &mut NetworkCreateRequest) -> &mut IpamConfig {
    &mut request.ipam.as_mut().unwrap().config[0]
}

#[test]
fn what_a_request_becomes() {
    let root = Root::new("plan");
    let networks = root.open();
    let asked = request("mine", |request| {
        subnet(request).ip_range = "10.8.0.128/25".to_owned();
        request.internal = true;
        for (key, value) in [("bridge.enable_icc", "false"), ("driver.mtu", "1400"), ("bridge.name", "mine0")]
        {
            request.options.insert(format!("com.docker.network.{key}"), value.to_owned());
        }
    });
    let bridge = networks.plan(asked, &[]).unwrap().bridge.unwrap();
    let definition = &bridge.definition;
    assert_eq!((definition.bridge.as_str(), definition.mtu, definition.icc), ("mine0", 1400, false));
    assert_eq!(definition.gateway.to_string(), "10.8.0.1");
    assert!(definition.internal && bridge.chosen_subnet);
    assert_eq!(bridge.range.unwrap().to_string(), "10.8.0.128/25");
}

#[test]
fn bad_requests_are_refused() {
    let root = Root::new("refused");
    let networks = root.open();
    let refused = |request: NetworkCreateRequest| {
        let checked = create::check(&request).and_then(|()| {
            let others = ["10.7.0.0/16".parse().unwrap()];
            networks.plan(request, &others).map(drop)
        });
        checked.unwrap_err().kind()
    };
    let plain = |name| request(name, |_| {});
    assert_eq!(refused(plain("")), Kind::InvalidParameter);
    assert_eq!(refused(plain("a/b")), Kind::InvalidParameter);
    assert_eq!(refused(plain("host")), Kind::Forbidden);
    let with = |change: fn(&mut NetworkCreateRequest)| refused(request("mine", change));
    assert_eq!(with(|request| request.driver = "macvlan".to_owned()), Kind::NotFound);
    assert_eq!(with(|request| request.driver = "host".to_owned()), Kind::Forbidden);
    assert_eq!(with(|request| request.scope = "swarm".to_owned()), Kind::Forbidden);
    assert_eq!(with(|request| request.enable_ipv6 = Some(true)), Kind::NotImplemented);
    assert_eq!(with(|request| subnet(request).subnet = "10.7.3.0/24".to_owned()), Kind::Forbidden);
    for (field, text) in [
        ("subnet", "10.8.0.0"),
        ("subnet", "10.8.0.1/24"),
        ("gateway", "10.9.0.1"),
        ("range", "10.8.0.0/16"),
        ("mtu", "many"),
        ("icc", "perhaps"),
        ("bridge", "a-name-longer-than-fifteen"),
    ] {
        let kind = refused(request("mine", |request| match field {
            "subnet" => text.clone_into(&mut subnet(request).subnet),
            "gateway" => text.clone_into(&mut subnet(request).gateway),
            "range" => text.clone_into(&mut subnet(request).ip_range),
            option => {
                let key = match option {
                    "mtu" => "driver.mtu",
                    "icc" => "bridge.enable_icc",
                    _ => "bridge.name",
                };
                request.options.insert(format!("com.docker.network.{key}"), text.to_owned());
            }
        }));
        assert_eq!(kind, Kind::InvalidParameter, "{field} {text}");
    }
}

#[test]
fn damaged_documents_and_remains_of_a_write_do_no_harm() {
    let root = Root::new("damaged");
    let networks = root.open();
    let dir: &Path = &networks.dir;
    std::fs::write(dir.join("beef.json"), "{").unwrap();
    std::fs::write(dir.join(".cafe.json"), "{").unwrap();
    entry("f00d", "kept", false).write(dir).unwrap();
    let again = document::read_all(dir).unwrap();
    assert!(again.iter().any(|document| document.name == "kept"));
    assert!(!dir.join(".cafe.json").exists() && dir.join("beef.json").exists());
    entry("f00d", "kept", false).erase(dir).unwrap();
    entry("f00d", "kept", false).erase(dir).unwrap();
    assert!(!dir.join("f00d.json").exists());
}

#[test]
fn reasons_are_in_small_letters_and_without_numbers() {
    let host = "198.51.100.1:80".parse().unwrap();
    let bind = |errno| barge_network::Error::PortBind {
        host,
        protocol: barge_network::Protocol::Tcp,
        source: std::io::Error::from_raw_os_error(errno),
    };
    assert_eq!(build::reason(&bind(99)), "cannot assign requested address");
    assert_eq!(build::reason(&bind(98)), "address already in use");
    assert_eq!(build::reason(&bind(13)), "permission denied");
}
