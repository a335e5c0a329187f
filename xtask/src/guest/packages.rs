//! Debian's packages for the guest: downloaded by apt, unpacked below the target folder, never installed.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The kernel's name follows its version; this package depends on the present one.
const KERNEL: &str = "linux-image-cloud-amd64";

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
            for package in
                entries(&downloads)?.iter().filter(|path| path.extension() == Some(OsStr::new("deb")))
            {
                output(Command::new("dpkg").arg("-x").arg(package).arg(&files))?;
            }
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
