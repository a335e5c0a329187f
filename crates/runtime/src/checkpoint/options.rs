//! What the user of a checkpoint or a restore can choose, and how CRIU is told.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use barge_oci::runtime_spec::Spec;
use barge_sys::namespace::kind;
use rustix::fs::{CWD, Gid, Mode, OFlags};

use super::rpc::{CgroupMode, CriuOptions, PageServer};
use crate::error::{Cause, Error, Result};

/// Choices for a dump, a restore, or both. Names are those of runc's flags.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// CRIU: a path, or a name to look for in `PATH`.
    pub(crate) criu: PathBuf,
    pub(crate) images: PathBuf,
    /// Where the log goes, if not to the images.
    pub(crate) work: Option<PathBuf>,
    /// Images of an earlier pre-dump, seen from `images`.
    pub(crate) parent: Option<PathBuf>,
    pub(crate) leave_running: bool,
    pub(crate) pre_dump: bool,
    pub(crate) tcp_established: bool,
    pub(crate) tcp_skip_in_flight: bool,
    pub(crate) link_remap: bool,
    pub(crate) external_unix_sockets: bool,
    pub(crate) shell_job: bool,
    pub(crate) file_locks: bool,
    pub(crate) auto_dedup: bool,
    pub(crate) lazy_pages: bool,
    pub(crate) cgroups: CgroupMode,
    pub(crate) page_server: Option<PageServer>,
    pub(crate) lsm_profile: Option<String>,
    pub(crate) lsm_mount_context: Option<String>,
}

/// The directories of one run of CRIU, held open: it gets at them through us.
#[derive(Debug)]
pub(super) struct Directories {
    pub(super) images: OwnedFd,
    work: Option<OwnedFd>,
    /// The log, for messages.
    pub(super) log: PathBuf,
}

impl Directories {
    /// Opens the directories. A log of an earlier run is removed, so that nobody takes its errors for ours.
    pub(super) fn open(options: &Options, log: &str) -> Result<Self> {
        let images = open(&options.images)?;
        let work =
            options.work.as_deref().map(|work| make(work, None).and_then(|()| open(work))).transpose()?;
        let log = absolute(options.work.as_deref().unwrap_or(&options.images)).join(log);
        match fs::remove_file(&log) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::File { operation: "remove".into(), path: log, source: error.into() })
            }
            _ => Ok(Self { images, work, log }),
        }
    }
}

impl Directories {
    /// Sends the descriptors to whoever has started this process.
    pub(super) fn send(&self, socket: &OwnedFd) -> Result<()> {
        let fds: Vec<BorrowedFd<'_>> =
            [Some(&self.images), self.work.as_ref()].into_iter().flatten().map(AsFd::as_fd).collect();
        barge_sys::socket::send_with_fds(socket, b"directories", &fds)
            .map_err(|error| Error::Channel { source: error.into() })
    }

    /// Takes what [`Directories::send`] has sent.
    pub(super) fn replace(&mut self, fds: Vec<OwnedFd>) {
        let mut fds = fds.into_iter();
        if let Some(images) = fds.next() {
            self.images = images;
            self.work = fds.next();
        }
    }
}

/// Makes a directory for images or logs, which hold the container's memory. `group` may then find a file in it whose name
/// it knows.
pub(super) fn make(path: &Path, group: Option<Gid>) -> Result<()> {
    let failed =
        |cause: Cause| Error::File { operation: "create directory".into(), path: path.into(), source: cause };
    let own = |recursive| fs::DirBuilder::new().recursive(recursive).mode(0o700).create(path);
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|e| failed(e.into()))?;
    }
    match own(false) {
        Ok(()) => {}
        // Or not a directory.
        Err(_) => return own(true).map_err(|error| failed(error.into())),
    }
    let Some(group) = group else { return Ok(()) };
    let made = open(path)?;
    rustix::fs::fchown(&made, None, Some(group))
        .and_then(|()| rustix::fs::fchmod(&made, Mode::from_raw_mode(0o710)))
        .map_err(|errno| failed(errno.into()))
}

fn open(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|errno| Error::File {
        operation: "open directory".into(),
        path: path.into(),
        source: errno.into(),
    })
}

pub(super) fn absolute(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

impl Options {
    /// What CRIU is told by a dump and a restore alike.
    pub(super) fn shared(&self, directories: &Directories, spec: &Spec) -> CriuOptions {
        CriuOptions {
            images_dir_fd: directories.images.as_raw_fd(),
            work_dir_fd: directories.work.as_ref().map(AsRawFd::as_raw_fd),
            log_level: Some(LOG_LEVEL),
            log_file: directories.log.file_name().map(|name| name.to_string_lossy().into_owned()),
            config_file: config_file(spec),
            notify_scripts: Some(true),
            // The first of the two is for old versions.
            manage_cgroups: Some(true),
            manage_cgroups_mode: Some(self.cgroups.into()),
            shell_job: Some(self.shell_job),
            ext_unix_sk: Some(self.external_unix_sockets),
            tcp_established: Some(self.tcp_established),
            file_locks: Some(self.file_locks),
            // Links, addresses and routes are the business of whoever has made them.
            empty_ns: u32::try_from(kind::NET).ok(),
            orphan_pts_master: Some(true),
            auto_dedup: Some(self.auto_dedup),
            lazy_pages: Some(self.lazy_pages),
            ..CriuOptions::default()
        }
    }
}

/// Everything but the contents of memory.
const LOG_LEVEL: i32 = 4;

/// The file with settings that go before ours: one for all containers, unless this one names its own, or none.
fn config_file(spec: &Spec) -> Option<String> {
    let named = spec.annotations().as_ref().and_then(|all| all.get("org.criu.config"));
    let file = named.map_or("/etc/criu/runc.conf", String::as_str);
    (!file.is_empty()).then(|| file.to_owned())
}

/// Reads `ADDRESS:PORT`; an address of IPv6 is in brackets.
pub(crate) fn page_server(text: &str) -> Result<PageServer, String> {
    let wanted = || "Use --page-server ADDRESS:PORT to specify page server".to_owned();
    let (address, port) = text.rsplit_once(':').ok_or_else(wanted)?;
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(bare) => bare,
        None if address.contains(':') => return Err(wanted()),
        None => address,
    };
    if address.is_empty() || port.is_empty() {
        return Err(wanted());
    }
    let port = port.parse::<u16>().map_err(|_| "Invalid port number".to_owned())?;
    Ok(PageServer { address: Some(address.to_owned()), port: Some(port.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_servers_have_an_address_and_a_port() {
        for (text, expected) in [
            ("127.0.0.1:27", Ok(("127.0.0.1", 27))),
            ("[::1]:27", Ok(("::1", 27))),
            ("host:x", Err("Invalid port number")),
            ("host:70000", Err("Invalid port number")),
            ("::1:27", Err("Use --page-server ADDRESS:PORT to specify page server")),
            (":27", Err("Use --page-server ADDRESS:PORT to specify page server")),
            ("host", Err("Use --page-server ADDRESS:PORT to specify page server")),
        ] {
            let found = page_server(text);
            let found = found.as_ref().map(|server| (server.address(), server.port()));
            assert_eq!(found.map_err(String::as_str), expected, "{text}");
        }
    }

    #[test]
    fn a_container_may_have_settings_of_its_own_for_criu() {
        for (annotations, expected) in [
            ("{}", Some("/etc/criu/runc.conf")),
            (r#"{"org.criu.config":"/x"}"#, Some("/x")),
            (r#"{"org.criu.config":""}"#, None),
        ] {
            let spec = serde_json::from_str(&format!(r#"{{"annotations":{annotations}}}"#)).unwrap();
            assert_eq!(config_file(&spec).as_deref(), expected, "{annotations}");
        }
    }
}
