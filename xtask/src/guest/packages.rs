//! Debian's packages for the guest: downloaded by apt, unpacked below the target folder, never installed.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The kernel's name follows its version; this package depends on the present one.
const KERNEL: &str = "linux-image-cloud-amd64";

/// What a host with systemd as its first process consists of, besides libraries.
const SYSTEMD: [&str; 4] = ["systemd", "dbus", "dbus-daemon", "dbus-system-bus-common"];

/// Systemd, a bus, and the libraries they need.
#[derive(Debug)]
pub(super) struct Systemd {
    /// The root of their files.
    pub(super) files: PathBuf,
}

impl Systemd {
    /// Downloads and unpacks what is not below `folder` yet. Nothing is configured, as an installation would: what
    /// would have been made then is the guest's to make.
    pub(super) fn fetch(folder: &Path) -> Result<Self> {
        let files = folder.join("files");
        if !files.exists() {
            let downloads = folder.join("packages");
            fs::create_dir_all(&downloads).with_context(|| format!("create {}", downloads.display()))?;
            let packages = Self::packages()?;
            output(Command::new("apt-get").arg("download").args(&packages).current_dir(&downloads))?;
            // Whole or not there.
            let half = folder.join("half");
            unpack(&downloads, &half)?;
            fs::rename(&half, &files).with_context(|| format!("create {}", files.display()))?;
        }
        Ok(Self { files })
    }

    /// The packages themselves and every library below them; alternatives do no harm.
    fn packages() -> Result<Vec<String>> {
        let tree =
            output(Command::new("apt-cache").args(["depends", "--recurse", "--important"]).args(SYSTEMD))?;
        let mut names: Vec<String> = SYSTEMD.map(str::to_owned).into();
        // Names stand at the beginnings of lines; virtual ones are in angle brackets, those of other machines have a colon.
        names.extend(
            tree.lines()
                .filter(|line| line.starts_with("lib") && !line.contains(':'))
                .map(|line| line.trim().to_owned()),
        );
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Whether a file is of no use to a host that only runs tests: the guest has to copy every byte.
    pub(super) fn is_needless(&self, path: &str) -> bool {
        const NEEDLESS: [&str; 9] = [
            "usr/share/doc",
            "usr/share/man",
            "usr/share/locale",
            "usr/share/info",
            "usr/share/lintian",
            "usr/share/bash-completion",
            "usr/share/zsh",
            "usr/lib/x86_64-linux-gnu/gconv",
            // Nobody logs in, and nothing is at the other end of a network.
            "lib/systemd/systemd-networkd",
        ];
        NEEDLESS.contains(&path)
    }
}

/// The unpacked files.
#[derive(Debug)]
pub(super) struct Packages {
    /// The kernel's image.
    pub(super) kernel: PathBuf,
    /// The folder `kernel` of its modules.
    pub(super) modules: PathBuf,
    parser: PathBuf,
    features: PathBuf,
}

impl Packages {
    /// Downloads and unpacks what is not below `folder` yet.
    pub(super) fn fetch(folder: &Path) -> Result<Self> {
        let files = folder.join("files");
        if Self::find(&files).is_err() {
            let downloads = folder.join("packages");
            fs::create_dir_all(&downloads).with_context(|| format!("create {}", downloads.display()))?;
            output(
                Command::new("apt-get").args(["download", &image()?, "apparmor"]).current_dir(&downloads),
            )?;
            unpack(&downloads, &files)?;
        }
        Self::find(&files)
    }

    fn find(files: &Path) -> Result<Self> {
        let first = |folder: &str, start: &str| {
            let starts = |path: &&PathBuf| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start))
            };
            let found = entries(&files.join(folder))?.iter().find(starts).cloned();
            found.with_context(|| format!("no {start}* in {folder}"))
        };
        let parser = first("sbin", "apparmor_parser")?;
        let features = first("usr/share/apparmor-features", "features")?;
        Ok(Self {
            kernel: first("boot", "vmlinuz-")?,
            modules: first("lib/modules", "")?.join("kernel"),
            parser,
            features,
        })
    }

    /// The form of an AppArmor profile that the kernel loads.
    pub(super) fn compile_profile(&self, profile: &str) -> Result<Vec<u8>> {
        let mut child = Command::new(&self.parser)
            // Neither the host's cache nor its features: the profile is for another kernel.
            .args(["--skip-kernel-load", "--skip-cache", "--quiet", "--stdout", "--config-file=/dev/null"])
            .arg("--features-file")
            .arg(&self.features)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", self.parser.display()))?;
        let mut stdin = child.stdin.take().context("apparmor_parser has no input")?;
        stdin.write_all(profile.as_bytes()).context("write to apparmor_parser")?;
        drop(stdin);
        let done = child.wait_with_output().context("wait for apparmor_parser")?;
        ensure!(
            done.status.success() && !done.stdout.is_empty(),
            "apparmor_parser ended with {}",
            done.status
        );
        Ok(done.stdout)
    }
}

fn unpack(downloads: &Path, files: &Path) -> Result<()> {
    for package in entries(downloads)?.iter().filter(|path| path.extension() == Some(OsStr::new("deb"))) {
        output(Command::new("dpkg").arg("-x").arg(package).arg(files))?;
    }
    Ok(())
}

/// The package of the kernel that [`KERNEL`] stands for.
fn image() -> Result<String> {
    let text = output(Command::new("apt-cache").args(["depends", KERNEL]))?;
    let name = text.lines().find_map(|line| line.trim().strip_prefix("Depends: ")).map(str::to_owned);
    name.with_context(|| format!("{KERNEL} depends on nothing (apt-get update)"))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    Ok(listing.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<_>>()?)
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
