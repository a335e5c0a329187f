//! Tables of mounts and their refusals.

use super::*;

fn bind(raw: &str) -> Result<Wanted> {
    parse_bind(raw, "")
}

#[test]
fn binds_and_volumes_of_v() {
    let found = bind("/host/./dir:/in//side:ro,rslave").unwrap();
    assert_eq!(found.source, Source::Bind { path: "/host/dir".to_owned(), missing: Missing::Create });
    assert_eq!((found.destination.as_str(), found.read_only), ("/in/side", true));
    assert_eq!((found.propagation.as_str(), found.mode.as_str()), ("rslave", "ro,rslave"));
    let named = bind("data:/var/data").unwrap();
    assert!(matches!(named.source, Source::Volume { name: Some(name), .. } if name == "data"));
    let anonymous = bind("/var/data").unwrap();
    assert!(matches!(anonymous.source, Source::Volume { name: None, .. }));
    let kept_empty = bind("data:/var/data:nocopy").unwrap();
    assert!(matches!(kept_empty.source, Source::Volume { options, .. } if options.no_copy));
}

#[test]
fn refusals_of_v() {
    let cases = [
        ("", "invalid volume specification: ''"),
        (":/x", "invalid volume specification: ':/x'"),
        ("/x:rw", "invalid volume specification: '/x:rw'"),
        ("/a:/b:ro:z", "invalid volume specification: '/a:/b:ro:z'"),
        ("/a:/b:rx", "invalid mode: rx"),
        ("/a:/b:ro,rw", "invalid mode: ro,rw"),
        (
            "/a:b",
            "invalid volume specification: '/a:b': invalid mount config for type \"bind\": invalid mount path: 'b' \
             mount path must be absolute",
        ),
        (
            "vol:/",
            "invalid volume specification: 'vol:/': invalid mount config for type \"volume\": invalid \
             specification: destination can't be '/'",
        ),
    ];
    for (raw, text) in cases {
        let message = bind(raw).unwrap_err().message().to_owned();
        assert_eq!(message, text, "{raw}");
    }
}

fn mount(kind: MountType, source: &str, target: &str) -> Mount {
    Mount { kind, source: source.to_owned(), target: target.to_owned(), ..Mount::default() }
}

#[test]
fn refusals_of_mount() {
    let with_bind_options =
        Mount { bind_options: Some(BindOptions::default()), ..mount(MountType::Volume, "a", "/a") };
    let odd = BindOptions { propagation: "odd".to_owned(), ..BindOptions::default() };
    let with_odd_propagation = Mount { bind_options: Some(odd), ..mount(MountType::Bind, "/a", "/a") };
    let cases = [
        (mount(MountType::Bind, "/a", ""), "field Target must not be empty"),
        (mount(MountType::Bind, "", "/a"), "field Source must not be empty"),
        (mount(MountType::Bind, "a", "/a"), "invalid mount path: 'a' mount path must be absolute"),
        (mount(MountType::Bind, "/a", "a"), "invalid mount path: 'a' mount path must be absolute"),
        (mount(MountType::Bind, "/a", "/"), "invalid specification: destination can't be '/'"),
        (mount(MountType::Tmpfs, "/a", "/a"), "field Source must not be specified"),
        (with_bind_options, "field BindOptions must not be specified"),
        (with_odd_propagation, "invalid propagation mode: odd"),
        (mount(MountType::Unset, "/a", "/a"), "mount type unknown"),
    ];
    for (mount, cause) in cases {
        let expected = format!("invalid mount config for type {:?}: {cause}", mount.kind.as_str());
        assert_eq!(parse_mount(&mount).unwrap_err().message(), expected);
    }
}

#[test]
fn tmpfs_options_of_mount() {
    let options = TmpfsOptions { size_bytes: 1 << 20, mode: 0o1777, options: vec![vec!["exec".to_owned()]] };
    let wanted =
        parse_mount(&Mount { tmpfs_options: Some(options), ..mount(MountType::Tmpfs, "", "/t") }).unwrap();
    assert_eq!(
        wanted.source,
        Source::Tmpfs { options: "mode=1777,size=1048576,exec".to_owned(), unlisted: false }
    );
}

#[test]
fn one_mount_a_destination() {
    let mut config = ContainerConfig::default();
    config.volumes.insert("/data".to_owned(), barge_api::Empty);
    config.volumes.insert("/more".to_owned(), barge_api::Empty);
    let mut host_config = HostConfig { binds: vec!["/host:/data".to_owned()], ..HostConfig::default() };
    let found = collect(&config, &host_config, Vec::new()).unwrap();
    assert_eq!(found.iter().map(|mount| mount.destination.as_str()).collect::<Vec<_>>(), ["/data", "/more"]);
    assert!(matches!(found[0].source, Source::Bind { .. }), "what is asked for wins over the image's volume");
    host_config.tmpfs.insert("/data".to_owned(), String::new());
    let error = collect(&config, &host_config, Vec::new()).unwrap_err();
    assert_eq!(error.message(), "Duplicate mount point: /data");
}

#[test]
fn volumes_from() {
    assert_eq!(parse_volumes_from("db").unwrap(), ("db", false));
    assert_eq!(parse_volumes_from("db:ro").unwrap(), ("db", true));
    assert!(parse_volumes_from("").is_err() && parse_volumes_from("db:rshared").is_err());
}
