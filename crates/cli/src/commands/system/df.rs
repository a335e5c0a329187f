//! `system df`.

use barge_api::system::DiskUsage;

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::{LIST_FORMAT, flags};
use crate::output::table::{self, Columns, Wanted};
use crate::output::template::Row;
use crate::output::units;

/// Show disk usage.
pub(crate) struct Df;

flags! {
    /// Flags of `system df`.
    pub(crate) struct DfFlags {
        format: String = "format", LIST_FORMAT;
    }
}

const COLUMNS: Columns = Columns {
    headings: &[
        ("Type", "TYPE"),
        ("TotalCount", "TOTAL"),
        ("Active", "ACTIVE"),
        ("Size", "SIZE"),
        ("Reclaimable", "RECLAIMABLE"),
    ],
    table: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    quiet: "{{.Type}}",
};

impl Verb for Df {
    type Flags = DfFlags;
    const USAGE: &'static str = "[OPTIONS]";
    const ABOUT: &'static str = "Show docker disk usage";
    const ARITY: Arity = Arity::Exactly(0);

    async fn run(cli: &Cli, flags: DfFlags, _args: Vec<String>) -> Result<()> {
        let usage = cli.client().await?.system().disk_usage().await?;
        let rows = sums(&usage).into_iter().map(Sum::into_row).collect();
        table::print(&COLUMNS, Wanted { format: &flags.format, quiet: false }, rows)
    }
}

/// One line of the overview. Bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    kind: &'static str,
    total: usize,
    active: usize,
    size: i64,
    reclaimable: i64,
}

impl Sum {
    fn into_row(self) -> Row {
        let share =
            if self.size > 0 { format!(" ({}%)", self.reclaimable * 100 / self.size) } else { String::new() };
        Row::default()
            .with("Type", self.kind)
            .with("TotalCount", self.total.to_string())
            .with("Active", self.active.to_string())
            .with("Size", units::human_size(self.size))
            .with("Reclaimable", format!("{}{share}", units::human_size(self.reclaimable)))
    }
}

fn sums(usage: &DiskUsage) -> [Sum; 4] {
    let images = usage.images.as_deref().unwrap_or_default();
    let used = images.iter().filter(|image| image.containers > 0);
    let shared = |image: &barge_api::images::ImageSummary| image.shared_size.max(0);
    let used_size: i64 = used.clone().map(|image| image.size - shared(image)).sum();
    let layers = usage.layers_size.unwrap_or_default();
    let containers = usage.containers.as_deref().unwrap_or_default();
    let running = |state: &str| matches!(state, "running" | "paused" | "restarting");
    let volumes = usage.volumes.as_deref().unwrap_or_default();
    let volume_usage = || volumes.iter().filter_map(|volume| volume.usage_data.as_ref());
    let cache = usage.build_cache.as_deref().unwrap_or_default();
    [
        Sum {
            kind: "Images",
            total: images.len(),
            active: used.count(),
            size: layers,
            reclaimable: (layers - used_size).max(0),
        },
        Sum {
            kind: "Containers",
            total: containers.len(),
            active: containers.iter().filter(|container| running(&container.state)).count(),
            size: containers.iter().map(|container| container.size_rw).sum(),
            reclaimable: containers
                .iter()
                .filter(|container| !running(&container.state))
                .map(|container| container.size_rw)
                .sum(),
        },
        Sum {
            kind: "Local Volumes",
            total: volumes.len(),
            active: volume_usage().filter(|usage| usage.ref_count > 0).count(),
            size: volume_usage().map(|usage| usage.size.max(0)).sum(),
            reclaimable: volume_usage()
                .filter(|usage| usage.ref_count == 0)
                .map(|usage| usage.size.max(0))
                .sum(),
        },
        Sum {
            kind: "Build Cache",
            total: cache.len(),
            active: cache.iter().filter(|record| record.in_use).count(),
            size: cache.iter().filter(|record| !record.shared).map(|record| record.size).sum(),
            reclaimable: cache
                .iter()
                .filter(|record| !record.in_use && !record.shared)
                .map(|record| record.size)
                .sum(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use barge_api::containers::ContainerSummary;

    use super::*;

    #[test]
    fn stopped_containers_are_reclaimable() {
        let container = |state: &str, size_rw| ContainerSummary {
            state: state.to_owned(),
            size_rw,
            ..ContainerSummary::default()
        };
        let usage = DiskUsage {
            containers: Some(vec![container("running", 10), container("exited", 30)]),
            ..DiskUsage::default()
        };
        let expected = Sum { kind: "Containers", total: 2, active: 1, size: 40, reclaimable: 30 };
        assert_eq!(sums(&usage)[1], expected);
    }
}
