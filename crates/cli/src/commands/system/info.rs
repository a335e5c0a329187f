//! `info`.

use std::fmt::{Display, Write};

use barge_api::system::Info as EngineInfo;

use crate::cli::Cli;
use crate::commands::{Arity, Verb, help};
use crate::failure::{Failure, Result};
use crate::flags::{INSPECT_FORMAT, flags};
use crate::output::template::{Place, Template};
use crate::output::{self, inspect, units};

/// Display system-wide information.
pub(crate) struct Info;

flags! {
    /// Flags of `info`.
    pub(crate) struct InfoFlags {
        format: String = "format" / 'f', INSPECT_FORMAT;
    }
}

impl Verb for Info {
    type Flags = InfoFlags;
    const USAGE: &'static str = "[OPTIONS]";
    const ABOUT: &'static str = "Display system-wide information";
    const ARITY: Arity = Arity::Exactly(0);

    async fn run(cli: &Cli, flags: InfoFlags, _args: Vec<String>) -> Result<()> {
        if !flags.format.is_empty() {
            let raw = cli.client().await?.system().info_raw().await?;
            let text = String::from_utf8_lossy(&raw);
            if flags.format == "json" {
                output::say(text.trim());
            } else {
                output::say(&inspect::render(&Template::compile(&flags.format, Place::Row)?, &text)?);
            }
            return Ok(());
        }
        output::write(&client_part(cli));
        let info = async { Ok::<_, Failure>(cli.client().await?.system().info().await?) };
        match info.await {
            Ok(info) => {
                output::write(&server_part(&info, cli.globals.debug));
                info.warnings.iter().for_each(|warning| output::warn(warning));
                Ok(())
            }
            Err(failure) => {
                output::warn(&failure.text);
                Err(Failure::new("errors pretty printing info"))
            }
        }
    }
}

fn client_part(cli: &Cli) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let title = help::title(cli.program);
    format!(
        "Client: {title}\n Version:    {version}\n Context:    default\n Debug Mode: {}\n\nServer:\n",
        cli.globals.debug
    )
}

/// Lines `NAME: VALUE`, some left out when there is nothing to say.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn put(&mut self, label: &str, value: impl Display) {
        let _ = writeln!(self.0, " {label}: {value}");
    }

    fn put_some(&mut self, label: &str, value: &str) {
        if !value.is_empty() {
            self.put(label, value);
        }
    }

    fn heading(&mut self, label: &str, items: impl IntoIterator<Item = String>) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_some() {
            let _ = writeln!(self.0, " {label}:");
            for item in items {
                let _ = writeln!(self.0, "  {item}");
            }
        }
    }
}

fn server_part(info: &EngineInfo, debug: bool) -> String {
    let mut lines = Lines::default();
    lines.put("Containers", info.containers);
    lines.put(" Running", info.containers_running);
    lines.put(" Paused", info.containers_paused);
    lines.put(" Stopped", info.containers_stopped);
    lines.put("Images", info.images);
    lines.put_some("Server Version", &info.server_version);
    lines.put_some("Storage Driver", &info.driver);
    info.driver_status.iter().for_each(|[key, value]| lines.put(&format!(" {key}"), value));
    lines.put_some("Logging Driver", &info.logging_driver);
    lines.put_some("Cgroup Driver", &info.cgroup_driver);
    lines.put_some("Cgroup Version", &info.cgroup_version);
    let plugins = &info.plugins;
    lines.heading(
        "Plugins",
        [
            ("Volume", &plugins.volume),
            ("Network", &plugins.network),
            ("Authorization", &plugins.authorization),
            ("Log", &plugins.log),
        ]
        .into_iter()
        .filter(|(kind, names)| *kind != "Authorization" || !names.is_empty())
        .map(|(kind, names)| format!("{kind}: {}", names.join(" "))),
    );
    lines.heading("CDI spec directories", info.cdi_spec_dirs.iter().cloned());
    lines.heading(
        "Discovered Devices",
        info.discovered_devices.iter().map(|device| format!("{}: {}", device.source, device.id)),
    );
    lines.put("Swarm", &info.swarm.local_node_state);
    if !info.runtimes.is_empty() {
        lines.put("Runtimes", info.runtimes.keys().map(String::as_str).collect::<Vec<_>>().join(" "));
        lines.put("Default Runtime", &info.default_runtime);
    }
    lines.put("Init Binary", &info.init_binary);
    lines.put("containerd version", &info.containerd_commit.id);
    lines.put("runc version", &info.runc_commit.id);
    lines.put("init version", &info.init_commit.id);
    lines.heading("Security Options", info.security_options.iter().flat_map(|option| security(option)));
    host_part(info, &mut lines);
    lines.put("Debug Mode", info.debug);
    if info.debug || debug {
        lines.put(" File Descriptors", info.n_fd);
        lines.put(" Goroutines", info.n_goroutines);
        lines.put(" System Time", &info.system_time);
        lines.put(" EventsListeners", info.n_events_listener);
    }
    lines.put_some("HTTP Proxy", &info.http_proxy);
    lines.put_some("HTTPS Proxy", &info.https_proxy);
    lines.put_some("No Proxy", &info.no_proxy);
    lines.heading("Labels", info.labels.iter().cloned());
    lines.put("Experimental", info.experimental_build);
    let registries = &info.registry_config;
    let insecure =
        registries.index_configs.values().filter(|index| !index.secure).map(|index| index.name.clone());
    lines.heading("Insecure Registries", insecure.chain(registries.insecure_registry_cidrs.iter().cloned()));
    lines.heading("Registry Mirrors", registries.mirrors.iter().cloned());
    lines.put("Live Restore Enabled", info.live_restore_enabled);
    lines.put_some("Product License", &info.product_license);
    let pools = info.default_address_pools.iter();
    lines.heading(
        "Default Address Pools",
        pools.map(|pool| format!(" Base: {}, Size: {}", pool.base, pool.size)),
    );
    if let Some(firewall) = &info.firewall_backend {
        lines.put("Firewall Backend", &firewall.driver);
    }
    lines.0.push('\n');
    lines.0
}

fn host_part(info: &EngineInfo, lines: &mut Lines) {
    lines.put_some("Kernel Version", &info.kernel_version);
    lines.put_some("Operating System", &info.operating_system);
    lines.put_some("OSType", &info.os_type);
    lines.put_some("Architecture", &info.architecture);
    lines.put("CPUs", info.n_cpu);
    lines.put("Total Memory", units::binary_size(info.mem_total));
    lines.put_some("Name", &info.name);
    lines.put_some("ID", &info.id);
    lines.put("Docker Root Dir", &info.docker_root_dir);
}

/// `name=seccomp,profile=builtin` as the lines `seccomp` and ` Profile: builtin`.
fn security(option: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for pair in option.split(',') {
        match pair.split_once('=') {
            Some(("name", name)) => lines.push(name.to_owned()),
            Some(("profile", profile)) => lines.push(format!(" Profile: {profile}")),
            Some(_) => {}
            None => lines.push(pair.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_dockers() {
        let info = EngineInfo {
            containers: 2,
            driver: "overlay2".to_owned(),
            driver_status: vec![["Backing Filesystem".to_owned(), "extfs".to_owned()]],
            security_options: vec!["name=seccomp,profile=builtin".to_owned(), "name=cgroupns".to_owned()],
            mem_total: 2 << 30,
            ..EngineInfo::default()
        };
        let text = server_part(&info, false);
        for line in [
            " Containers: 2\n  Running: 0\n",
            " Storage Driver: overlay2\n  Backing Filesystem: extfs\n",
            " Security Options:\n  seccomp\n   Profile: builtin\n  cgroupns\n",
            " Total Memory: 2GiB\n",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
        assert!(!text.contains("HTTP Proxy"));
    }
}
