//! `container ls`, `ps`.

use std::collections::BTreeMap;

use barge_api::containers::{ContainerSummary, PortSummary};
use barge_client::ListOptions;

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::filter::FilterFlags;
use crate::flags::{LIST_FORMAT, flags};
use crate::image_name;
use crate::output::table::{self, Columns, Wanted};
use crate::output::template::Row;
use crate::output::{ellipsis, short_id, units};

/// List containers.
pub(crate) struct Ls;

flags! {
    /// Flags of `ps`.
    pub(crate) struct LsFlags {
        all: bool = "all" / 'a', "Show all containers (default shows just running)";
        filter: FilterFlags = "filter" / 'f', "Filter output based on conditions provided";
        format: String = "format", LIST_FORMAT;
        last: i64 = "last" / 'n' or "-1", "Show n last created containers (includes all states)";
        latest: bool = "latest" / 'l', "Show the latest created container (includes all states)";
        no_trunc: bool = "no-trunc", "Don't truncate output";
        quiet: bool = "quiet" / 'q', "Only display container IDs";
        size: bool = "size" / 's', "Display total file sizes";
    }
}

const HEADINGS: &[(&str, &str)] = &[
    ("ID", "CONTAINER ID"),
    ("Names", "NAMES"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("RunningFor", "CREATED"),
    ("Ports", "PORTS"),
    ("State", "STATE"),
    ("Status", "STATUS"),
    ("Size", "SIZE"),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Networks", "NETWORKS"),
    ("Platform", "PLATFORM"),
];

const TABLE: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
const TABLE_WITH_SIZE: &str =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}";

impl Verb for Ls {
    type Flags = LsFlags;
    const USAGE: &'static str = "[OPTIONS]";
    const ABOUT: &'static str = "List containers";
    const ARITY: Arity = Arity::Exactly(0);

    async fn run(cli: &Cli, flags: LsFlags, _args: Vec<String>) -> Result<()> {
        let format = match cli.config().text("psFormat") {
            Some(configured) if flags.format.is_empty() && !flags.quiet => configured,
            _ => &flags.format,
        };
        let limit = if flags.latest { 1 } else { flags.last };
        // Sizes cost the engine much work, so they are only asked for if they are shown.
        let size = flags.size || format.contains(".Size") || format.contains("{{json .}}");
        let options = ListOptions { all: flags.all || limit > 0, limit, size, filters: flags.filter.0 };
        let containers = cli.client().await?.containers().list(&options).await?;
        let columns = Columns {
            headings: HEADINGS,
            table: if flags.size { TABLE_WITH_SIZE } else { TABLE },
            quiet: "{{.ID}}",
        };
        let rows = containers.into_iter().map(|container| row(container, flags.no_trunc)).collect();
        table::print(&columns, Wanted { format, quiet: flags.quiet }, rows)
    }
}

fn row(container: ContainerSummary, whole: bool) -> Row {
    let command = if whole { container.command.clone() } else { ellipsis(&container.command, 20) };
    let platform =
        container.image_manifest_descriptor.as_ref().and_then(|descriptor| descriptor.platform.as_ref());
    let platform = platform.map(|platform| format!("{}/{}", platform.os, platform.architecture));
    let volumes = container.mounts.iter().filter(|mount| mount.driver == "local").count();
    let networks: Vec<&str> = container.network_settings.networks.keys().map(String::as_str).collect();
    Row::default()
        .with("ID", if whole { container.id.clone() } else { short_id(&container.id) })
        .with("Names", names(&container.names, whole))
        .with("Image", image(&container, whole))
        .with("Command", format!("{command:?}"))
        .with("CreatedAt", units::go_time(container.created))
        .with("RunningFor", units::ago(container.created))
        .with("Ports", ports(container.ports))
        .with("State", container.state)
        .with("Status", container.status)
        .with("Size", size(container.size_rw, container.size_root_fs))
        .with_labels(&container.labels)
        .with("Mounts", mounts(&container.mounts, whole))
        .with("LocalVolumes", volumes.to_string())
        .with("Networks", networks.join(","))
        .with("Platform", platform.map_or(gotmpl::Value::Nil, Into::into))
}

fn names(names: &[String], whole: bool) -> String {
    let mut names: Vec<&str> = names.iter().map(|name| name.strip_prefix('/').unwrap_or(name)).collect();
    if let (false, Some(own)) = (whole, names.iter().position(|name| !name.contains('/'))) {
        // The others are links.
        names = vec![names[own]];
    }
    names.join(",")
}

fn image(container: &ContainerSummary, whole: bool) -> String {
    if container.image.is_empty() {
        return "<no image>".to_owned();
    }
    if whole {
        return container.image.clone();
    }
    let by_id = short_id(&container.image_id);
    if by_id == short_id(&container.image) {
        return by_id;
    }
    image_name::short(container.image.split('@').next().unwrap_or_default()).to_owned()
}

fn mounts(mounts: &[barge_api::containers::MountPoint], whole: bool) -> String {
    let name = |mount: &barge_api::containers::MountPoint| {
        let name = if mount.name.is_empty() { &mount.source } else { &mount.name };
        if whole { name.clone() } else { ellipsis(name, 15) }
    };
    mounts.iter().map(name).collect::<Vec<_>>().join(",")
}

fn size(rw: i64, root: i64) -> String {
    let own = units::human_size_with(rw, 3);
    if root > 0 { format!("{own} (virtual {})", units::human_size_with(root, 3)) } else { own }
}

/// Ports as a list shows them: runs of ports that are published as themselves, or not at all, are drawn together.
fn ports(mut ports: Vec<PortSummary>) -> String {
    ports.sort_by(|a, b| {
        (a.private_port, &a.ip, a.public_port, &a.protocol).cmp(&(
            b.private_port,
            &b.ip,
            b.public_port,
            &b.protocol,
        ))
    });
    let mut open: BTreeMap<(String, String), (u16, u16)> = BTreeMap::new();
    let mut order = Vec::new();
    let (mut done, mut mapped) = (Vec::new(), Vec::new());
    for port in ports {
        let number = port.private_port;
        if !port.ip.is_empty() && port.public_port != number {
            mapped.push(format!(
                "{}->{number}/{}",
                join(&port.ip, &port.public_port.to_string()),
                port.protocol
            ));
            continue;
        }
        let key = (port.ip, port.protocol);
        match open.get_mut(&key) {
            None => {
                order.push(key.clone());
                open.insert(key, (number, number));
            }
            Some((_, last)) if *last + 1 == number => *last = number,
            Some(run) => {
                done.push(group(&key, *run));
                *run = (number, number);
            }
        }
    }
    done.extend(order.iter().filter_map(|key| open.get(key).map(|run| group(key, *run))));
    done.extend(mapped);
    done.join(", ")
}

fn group((ip, protocol): &(String, String), (first, last): (u16, u16)) -> String {
    let run = if first == last { first.to_string() } else { format!("{first}-{last}") };
    if ip.is_empty() { format!("{run}/{protocol}") } else { format!("{}->{run}/{protocol}", join(ip, &run)) }
}

fn join(ip: &str, port: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_drawn_together() {
        let port = |ip: &str, private_port, public_port, protocol: &str| PortSummary {
            ip: ip.to_owned(),
            private_port,
            public_port,
            protocol: protocol.to_owned(),
        };
        let cases = [
            (vec![port("", 80, 0, "tcp")], "80/tcp"),
            (
                vec![port("", 81, 0, "tcp"), port("", 80, 0, "tcp"), port("", 90, 0, "tcp")],
                "80-81/tcp, 90/tcp",
            ),
            (
                vec![port("0.0.0.0", 80, 8080, "tcp"), port("::", 80, 8080, "tcp")],
                "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp",
            ),
            (
                vec![port("0.0.0.0", 80, 80, "tcp"), port("0.0.0.0", 81, 81, "tcp")],
                "0.0.0.0:80-81->80-81/tcp",
            ),
            (vec![port("", 53, 0, "udp"), port("0.0.0.0", 53, 53, "tcp")], "53/udp, 0.0.0.0:53->53/tcp"),
        ];
        for (ports_in, expected) in cases {
            assert_eq!(ports(ports_in), expected);
        }
    }

    #[test]
    fn names_and_images_are_short() {
        assert_eq!(names(&["/web/db".into(), "/db".into()], false), "db");
        assert_eq!(names(&["/web/db".into(), "/db".into()], true), "web/db,db");
        let container = |image: &str| ContainerSummary {
            image: image.to_owned(),
            image_id: "sha256:0123456789abcdef".to_owned(),
            ..ContainerSummary::default()
        };
        assert_eq!(image(&container("docker.io/library/busybox:1@sha256:ab"), false), "busybox:1");
        assert_eq!(image(&container("sha256:0123456789abcdef"), false), "0123456789ab");
        assert_eq!(image(&container(""), false), "<no image>");
    }
}
