//! Other hosts for the kernel tests: Debian's cloud kernel with cgroup v2 alone, in QEMU without acceleration.
//!
//! ```text
//! <target>/guest/packages/     the packages, as apt has them; fetched once, installed nowhere
//! <target>/guest/files/        the packages unpacked: the kernel, its modules, apparmor_parser
//! <target>/guest/systemd/      packages and files of systemd with its libraries and a bus, for the host that has it
//! <target>/guest/initrd        busybox, CRIU, modules, profiles and the tests of barge-runtime; made for each run
//! ```
//!
//! `guest/init.sh` is the guest's first program: it runs the tests, or `guest/engine.sh`, or hands over to systemd, whose
//! only service the tests are then. What they print is the result; a guest that says nothing has failed.

mod archive;
mod packages;
mod programs;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::ci::{root, say};
use archive::Archive;
use packages::{Packages, Systemd};

/// An emulated machine on a loaded host takes about two minutes; ten times that is a guest that hangs.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// The guest's last words, followed by the exit status of the tests.
const VERDICT: &str = "guest: the tests ended with status ";

/// What the tests use of the kernel that Debian builds as modules. What another needs stands before it.
const MODULES: [&str; 20] = [
    "fs/overlayfs/overlay.ko",
    "drivers/net/dummy.ko",
    "drivers/net/tun.ko",
    "drivers/net/veth.ko",
    "block/bfq.ko",
    "drivers/block/brd.ko",
    // CRIU asks for sockets of each kind, stops packets, and asks for connections that are tracked.
    "net/unix/unix_diag.ko",
    "net/ipv4/inet_diag.ko",
    "net/ipv4/tcp_diag.ko",
    "net/ipv4/udp_diag.ko",
    "net/ipv4/raw_diag.ko",
    "net/netlink/netlink_diag.ko",
    "net/packet/af_packet_diag.ko",
    "net/netfilter/nfnetlink.ko",
    "lib/libcrc32c.ko",
    "net/netfilter/nf_tables.ko",
    "net/ipv4/netfilter/nf_defrag_ipv4.ko",
    "net/ipv6/netfilter/nf_defrag_ipv6.ko",
    "net/netfilter/nf_conntrack.ko",
    "net/netfilter/nf_conntrack_netlink.ko",
];

/// What the engine's networks use besides.
const NETWORK_MODULES: [&str; 13] = [
    "net/llc/llc.ko",
    "net/802/stp.ko",
    "net/bridge/bridge.ko",
    "net/netfilter/nf_nat.ko",
    "net/netfilter/nft_chain_nat.ko",
    "net/netfilter/nft_masq.ko",
    "net/netfilter/nft_nat.ko",
    "net/netfilter/nft_fib.ko",
    "net/ipv4/netfilter/nft_fib_ipv4.ko",
    "net/ipv6/netfilter/nft_fib_ipv6.ko",
    "net/netfilter/nft_fib_inet.ko",
    "net/netfilter/nft_numgen.ko",
    "net/netfilter/nft_ct.ko",
];

/// CRIU's settings. Its other way to stop packets is a program that the guest lacks.
const CRIU: &str = "network-lock nftables\n";

/// A profile that forbids one thing, so that a test can see whether it rules.
const PROFILE: &str = "profile barge-test flags=(attach_disconnected,mediate_deleted) {
  file,
  capability,
  network,
  mount,
  umount,
  pivot_root,
  signal,
  ptrace,
  unix,
  deny /etc/forbidden rwklx,
}
";

/// What the guest's first process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// A script.
    Bare,
    /// Systemd. Only tests that need it run there.
    Systemd,
}

impl Host {
    /// What the tests' names have to contain if nothing else is wanted.
    fn filter(self) -> Option<&'static str> {
        match self {
            Self::Bare => None,
            Self::Systemd => Some("systemd::"),
        }
    }
}

/// Builds the tests, boots the guest and fails unless every test in it passed. `packages` is the selection of
/// packages with which cargo was last called: the same one builds nothing anew. `filter` is that of the tests.
pub(crate) fn run(host: Host, selection: &[&str], filter: Option<&str>) -> Result<()> {
    let folder = target().join("guest");
    let packages = Packages::fetch(&folder)?;
    let tests = Tests::build(selection)?;
    let initrd = folder.join("initrd");
    let mut archive = initial_files(&packages, &tests)?;
    if host == Host::Systemd {
        add_systemd(&mut archive, &Systemd::fetch(&folder.join("systemd"))?)?;
    }
    fs::write(&initrd, archive.finish()).context("write the initial file system")?;
    let console = boot(&packages.kernel, &initrd, filter.or(host.filter()))?;
    judge(&console)
}

/// As [`run`], with the engine's own binary and a script of what its users do.
pub(crate) fn run_engine(binary: &Path) -> Result<()> {
    let folder = target().join("guest");
    let packages = Packages::fetch(&folder)?;
    let mut archive = host_files(&packages, MODULES.iter().chain(&NETWORK_MODULES))?;
    archive.file("engine.sh", include_bytes!("guest/engine.sh"));
    archive.copy("bin/barge", binary)?;
    let initrd = folder.join("initrd");
    fs::write(&initrd, archive.finish()).context("write the initial file system")?;
    judge(&boot(&packages.kernel, &initrd, None)?)
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The test program of barge-runtime and the program that it tests.
struct Tests {
    it: PathBuf,
    runtime: PathBuf,
}

impl Tests {
    fn build(selection: &[&str]) -> Result<Self> {
        let output = Command::new("cargo")
            .arg("test")
            .args(selection)
            .args(["--locked", "--no-run", "--message-format=json"])
            .current_dir(root())
            .stderr(Stdio::inherit())
            .output()
            .context("start cargo")?;
        ensure!(output.status.success(), "the tests were not built");
        let messages: Vec<Value> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let executable = |name: &str, kind: &str| {
            let of_runtime = |message: &&Value| {
                message["target"]["name"] == name
                    && message["target"]["kind"][0] == kind
                    && message["manifest_path"]
                        .as_str()
                        .is_some_and(|m| m.ends_with("crates/runtime/Cargo.toml"))
            };
            let found = messages.iter().find(of_runtime).and_then(|message| message["executable"].as_str());
            found.map(PathBuf::from).with_context(|| format!("cargo built no {kind} {name}"))
        };
        Ok(Self { it: executable("it", "test")?, runtime: executable("runtime", "example")? })
    }
}

/// What every guest has.
fn host_files<'a>(packages: &Packages, modules: impl Iterator<Item = &'a &'static str>) -> Result<Archive> {
    let mut archive = Archive::default();
    for name in ["bin", "dev", "etc", "modules", "profiles"] {
        archive.directory(name);
    }
    archive.device("dev/console", 5, 1);
    archive.device("dev/null", 1, 3);
    archive.file("init", include_bytes!("guest/init.sh"));
    archive.file("etc/passwd", b"root:x:0:0::/root:/bin/sh\n");
    archive.file("etc/group", b"root:x:0:\n");
    archive.copy("bin/busybox", Path::new("/bin/busybox"))?;
    for (number, module) in modules.enumerate() {
        archive.copy(&format!("modules/{number:02}.ko"), &packages.modules.join(module))?;
    }
    Ok(archive)
}

fn initial_files(packages: &Packages, tests: &Tests) -> Result<Archive> {
    let mut archive = host_files(packages, MODULES.iter())?;
    for name in ["etc/criu", "target", "target/deps", "target/examples"] {
        archive.directory(name);
    }
    programs::add(&mut archive, "bin/criu", Path::new("/usr/sbin/criu"), "criu")?;
    archive.text("etc/criu/default.conf", CRIU);
    // CRIU keeps what is in a tmpfs with options that busybox's does not know.
    programs::add(&mut archive, "bin/tar", Path::new("/bin/tar"), "tar")?;
    archive.file("profiles/barge-test", &packages.compile_profile(PROFILE)?);
    archive.file("target/deps/it", &stripped(&tests.it)?);
    archive.file("target/examples/runtime", &stripped(&tests.runtime)?);
    Ok(archive)
}

/// Systemd's own files, and the tests as the one thing that it is there for.
fn add_systemd(archive: &mut Archive, systemd: &Systemd) -> Result<()> {
    // Its bus and its log have users of their own.
    archive.text("etc/passwd", PASSWD);
    archive.text("etc/group", GROUP);
    archive.text("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    archive.tree(&systemd.files, &|path| !systemd.is_needless(path))?;
    archive.text("etc/systemd/system/default.target", include_str!("guest/default.target"));
    archive.text("etc/systemd/system/tests.service", include_str!("guest/tests.service"));
    Ok(())
}

const PASSWD: &str = "root:x:0:0::/root:/bin/sh
messagebus:x:100:100::/nonexistent:/bin/false
user:x:1000:1000::/home/user:/bin/sh
nobody:x:65534:65534::/nonexistent:/bin/false
";

const GROUP: &str = "root:x:0:
tty:x:5:
systemd-journal:x:101:
messagebus:x:100:
user:x:1000:
nogroup:x:65534:
";

/// A program without what only debuggers read: the emulated machine has to copy every byte.
fn stripped(program: &Path) -> Result<Vec<u8>> {
    let output = target().join("guest/stripped");
    let status = Command::new("strip").arg("-o").arg(&output).arg(program).status().context("start strip")?;
    ensure!(status.success(), "strip {} ended with {status}", program.display());
    fs::read(&output).with_context(|| format!("read {}", output.display()))
}

/// Ends the emulator with the scope, however that ends.
struct Emulator(Child);

impl Drop for Emulator {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the guest to its end and returns every line of its console.
fn boot(kernel: &Path, initrd: &Path, filter: Option<&str>) -> Result<Vec<String>> {
    let filter = filter.map(|filter| format!(" it={filter}")).unwrap_or_default();
    let faults =
        std::env::var("BARGE_FAULTS").map(|faults| format!(" BARGE_FAULTS={faults}")).unwrap_or_default();
    let mut command = Command::new("qemu-system-x86_64");
    // Neither network nor disk; a panic restarts the machine, which ends it.
    command
        .args(["-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", "2", "-m", "1024"])
        .args(["-nographic", "-nodefaults", "-no-reboot", "-serial", "stdio", "-nic", "none"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initrd)
        .args(["-append", &format!("console=ttyS0 quiet panic=-1 random.trust_cpu=on{filter}{faults}")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let started = Instant::now();
    let mut emulator =
        Emulator(command.spawn().context("start qemu-system-x86_64 (scripts/install-packages test)")?);
    let stdout = emulator.0.stdout.take().context("the emulator has no output")?;
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || read_lines(stdout, &sender));
    let mut console = Vec::new();
    loop {
        match lines.recv_timeout(LIMIT.saturating_sub(started.elapsed())) {
            Ok(line) => console.push(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                console.iter().for_each(|line| say(line));
                bail!("the guest was still running after {} s", LIMIT.as_secs());
            }
        }
    }
    Ok(console)
}

fn read_lines(stdout: impl std::io::Read, sender: &mpsc::Sender<String>) {
    for line in BufReader::new(stdout).split(b'\n').map_while(std::io::Result::ok) {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if sender.send(line).is_err() {
            return;
        }
    }
}

/// A success says which host it was, what was skipped, and how many tests there were; a failure says everything.
fn judge(console: &[String]) -> Result<()> {
    let status = console.iter().rev().find_map(|line| line.strip_prefix(VERDICT));
    if status != Some("0") {
        console.iter().for_each(|line| say(line));
    }
    match status {
        None => bail!("the guest ended without a result"),
        Some("0") => {
            let telling = |line: &&String| {
                ["guest:", "test result:"].iter().any(|start| line.starts_with(start))
                    || line.contains("skipped:")
            };
            console.iter().filter(telling).for_each(|line| say(line));
            Ok(())
        }
        Some(status) => bail!("tests failed in the guest (status {status})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_guest_that_says_so_has_passed() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert!(judge(&lines("boot\ntest result: ok\nguest: the tests ended with status 0")).is_ok());
        assert!(judge(&lines("test result: ok")).is_err());
        assert!(judge(&lines("guest: the tests ended with status 101")).is_err());
    }
}
