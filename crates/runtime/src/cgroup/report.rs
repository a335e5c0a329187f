//! All that a container's cgroup counts, with the names and the nesting of runc's `types/events.go`.
//!
//! What is 0 is left out where runc leaves it out (`omitempty`), and what this host does not count is 0. Tools that
//! read `events` (cAdvisor, containerd's old shim) expect version 2 in the shape of version 1, which is what runc gives
//! them: swap with memory in it, `io.stat` as tables of operations.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::v1::Place;
use super::{Cgroup, Places};

/// A number or a list behind a name, unless there is nothing to say.
fn put(object: &mut Map<String, Value>, name: &str, value: Value) {
    let empty = match &value {
        Value::Null => true,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    if !empty {
        object.insert(name.into(), value);
    }
}

fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let mut out = Map::new();
    fields.into_iter().for_each(|(name, value)| put(&mut out, name, value));
    Value::Object(out)
}

fn text(directory: &Path, file: &str) -> Option<String> {
    fs::read_to_string(directory.join(file)).ok()
}

fn number(directory: &Path, file: &str) -> Option<u64> {
    text(directory, file).and_then(|text| parse(&text))
}

fn parse(text: &str) -> Option<u64> {
    match text.trim() {
        "max" => Some(u64::MAX),
        digits => digits.parse().ok(),
    }
}

/// The lines `key number` of a file.
fn table(directory: &Path, file: &str) -> Map<String, Value> {
    let text = text(directory, file).unwrap_or_default();
    let pair = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), parse(value)?.into()))
    };
    text.lines().filter_map(pair).collect()
}

fn of(table: &Map<String, Value>, key: &str) -> u64 {
    table.get(key).and_then(Value::as_u64).unwrap_or(0)
}

impl Cgroup {
    /// What it has used up to now, and its limits.
    pub(crate) fn report(&self) -> Value {
        let mut out = match &self.places {
            Places::Legacy(places) => legacy(places),
            Places::Unified(directory) => unified(directory),
        };
        // Neither is this runtime's to know: it makes no networks, and puts nothing into groups of RDT by itself.
        out["intel_rdt"] = json!({});
        out["network_interfaces"] = Value::Null;
        out
    }
}

fn legacy(places: &[Place]) -> Value {
    let none = Path::new("/nonexistent");
    let at = |name: &str| places.iter().find(|place| place.has(name)).map_or(none, |place| &place.directory);
    json!({
        "cpu": object([
            ("usage", usage_v1(at("cpuacct"))),
            ("throttling", throttling(&table(at("cpu"), "cpu.stat"), "throttled_time", 1)),
        ]),
        "cpuset": cpuset(at("cpuset")),
        "memory": memory_v1(at("memory")),
        "pids": pids(at("pids")),
        "blkio": blkio_v1(at("blkio")),
        "hugetlb": hugetlb_v1(at("hugetlb")),
    })
}

fn unified(directory: &Path) -> Value {
    let cpu = table(directory, "cpu.stat");
    let nanoseconds = |key: &str| of(&cpu, key) * 1000;
    json!({
        "cpu": object([
            ("usage", usage(nanoseconds("usage_usec"), nanoseconds("system_usec"), nanoseconds("user_usec"), [])),
            ("throttling", throttling(&cpu, "throttled_usec", 1000)),
            ("psi", pressure(directory, "cpu.pressure")),
        ]),
        "cpuset": cpuset(Path::new("/nonexistent")),
        "memory": memory_v2(directory),
        "pids": pids(directory),
        "blkio": blkio_v2(directory),
        "hugetlb": hugetlb_v2(directory),
    })
}

/// Kernel and user are there even when 0.
fn usage(
    total: u64,
    kernel: u64,
    user: u64,
    lists: impl IntoIterator<Item = (&'static str, Vec<u64>)>,
) -> Value {
    let mut out = Map::from_iter([("kernel".into(), kernel.into()), ("user".into(), user.into())]);
    put(&mut out, "total", total.into());
    lists.into_iter().for_each(|(name, list)| put(&mut out, name, list.into()));
    Value::Object(out)
}

fn usage_v1(directory: &Path) -> Value {
    let each = text(directory, "cpuacct.usage_percpu").unwrap_or_default();
    let each = each.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // cpu user system
    let modes = text(directory, "cpuacct.usage_all").unwrap_or_default();
    let column = |index: usize| {
        let lines = modes.lines().skip(1);
        lines.filter_map(|line| line.split(' ').nth(index)?.parse().ok()).collect::<Vec<u64>>()
    };
    usage(
        number(directory, "cpuacct.usage").unwrap_or(0),
        number(directory, "cpuacct.usage_sys").unwrap_or(0),
        number(directory, "cpuacct.usage_user").unwrap_or(0),
        [("percpu", each), ("percpu_kernel", column(2)), ("percpu_user", column(1))],
    )
}

fn throttling(stat: &Map<String, Value>, time: &str, factor: u64) -> Value {
    object([
        ("periods", of(stat, "nr_periods").into()),
        ("throttledPeriods", of(stat, "nr_throttled").into()),
        ("throttledTime", (of(stat, time) * factor).into()),
    ])
}

/// Version 2 has nothing of it; runc writes zeros then.
fn cpuset(directory: &Path) -> Value {
    let list = |file: &str| ranges(&text(directory, file).unwrap_or_default());
    let flag = |file: &str| number(directory, file).unwrap_or(0);
    let level = text(directory, "cpuset.sched_relax_domain_level");
    let mut out = json!({
        "cpu_exclusive": flag("cpuset.cpu_exclusive"),
        "mem_hardwall": flag("cpuset.mem_hardwall"),
        "mem_exclusive": flag("cpuset.mem_exclusive"),
        "memory_migrate": flag("cpuset.memory_migrate"),
        "memory_spread_page": flag("cpuset.memory_spread_page"),
        "memory_spread_slab": flag("cpuset.memory_spread_slab"),
        "memory_pressure": flag("cpuset.memory_pressure"),
        "sched_load_balance": flag("cpuset.sched_load_balance"),
        "sched_relax_domain_level": level.and_then(|text| text.trim().parse::<i64>().ok()).unwrap_or(0),
    });
    if let Some(fields) = out.as_object_mut() {
        put(fields, "cpus", list("cpuset.cpus").into());
        put(fields, "mems", list("cpuset.mems").into());
    }
    out
}

/// The numbers of a list such as `0-2,7`.
fn ranges(list: &str) -> Vec<u16> {
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<u16>().ok()?..=last.parse().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

fn entry(limit: u64, usage: u64, max: u64, failures: u64) -> Value {
    let mut out = Map::from_iter([("limit".into(), limit.into()), ("failcnt".into(), failures.into())]);
    put(&mut out, "usage", usage.into());
    put(&mut out, "max", max.into());
    Value::Object(out)
}

fn memory_v1(directory: &Path) -> Value {
    let raw = table(directory, "memory.stat");
    // Empty where the kernel does not count, as with runc.
    let of_kind = |kind: &str| {
        let file = |what: &str| number(directory, &format!("memory.{kind}{what}"));
        file("usage_in_bytes").map_or(Value::Null, |usage| {
            let [limit, max, failures] =
                ["limit_in_bytes", "max_usage_in_bytes", "failcnt"].map(|what| file(what).unwrap_or(0));
            entry(limit, usage, max, failures)
        })
    };
    object([
        ("cache", of(&raw, "cache").into()),
        ("usage", of_kind("")),
        ("swap", of_kind("memsw.")),
        ("kernel", of_kind("kmem.")),
        ("kernelTCP", of_kind("kmem.tcp.")),
        ("raw", raw.into()),
    ])
}

fn memory_v2(directory: &Path) -> Value {
    let raw = table(directory, "memory.stat");
    let file = |name: &str| number(directory, &format!("memory.{name}"));
    let failures = of(&table(directory, "memory.events"), "max");
    let used = file("current").unwrap_or(0);
    let limit = file("max").unwrap_or(0);
    let memory =
        file("current").map_or(Value::Null, |usage| entry(limit, usage, file("peak").unwrap_or(0), failures));
    // As version 1 counts it: both together, for which there is no peak.
    let swap = file("swap.current").map_or(Value::Null, |swap| {
        let most = file("swap.max").unwrap_or(0);
        entry(most.saturating_add(limit), swap.saturating_add(used), 0, 0)
    });
    object([
        ("cache", of(&raw, "file").into()),
        ("usage", memory),
        ("swap", swap),
        ("raw", raw.into()),
        ("psi", pressure(directory, "memory.pressure")),
    ])
}

fn pids(directory: &Path) -> Value {
    let limit = number(directory, "pids.max").filter(|&limit| limit != u64::MAX).unwrap_or(0);
    object([("current", number(directory, "pids.current").unwrap_or(0).into()), ("limit", limit.into())])
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and the same for `full`.
fn pressure(directory: &Path, file: &str) -> Value {
    let text = text(directory, file).unwrap_or_default();
    let line = |line: &str| {
        let (kind, rest) = line.split_once(' ')?;
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=')?;
            let number = match key {
                "total" => value.parse::<u64>().ok()?.into(),
                _ => value.parse::<f64>().ok()?.into(),
            };
            Some((key.to_owned(), number))
        };
        let values: Map<String, Value> = rest.split(' ').filter_map(pair).collect();
        Some((kind.to_owned(), values.into()))
    };
    let kinds: Map<String, Value> = text.lines().filter_map(line).collect();
    if kinds.is_empty() { Value::Null } else { kinds.into() }
}

fn device(numbers: &str, operation: &str, value: u64) -> Option<Value> {
    let (major, minor) = numbers.split_once(':')?;
    let operation = if operation.is_empty() { Value::Null } else { operation.into() };
    Some(object([
        ("major", major.parse::<u64>().ok()?.into()),
        ("minor", minor.parse::<u64>().ok()?.into()),
        ("op", operation),
        ("value", value.into()),
    ]))
}

/// Names in the report, and those of files behind `blkio.` and before `_recursive`, with the schedulers that count.
const BLKIO: [(&str, &str); 8] = [
    ("ioServiceBytesRecursive", "io_service_bytes"),
    ("ioServicedRecursive", "io_serviced"),
    ("ioQueueRecursive", "io_queued"),
    ("ioServiceTimeRecursive", "io_service_time"),
    ("ioWaitTimeRecursive", "io_wait_time"),
    ("ioMergedRecursive", "io_merged"),
    ("ioTimeRecursive", "time"),
    ("sectorsRecursive", "sectors"),
];

fn blkio_v1(directory: &Path) -> Value {
    let read = |name: &str| {
        // The scheduler that has counted something knows; what all have gone through is counted by throttling.
        let entries = |source: &str| {
            let text = text(directory, &format!("blkio.{source}{name}_recursive")).unwrap_or_default();
            text.lines().filter_map(blkio_line).collect::<Vec<Value>>()
        };
        ["bfq.", "", "throttle."].into_iter().map(entries).find(|list| !list.is_empty()).unwrap_or_default()
    };
    object(BLKIO.map(|(name, file)| (name, read(file).into())))
}

/// `8:0 Read 4096` or, without operations, `8:0 4096`. Sums over all devices have no numbers.
fn blkio_line(line: &str) -> Option<Value> {
    match line.split(' ').collect::<Vec<_>>()[..] {
        [numbers, operation, value] => device(numbers, operation, value.parse().ok()?),
        [numbers, value] => device(numbers, "", value.parse().ok()?),
        _ => None,
    }
}

fn blkio_v2(directory: &Path) -> Value {
    let stat = text(directory, "io.stat").unwrap_or_default();
    let entries = |wanted: [(&str, &str); 2]| {
        let of_line = |line: &str| {
            let (numbers, rest) = line.split_once(' ')?;
            let entry = |pair: &str| {
                let (key, value) = pair.split_once('=')?;
                let (_, operation) = wanted.iter().find(|(name, _)| *name == key)?;
                device(numbers, operation, value.parse().ok()?)
            };
            Some(rest.split(' ').filter_map(entry).collect::<Vec<Value>>())
        };
        stat.lines().filter_map(of_line).flatten().collect::<Vec<Value>>()
    };
    object([
        ("ioServiceBytesRecursive", entries([("rbytes", "Read"), ("wbytes", "Write")]).into()),
        ("ioServicedRecursive", entries([("rios", "Read"), ("wios", "Write")]).into()),
        ("psi", pressure(directory, "io.pressure")),
    ])
}

/// The sizes of huge pages for which the group has files that end like this.
fn page_sizes(directory: &Path, end: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let size = |name: &str| Some(name.strip_prefix("hugetlb.")?.strip_suffix(end)?.to_owned());
    let plain = |size: &String| !size.contains('.');
    entries.filter_map(|entry| size(entry.file_name().to_str()?)).filter(plain).collect()
}

fn hugetlb(usage: Option<u64>, max: Option<u64>, failures: u64) -> Value {
    let mut out = Map::from_iter([("failcnt".into(), failures.into())]);
    put(&mut out, "usage", usage.unwrap_or(0).into());
    put(&mut out, "max", max.unwrap_or(0).into());
    Value::Object(out)
}

/// What is reserved says more than what is mapped, where the kernel counts it.
fn hugetlb_v1(directory: &Path) -> Value {
    let of_size = |size: String| {
        let file = |what: &str| {
            let reserved = number(directory, &format!("hugetlb.{size}.rsvd.{what}"));
            reserved.or_else(|| number(directory, &format!("hugetlb.{size}.{what}")))
        };
        let failures = file("failcnt").unwrap_or(0);
        let counted = hugetlb(file("usage_in_bytes"), file("max_usage_in_bytes"), failures);
        (size, counted)
    };
    page_sizes(directory, ".usage_in_bytes").into_iter().map(of_size).collect::<Map<_, _>>().into()
}

fn hugetlb_v2(directory: &Path) -> Value {
    let of_size = |size: String| {
        let usage = number(directory, &format!("hugetlb.{size}.rsvd.current"))
            .or_else(|| number(directory, &format!("hugetlb.{size}.current")));
        let failures = of(&table(directory, &format!("hugetlb.{size}.events")), "max");
        (size, hugetlb(usage, None, failures))
    };
    page_sizes(directory, ".current").into_iter().map(of_size).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with files as the kernel writes them: reading is all that is tested.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    #[test]
    fn version_two_is_told_in_the_shape_of_version_one() {
        let files = [
            (
                "cpu.stat",
                "usage_usec 3\nuser_usec 1\nsystem_usec 2\nnr_periods 4\nnr_throttled 1\nthrottled_usec 9\n",
            ),
            ("cpu.pressure", "some avg10=0.50 avg60=0.00 avg300=0.00 total=7\n"),
            ("memory.current", "1000\n"),
            ("memory.max", "max\n"),
            ("memory.swap.current", "24\n"),
            ("memory.swap.max", "0\n"),
            ("memory.stat", "anon 5\nfile 6\n"),
            ("memory.events", "low 0\nmax 3\n"),
            ("pids.current", "2\n"),
            ("pids.max", "max\n"),
            ("io.stat", "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n"),
            ("hugetlb.2MB.current", "4\n"),
            ("hugetlb.2MB.rsvd.current", "8\n"),
            ("hugetlb.2MB.events", "max 1\n"),
        ];
        let report = unified(folder(&files).path());
        assert_eq!(report["cpu"]["usage"], json!({"total": 3000, "kernel": 2000, "user": 1000}));
        assert_eq!(
            report["cpu"]["throttling"],
            json!({"periods": 4, "throttledPeriods": 1, "throttledTime": 9000})
        );
        assert_eq!(report["cpu"]["psi"]["some"]["avg10"], json!(0.5));
        assert_eq!(report["cpuset"]["sched_relax_domain_level"], 0);
        assert_eq!(
            report["memory"],
            json!({
                "cache": 6,
                "usage": {"limit": u64::MAX, "usage": 1000, "failcnt": 3},
                "swap": {"limit": u64::MAX, "usage": 1024, "failcnt": 0},
                "raw": {"anon": 5, "file": 6}
            })
        );
        assert_eq!(report["pids"], json!({"current": 2}));
        assert_eq!(
            report["blkio"]["ioServicedRecursive"],
            json!([{"major": 8, "op": "Read", "value": 1}, {"major": 8, "op": "Write", "value": 2}])
        );
        assert_eq!(report["hugetlb"], json!({"2MB": {"usage": 8, "failcnt": 1}}));
    }

    #[test]
    fn version_one_is_read_file_by_file() {
        let files = [
            ("cpuacct.usage", "30\n"),
            ("cpuacct.usage_percpu", "10 20 \n"),
            ("cpuacct.usage_all", "cpu user system\n0 1 2\n1 3 4\n"),
            ("cpuset.cpus", "0-1,4\n"),
            ("cpuset.sched_relax_domain_level", "-1\n"),
            ("blkio.throttle.io_service_bytes_recursive", "8:0 Read 4096\n8:0 Total 4096\nTotal 4096\n"),
            ("blkio.bfq.io_service_bytes_recursive", "Total 0\n"),
            ("blkio.sectors_recursive", "8:16 5\n"),
            ("hugetlb.1GB.usage_in_bytes", "0\n"),
        ];
        let folder = folder(&files);
        let path = folder.path();
        assert_eq!(
            usage_v1(path),
            json!({"total": 30, "kernel": 0, "user": 0, "percpu": [10, 20], "percpu_kernel": [2, 4], "percpu_user": [1, 3]})
        );
        let cpuset = cpuset(path);
        assert_eq!((&cpuset["cpus"], &cpuset["sched_relax_domain_level"]), (&json!([0, 1, 4]), &json!(-1)));
        let blkio = blkio_v1(path);
        assert_eq!(blkio["ioServiceBytesRecursive"][0], json!({"major": 8, "op": "Read", "value": 4096}));
        assert_eq!(blkio["ioServiceBytesRecursive"].as_array().unwrap().len(), 2);
        assert_eq!(blkio["sectorsRecursive"], json!([{"major": 8, "minor": 16, "value": 5}]));
        assert_eq!(hugetlb_v1(path), json!({"1GB": {"failcnt": 0}}));
    }
}
