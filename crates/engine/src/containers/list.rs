//! List: containers as `ps` shows them.

use std::sync::Arc;

use barge_api::Filters;
use barge_api::containers::{
    ContainerSummary, PortSummary, SummaryHostConfig, SummaryNetworkSettings, status,
};
use jiff::Timestamp;

use super::Containers;
use super::document::Document;
use super::duration::human;
use super::inspect;
use super::lifecycle::Status;
use super::task::View;
use crate::clock;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// `GET /containers/json`.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    pub all: bool,
    pub limit: Option<usize>,
    pub size: bool,
    pub filters: Filters,
}

const FILTERS: [&str; 16] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "isolation",
    "is-task",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
    "label!",
];

impl Containers {
    /// Containers that pass the filters, newest first.
    pub async fn list(&self, engine: &Arc<Engine>, options: ListOptions) -> Result<Vec<ContainerSummary>> {
        let wanted = Wanted::new(self, engine, &options)?;
        let mut views: Vec<View> = self.index.all().iter().map(|container| container.view()).collect();
        views.retain(|view| !view.removed);
        views.sort_by_key(|view| std::cmp::Reverse(view.document.created));
        let found = views.iter().filter(|view| wanted.takes(view)).take(wanted.limit);
        let mut list: Vec<_> = found.map(summary).collect();
        if options.size {
            let helper = Arc::clone(engine);
            let sized = tokio::task::spawn_blocking(move || {
                for summary in &mut list {
                    let (changed, whole) = inspect::sizes(&helper, &summary.id, &summary.image_id);
                    (summary.size_rw, summary.size_root_fs) = (changed, whole);
                }
                list
            });
            list = sized.await.map_err(Error::failed("measuring containers"))?;
        }
        Ok(list)
    }
}

/// The options, made ready to be asked of each container.
struct Wanted<'a> {
    all: bool,
    limit: usize,
    filters: &'a Filters,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
    exited: Vec<i32>,
    /// IDs of the images asked for, and the texts they were asked for by.
    ancestors: Vec<String>,
}

impl<'a> Wanted<'a> {
    fn new(containers: &Containers, engine: &Engine, options: &'a ListOptions) -> Result<Self> {
        let filters = &options.filters;
        filters.validate(&FILTERS).map_err(|error| Error::invalid(error.to_string()))?;
        let created = |key: &str| -> Result<Option<Timestamp>> {
            filters
                .values(key)
                .last()
                .map(|id| Ok(containers.index.find(id)?.view().document.created))
                .transpose()
        };
        for value in filters.values("status") {
            if !status::ALL.contains(&value) {
                return Err(Error::invalid(format!(
                    "invalid filter 'status={value}': invalid value for state ({value}): must be one of {}",
                    status::ALL.join(", ")
                )));
            }
        }
        let exited = filters
            .values("exited")
            .map(|code| code.parse().map_err(|_| Error::invalid(format!("invalid filter 'exited={code}'"))));
        let mut ancestors = Vec::new();
        for name in filters.values("ancestor") {
            ancestors.push(name.to_owned());
            ancestors
                .extend(engine.images.store().images().resolve(name).ok().map(|image| image.id.to_string()));
        }
        let asks_for_stopped =
            ["exited", "status", "since", "before"].iter().any(|key| filters.contains(key));
        let limit = options.limit.filter(|limit| *limit > 0);
        Ok(Self {
            all: options.all || limit.is_some() || asks_for_stopped,
            limit: limit.unwrap_or(usize::MAX),
            before: created("before")?,
            since: created("since")?,
            exited: exited.collect::<Result<_>>()?,
            ancestors,
            filters,
        })
    }

    fn takes(&self, view: &View) -> bool {
        let document = &*view.document;
        if !self.all && !document.status.counts_as_running() {
            return false;
        }
        let filters = self.filters;
        let labels = &document.config.labels;
        let code = document.status.last_exit().code;
        let has_run = !matches!(document.status, Status::Created { .. });
        filters.any("id", |id| document.id.starts_with(id))
            && filters.any("name", |name| named(&document.name, name))
            && filters.labels("label", labels)
            && (!filters.contains("label!") || !filters.labels("label!", labels))
            && filters.exact("status", document.status.word())
            && (self.exited.is_empty()
                || self.exited.contains(&code) && has_run && !document.status.counts_as_running())
            && self.before.is_none_or(|before| document.created < before)
            && self.since.is_none_or(|since| document.created > since)
            && (self.ancestors.is_empty()
                || self.ancestors.contains(&document.image)
                || self.ancestors.contains(&document.config.image))
            && self.takes_parts(view)
    }

    fn takes_parts(&self, view: &View) -> bool {
        let document = &*view.document;
        let filters = self.filters;
        let networks = inspect::networks(document, &view.attachments);
        let published = inspect::ports(document, &view.attachments);
        filters.any("volume", |wanted| {
            document
                .mounts
                .iter()
                .any(|mount| mount.point.name == wanted || mount.point.destination == wanted)
        }) && filters.any("network", |wanted| {
            networks.iter().any(|(name, endpoint)| name == wanted || endpoint.network_id.starts_with(wanted))
        }) && filters.any("publish", |wanted| {
            published.iter().any(|(port, bindings)| bindings.is_some() && same_port(port, wanted))
        }) && filters.any("expose", |wanted| published.keys().any(|port| same_port(port, wanted)))
            && filters.exact("health", "none")
            && filters.exact("is-task", "false")
    }
}

/// A name filter is a regular expression in Docker; anchors and plain text are what clients use of it.
fn named(name: &str, wanted: &str) -> bool {
    let (start, wanted) = match wanted.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, wanted),
    };
    let (end, wanted) = match wanted.strip_suffix('$') {
        Some(rest) => (true, rest),
        None => (false, wanted),
    };
    let with_slash = format!("/{name}");
    [name, with_slash.as_str()].iter().any(|name| match (start, end) {
        (true, true) => *name == wanted,
        (true, false) => name.starts_with(wanted),
        (false, true) => name.ends_with(wanted),
        (false, false) => name.contains(wanted),
    })
}

/// `80`, `80/tcp` or `8000-8010/tcp` against `80/tcp`.
fn same_port(port: &str, wanted: &str) -> bool {
    let parse = |text: &str| text.parse::<barge_api::containers::PortRange>().ok();
    let Some((port, wanted)) = parse(port).zip(parse(wanted)) else { return false };
    port.protocol == wanted.protocol && (wanted.first..=wanted.last).contains(&port.first)
}

fn summary(view: &View) -> ContainerSummary {
    let document = &*view.document;
    ContainerSummary {
        id: document.id.clone(),
        names: vec![format!("/{}", document.name)],
        image: document.config.image.clone(),
        image_id: document.image.clone(),
        image_manifest_descriptor: document.image_manifest.clone(),
        command: command_line(document),
        created: document.created.as_second(),
        ports: ports(view),
        labels: document.config.labels.clone(),
        state: document.status.word().to_owned(),
        status: status_text(&document.status, clock::now()),
        host_config: SummaryHostConfig {
            network_mode: document.host_config.network_mode.clone(),
            annotations: document.host_config.annotations.clone(),
        },
        network_settings: SummaryNetworkSettings { networks: inspect::networks(document, &view.attachments) },
        mounts: inspect::mounts(document),
        ..ContainerSummary::default()
    }
}

/// The command line, words with spaces quoted.
fn command_line(document: &Document) -> String {
    let quote = |word: String| if word.contains(' ') { format!("'{word}'") } else { word };
    document.command().into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

fn ports(view: &View) -> Vec<PortSummary> {
    let mut list = Vec::new();
    if view.document.status.run().is_none() {
        return list;
    }
    for (port, bindings) in inspect::ports(&view.document, &view.attachments) {
        let Ok(range) = port.parse::<barge_api::containers::PortRange>() else { continue };
        let plain =
            PortSummary { private_port: range.first, protocol: range.protocol, ..PortSummary::default() };
        match bindings {
            None => list.push(plain),
            Some(bindings) => list.extend(bindings.into_iter().map(|binding| PortSummary {
                ip: binding.host_ip,
                public_port: binding.host_port.parse().unwrap_or_default(),
                ..plain.clone()
            })),
        }
    }
    list
}

/// `Up 5 minutes`, `Exited (0) 2 hours ago`, …
fn status_text(status: &Status, now: Timestamp) -> String {
    let ago = |time: Option<Timestamp>| human(time.map_or(0, |time| now.duration_since(time).as_secs()));
    match status {
        Status::Created { .. } => "Created".to_owned(),
        Status::Running(run) => format!("Up {}", ago(Some(run.started_at))),
        Status::Paused(run) => format!("Up {} (Paused)", ago(Some(run.started_at))),
        Status::Restarting(exit) => format!("Restarting ({}) {} ago", exit.code, ago(exit.finished_at)),
        Status::Exited(exit) => format!("Exited ({}) {} ago", exit.code, ago(exit.finished_at)),
        Status::Removing(_) => "Removal In Progress".to_owned(),
        Status::Dead(_) => "Dead".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::lifecycle::{Exit, Run};
    use super::*;

    #[test]
    fn name_filters() {
        let cases = [
            ("web", true),
            ("we", true),
            ("^web$", true),
            ("^/web$", true),
            ("^eb", false),
            ("eb$", true),
            ("x", false),
        ];
        for (wanted, expected) in cases {
            assert_eq!(named("web", wanted), expected, "{wanted}");
        }
    }

    #[test]
    fn status_texts() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let exit = Exit { code: 3, finished_at: Some(at(0)), ..Exit::default() };
        let cases = [
            (Status::Created { failure: None }, "Created"),
            (Status::Running(Run { pid: 1, started_at: at(0) }), "Up 5 minutes"),
            (Status::Paused(Run { pid: 1, started_at: at(0) }), "Up 5 minutes (Paused)"),
            (Status::Exited(exit.clone()), "Exited (3) 5 minutes ago"),
            (Status::Restarting(exit), "Restarting (3) 5 minutes ago"),
        ];
        for (status, text) in cases {
            assert_eq!(status_text(&status, at(300)), text);
        }
    }

    #[test]
    fn port_filters() {
        assert!(same_port("80/tcp", "80") && same_port("80/tcp", "70-90/tcp"));
        assert!(!same_port("80/tcp", "80/udp") && !same_port("80/tcp", "x"));
    }
}
