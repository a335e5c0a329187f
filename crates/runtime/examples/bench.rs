//! Times the library alone: bundle to exit of the program, N times, in one process. `bench BUNDLE [N]`
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Instant;

use barge_runtime::{Inputs, Prepared, Request, Root, Stdio};

fn main() {
    let mut args = std::env::args().skip(1);
    let bundle = PathBuf::from(args.next().expect("BUNDLE"));
    let count: usize = args.next().map_or(100, |n| n.parse().expect("N"));
    let null = std::fs::File::options().read(true).write(true).open("/dev/null").expect("/dev/null");
    let mut times = Vec::new();
    for number in 0..count {
        let text = std::fs::read(bundle.join("config.json")).expect("config.json");
        let start = Instant::now();
        let spec = serde_json::from_slice(&text).expect("spec");
        let id = format!("bench-{}-{number}", std::process::id());
        let overlay = bundle.join("overlay");
        let root = if overlay.exists() {
            Root::Overlay {
                lower: vec![bundle.join("rootfs")],
                upper: overlay.join("upper"),
                work: overlay.join("work"),
                volatile: std::env::var_os("VOLATILE").is_some(),
            }
        } else {
            Root::Bundle
        };
        let cache = Some(bundle.join("seccomp"));
        let request = Request {
            id,
            bundle: bundle.clone(),
            spec,
            root,
            user: None,
            groups: Vec::new(),
            seccomp_cache: cache,
        };
        let a = Instant::now();
        let prepared = Prepared::new(request).expect("prepare");
        let b = Instant::now();
        let fd = || null.as_fd().try_clone_to_owned().expect("dup");
        let stdio = Stdio::Fds {
            stdin: fd(),
            stdout: fd(),
            stderr: rustix::io::dup(rustix::stdio::stderr()).expect("dup"),
        };
        let mut created = prepared.create(Inputs { stdio, netns: None }).expect("create");
        let c = Instant::now();
        created.start().expect("start");
        let d = Instant::now();
        let wait = rustix::process::WaitId::PidFd(created.pidfd.as_fd());
        rustix::process::waitid(wait, rustix::process::WaitIdOptions::EXITED).expect("wait");
        let e = Instant::now();
        created.cgroup.remove().expect("remove");
        let f = Instant::now();
        times.push([f - start, a - start, b - a, c - b, d - c, e - d, f - e]);
    }
    let names = ["total", "parse", "prepare", "create", "start", "program", "remove"];
    for (index, name) in names.iter().enumerate() {
        let mut column: Vec<_> = times.iter().map(|row| row[index]).collect();
        column.sort();
        let (median, p90) = (column[count / 2], column[count * 9 / 10]);
        if writeln!(std::io::stdout(), "{name:8} median {median:9.1?} p90 {p90:9.1?}").is_err() {
            return;
        }
    }
}
