//! A create request of any version as the newest one would say it.
//!
//! What an old version did not know is dropped, its defaults are written out, and what it must not have is refused,
//! with dockerd's words.

use barge_api::ApiVersion;
use barge_api::containers::{CreateRequest, HostConfig, Mount, MountType};
use barge_api::networks::EndpointSettings;
use barge_engine::Error;

/// Changes the request to what it means; the warnings go into the response.
pub(crate) fn create_request(request: &mut CreateRequest, version: ApiVersion) -> Result<Vec<String>, Error> {
    if !version.at_least(44)
        && let Some(healthcheck) = &mut request.config.healthcheck
    {
        healthcheck.start_interval = 0;
    }
    let host = request.host_config.get_or_insert_default();
    old_defaults(host, version);
    for mount in &mut host.mounts {
        old_mount(mount, version);
        check_mount(mount, version)?;
    }
    let mut warnings = Vec::new();
    warnings.extend(volume_driver(host, version));
    check_endpoints(request, version)?;
    warnings.extend(mac_address(request, version)?);
    if !version.at_least(48)
        && let Some(networking) = &mut request.networking_config
    {
        networking.endpoints_config.values_mut().flatten().for_each(|endpoint| endpoint.gw_priority = 0);
    }
    warnings.extend(empty_bindings(request, version));
    Ok(warnings)
}

/// Defaults that changed over time.
fn old_defaults(host: &mut HostConfig, version: ApiVersion) {
    if !version.at_least(25) {
        // Clients removed their containers themselves then.
        host.auto_remove = false;
    }
    if !version.at_least(40) && host.ipc_mode.is_empty() {
        host.ipc_mode = "shareable".to_owned();
    }
    if !version.at_least(41) && host.cgroupns_mode.is_empty() && !barge_engine::system::cgroup_is_unified() {
        host.cgroupns_mode = "host".to_owned();
    }
    if !version.at_least(42) {
        host.console_size = [0, 0];
    }
    if !version.at_least(43) {
        host.annotations.clear();
    }
    if host.resources.pids_limit.is_some_and(|limit| limit <= 0) {
        host.resources.pids_limit = None;
    }
}

fn old_mount(mount: &mut Mount, version: ApiVersion) {
    let read_only = mount.read_only && mount.kind == MountType::Bind;
    if !version.at_least(44) && read_only {
        // Read-only mounts did not reach submounts then.
        mount.bind_options.get_or_insert_default().read_only_non_recursive = true;
    }
    if let Some(options) = &mut mount.bind_options {
        options.non_recursive &= version.at_least(40);
        options.create_mountpoint &= version.at_least(42);
    }
    if !version.at_least(42) {
        // Never checked then.
        mount.volume_options.take_if(|_| mount.kind != MountType::Volume);
        mount.tmpfs_options.take_if(|_| mount.kind != MountType::Tmpfs);
    }
}

fn check_mount(mount: &Mount, version: ApiVersion) -> Result<(), Error> {
    let misplaced = [
        ("VolumeOptions", mount.volume_options.is_some(), MountType::Volume),
        ("BindOptions", mount.bind_options.is_some(), MountType::Bind),
        ("TmpfsOptions", mount.tmpfs_options.is_some(), MountType::Tmpfs),
    ];
    let refuse = |reason: String| Err(Error::invalid(reason));
    if version.at_least(42)
        && let Some((options, ..)) =
            misplaced.iter().find(|(_, present, kind)| *present && mount.kind != *kind)
    {
        return refuse(format!("{options} must not be specified on mount type \"{}\"", mount.kind.as_str()));
    }
    let forced = mount.bind_options.as_ref().is_some_and(|options| options.read_only_force_recursive);
    if !version.at_least(44) && forced {
        return refuse("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer".to_owned());
    }
    let subpath = mount.volume_options.as_ref().is_some_and(|options| !options.subpath.is_empty());
    if !version.at_least(45) && subpath {
        return refuse("VolumeOptions.Subpath needs API v1.45 or newer".to_owned());
    }
    if !version.at_least(48) && mount.kind == MountType::Image {
        return refuse("Mount type \"Image\" needs API v1.48 or newer".to_owned());
    }
    Ok(())
}

fn volume_driver(host: &HostConfig, version: ApiVersion) -> Option<String> {
    let undecided = |mount: &&Mount| {
        let named = mount.volume_options.as_ref().and_then(|options| options.driver_config.as_ref());
        mount.kind == MountType::Volume && named.is_none_or(|driver| driver.name.is_empty())
    };
    let ignored = version.at_least(48) && !host.volume_driver.is_empty();
    let text = "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. \
                Use '--mount type=volume,volume-driver=...' instead";
    (ignored && host.mounts.iter().any(|mount| undecided(&mount))).then(|| text.to_owned())
}

fn check_endpoints(request: &CreateRequest, version: ApiVersion) -> Result<(), Error> {
    let Some(networking) = &request.networking_config else { return Ok(()) };
    if version.at_least(44) || networking.endpoints_config.len() < 2 {
        return Ok(());
    }
    let names: Vec<&str> = networking.endpoints_config.keys().map(String::as_str).collect();
    let names = names.join(", ");
    Err(Error::invalid(format!("Container cannot be created with multiple network endpoints: {names}")))
}

/// The container-wide MAC address moves to the endpoint it is meant for.
fn mac_address(request: &mut CreateRequest, version: ApiVersion) -> Result<Option<String>, Error> {
    let address = request.config.mac_address.clone();
    if address.is_empty() {
        if !version.at_least(44)
            && let Some(networking) = &mut request.networking_config
        {
            networking
                .endpoints_config
                .values_mut()
                .flatten()
                .for_each(|endpoint| endpoint.mac_address.clear());
        }
        return Ok(None);
    }
    let mode = request.host_config.as_ref().map(|host| host.network_mode.clone()).unwrap_or_default();
    let joins = mode != "host" && mode != "none" && !mode.starts_with("container:");
    if !joins && !version.at_least(44) {
        return Err(Error::invalid("conflicting options: mac-address and the network mode"));
    }
    if joins {
        let endpoint = endpoint_for(request, &mode);
        if endpoint.mac_address.is_empty() || !version.at_least(44) {
            endpoint.mac_address = address;
        } else if endpoint.mac_address != address {
            return Err(Error::invalid(
                "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or \
                 be left empty",
            ));
        }
    }
    request.config.mac_address.clear();
    Ok(version.at_least(44).then(|| {
        "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
            .to_owned()
    }))
}

/// The endpoint on the network that the mode names.
fn endpoint_for<'r>(request: &'r mut CreateRequest, mode: &str) -> &'r mut EndpointSettings {
    let endpoints = &mut request.networking_config.get_or_insert_default().endpoints_config;
    let name = match mode {
        "" | "default" if endpoints.contains_key("default") => "default",
        "" | "default" => "bridge",
        other => other,
    };
    endpoints.entry(name.to_owned()).or_default().get_or_insert_default()
}

/// A port with an empty list of bindings is published at a random port, up to 1.52.
fn empty_bindings(request: &mut CreateRequest, version: ApiVersion) -> Option<String> {
    let bindings = &mut request.host_config.as_mut()?.port_bindings;
    let mut empty = Vec::new();
    for (port, places) in bindings.iter_mut() {
        if places.as_ref().is_none_or(Vec::is_empty) {
            empty.push(port.clone());
            *places = Some(vec![barge_api::containers::PortBinding::default()]);
        }
    }
    let warned = version.at_least(52) && !empty.is_empty();
    warned.then(|| {
        format!(
            "Following container port(s) have an empty list of port-bindings: {}. Starting with API 1.53, such \
             bindings will be discarded.",
            empty.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The request after translation, or the refusal.
    fn translate(body: Value, minor: u16) -> Result<(CreateRequest, Vec<String>), String> {
        let mut request: CreateRequest = serde_json::from_value(body).unwrap();
        let warnings = create_request(&mut request, ApiVersion::new(1, minor));
        warnings.map(|warnings| (request, warnings)).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn defaults_of_old_versions_are_written_out() {
        let host =
            |minor| translate(json!({ "HostConfig": { "AutoRemove": true } }), minor).unwrap().0.host_config;
        let host = |minor: u16| host(minor).unwrap();
        assert!(!host(24).auto_remove && host(25).auto_remove);
        assert_eq!((host(39).ipc_mode.as_str(), host(40).ipc_mode.as_str()), ("shareable", ""));
    }

    #[test]
    fn mounts_are_checked_by_version() {
        let volume_on_bind = json!({ "HostConfig": { "Mounts": [
            { "Type": "bind", "Source": "/a", "Target": "/b", "VolumeOptions": { "NoCopy": true } }] } });
        let (request, _) = translate(volume_on_bind.clone(), 41).unwrap();
        assert!(request.host_config.unwrap().mounts[0].volume_options.is_none());
        assert_eq!(
            translate(volume_on_bind, 42).unwrap_err(),
            "VolumeOptions must not be specified on mount type \"bind\""
        );
        let image =
            json!({ "HostConfig": { "Mounts": [{ "Type": "image", "Source": "a", "Target": "/b" }] } });
        assert!(translate(image.clone(), 47).is_err() && translate(image, 48).is_ok());
        let read_only = json!({ "HostConfig": { "Mounts": [{ "Type": "bind", "ReadOnly": true }] } });
        let options = |minor| {
            let (request, _) = translate(read_only.clone(), minor).unwrap();
            request.host_config.unwrap().mounts[0].bind_options.clone()
        };
        assert!(options(43).unwrap().read_only_non_recursive && options(44).is_none());
    }

    #[test]
    fn the_mac_address_moves_to_its_endpoint() {
        let body = json!({ "MacAddress": "02:42:ac:11:00:02", "HostConfig": { "NetworkMode": "mine" } });
        for (minor, warnings) in [(43, 0), (44, 1)] {
            let (request, told) = translate(body.clone(), minor).unwrap();
            let endpoints = request.networking_config.unwrap().endpoints_config;
            assert_eq!(endpoints["mine"].as_ref().unwrap().mac_address, "02:42:ac:11:00:02");
            assert_eq!((told.len(), request.config.mac_address.as_str()), (warnings, ""));
        }
        let host = json!({ "MacAddress": "02:42:ac:11:00:02", "HostConfig": { "NetworkMode": "host" } });
        assert_eq!(translate(host, 43).unwrap_err(), "conflicting options: mac-address and the network mode");
    }

    #[test]
    fn one_endpoint_before_1_44() {
        let body = json!({ "NetworkingConfig": { "EndpointsConfig": { "a": {}, "b": {} } } });
        assert_eq!(
            translate(body.clone(), 43).unwrap_err(),
            "Container cannot be created with multiple network endpoints: a, b"
        );
        assert!(translate(body, 44).is_ok());
    }

    #[test]
    fn empty_bindings_are_random_ports() {
        let body = json!({ "HostConfig": { "PortBindings": { "80/tcp": [], "81/tcp": null } } });
        let (request, warnings) = translate(body.clone(), 51).unwrap();
        let bindings = request.host_config.unwrap().port_bindings;
        assert!(bindings.values().all(|places| places.as_ref().unwrap().len() == 1) && warnings.is_empty());
        assert_eq!(translate(body, 52).unwrap().1.len(), 1);
    }
}
