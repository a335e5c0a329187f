//! `--mount type=bind,src=/a,dst=/b,readonly`.

use std::collections::BTreeMap;

use barge_api::containers::{BindOptions, ImageOptions, Mount, MountType, TmpfsOptions, VolumeOptions};

use super::csv;
use super::size::parse_bytes;
use super::value::{Value, parse_bool};
use super::volume::absolute;

/// All `--mount` flags of a command.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Mounts(pub(crate) Vec<Mount>);

impl Value for Mounts {
    const KIND: &'static str = "mount";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let mut mount = Mount { kind: MountType::Volume, ..Mount::default() };
        for field in csv::fields(text)? {
            match field.split_once('=') {
                Some((key, value)) => option(&mut mount, &key.to_ascii_lowercase(), value, &field)?,
                None => switch(&mut mount, &field)?,
            }
        }
        check(&mount)?;
        self.0.push(mount);
        Ok(())
    }
}

fn switch(mount: &mut Mount, field: &str) -> Result<(), String> {
    match field.to_ascii_lowercase().as_str() {
        "readonly" | "ro" => mount.read_only = true,
        "volume-nocopy" => volume(mount).no_copy = true,
        "bind-nonrecursive" => bind(mount).non_recursive = true,
        _ => return Err(format!("invalid field '{field}' must be a key=value pair")),
    }
    Ok(())
}

fn option(mount: &mut Mount, key: &str, value: &str, field: &str) -> Result<(), String> {
    let invalid = || format!("invalid value for {key}: {value}");
    let flag = || parse_bool(value).ok_or_else(invalid);
    match key {
        "type" => mount.kind = kind(value),
        "source" | "src" => mount.source = absolute(value),
        "target" | "dst" | "destination" => value.clone_into(&mut mount.target),
        "readonly" | "ro" => mount.read_only = flag()?,
        "consistency" => mount.consistency = value.to_ascii_lowercase(),
        "bind-propagation" => bind(mount).propagation = value.to_ascii_lowercase(),
        "bind-nonrecursive" => bind(mount).non_recursive = flag()?,
        "bind-recursive" => match value {
            "enabled" => {}
            "disabled" => bind(mount).non_recursive = true,
            "writable" => bind(mount).read_only_non_recursive = true,
            "readonly" => bind(mount).read_only_force_recursive = true,
            _ => {
                let words = r#"must be "enabled", "disabled", "writable", or "readonly""#;
                return Err(format!("{} ({words})", invalid()));
            }
        },
        "volume-subpath" => value.clone_into(&mut volume(mount).subpath),
        "volume-nocopy" => volume(mount).no_copy = flag()?,
        "volume-label" => insert(&mut volume(mount).labels, value),
        "volume-driver" => value.clone_into(&mut volume(mount).driver_config.get_or_insert_default().name),
        "volume-opt" => insert(&mut volume(mount).driver_config.get_or_insert_default().options, value),
        "image-subpath" => {
            let options = mount.image_options.get_or_insert_with(ImageOptions::default);
            value.clone_into(&mut options.subpath);
        }
        "tmpfs-size" => tmpfs(mount).size_bytes = parse_bytes(value).map_err(|_| invalid())?,
        "tmpfs-mode" => tmpfs(mount).mode = u32::from_str_radix(value, 8).map_err(|_| invalid())?,
        _ => return Err(format!("unexpected key '{key}' in '{field}'")),
    }
    Ok(())
}

fn kind(text: &str) -> MountType {
    match text.to_ascii_lowercase().as_str() {
        "" => MountType::Unset,
        "bind" => MountType::Bind,
        "volume" => MountType::Volume,
        "tmpfs" => MountType::Tmpfs,
        "image" => MountType::Image,
        "cluster" => MountType::Cluster,
        "npipe" => MountType::Npipe,
        other => MountType::Other(other.to_owned()),
    }
}

fn bind(mount: &mut Mount) -> &mut BindOptions {
    mount.bind_options.get_or_insert_default()
}

fn volume(mount: &mut Mount) -> &mut VolumeOptions {
    mount.volume_options.get_or_insert_default()
}

fn tmpfs(mount: &mut Mount) -> &mut TmpfsOptions {
    mount.tmpfs_options.get_or_insert_default()
}

fn insert(map: &mut BTreeMap<String, String>, pair: &str) {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    if !key.is_empty() {
        map.insert(key.to_owned(), value.to_owned());
    }
}

fn check(mount: &Mount) -> Result<(), String> {
    if mount.kind == MountType::Unset {
        return Err("type is required".to_owned());
    }
    if mount.target.is_empty() {
        return Err("target is required".to_owned());
    }
    let foreign = [
        ("volume", mount.volume_options.is_some(), MountType::Volume),
        ("image", mount.image_options.is_some(), MountType::Image),
        ("bind", mount.bind_options.is_some(), MountType::Bind),
        ("tmpfs", mount.tmpfs_options.is_some(), MountType::Tmpfs),
    ];
    for (prefix, given, kind) in foreign {
        if given && mount.kind != kind {
            return Err(format!("cannot mix '{prefix}-*' options with mount type '{}'", mount.kind.as_str()));
        }
    }
    let Some(options) = &mount.bind_options else { return Ok(()) };
    let needs = |value: &str, what: &str| {
        Err(format!("option 'bind-recursive={value}' requires '{what}' to be specified in conjunction"))
    };
    if options.read_only_non_recursive && !mount.read_only {
        return needs("writable", "readonly");
    }
    if options.read_only_force_recursive && !mount.read_only {
        return needs("readonly", "readonly");
    }
    if options.read_only_force_recursive && options.propagation != "rprivate" {
        return needs("readonly", "bind-propagation=rprivate");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Mount, String> {
        let mut mounts = Mounts::default();
        mounts.set(text).map(|()| mounts.0.remove(0))
    }

    #[test]
    fn a_bind_mount() {
        let mount = read("type=bind,src=/a,target=/b,readonly,bind-propagation=rslave").unwrap();
        assert_eq!((mount.kind, mount.source.as_str(), mount.target.as_str()), (MountType::Bind, "/a", "/b"));
        assert!(mount.read_only);
        assert_eq!(mount.bind_options.unwrap().propagation, "rslave");
    }

    #[test]
    fn a_volume_with_options_in_quotes() {
        let mount =
            read(r#"src=v,dst=/d,volume-label=a=b,"volume-opt=o=uid=1,gid=2",volume-driver=local"#).unwrap();
        let options = mount.volume_options.unwrap();
        assert_eq!(options.labels["a"], "b");
        assert_eq!(options.driver_config.unwrap().options["o"], "uid=1,gid=2");
    }

    #[test]
    fn a_tmpfs() {
        let options = read("type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1777").unwrap().tmpfs_options.unwrap();
        assert_eq!((options.size_bytes, options.mode), (1 << 20, 0o1777));
    }

    #[test]
    fn refusals() {
        let cases = [
            ("type=bind,src=/a", "target is required"),
            ("type=,dst=/b", "type is required"),
            ("type=bind,dst", "invalid field 'dst' must be a key=value pair"),
            ("type=bind,dst=/b,colour=red", "unexpected key 'colour' in 'colour=red'"),
            ("type=bind,dst=/b,volume-nocopy", "cannot mix 'volume-*' options with mount type 'bind'"),
            ("type=bind,dst=/b,ro=maybe", "invalid value for ro: maybe"),
            (
                "type=bind,dst=/b,bind-recursive=writable",
                "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).unwrap_err(), expected, "{text}");
        }
    }
}
