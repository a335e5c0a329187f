//! A unix socket that only root and one group may connect to.

use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Mode};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::UnixListener;

use super::parent;
use crate::error::{Error, Result};

/// Clients that may wait to be accepted: as many as the kernel's own limit allows.
const BACKLOG: i32 = 4096;

/// The group that may use the socket unless another is configured.
const GROUP: &str = "docker";

/// Binds the socket at `path` with mode 0660. What a dead daemon left there is replaced.
pub(super) fn bind(path: &Path, group: Option<&str>) -> Result<UnixListener> {
    let address = format!("unix://{}", path.display());
    let failed = |source: std::io::Error| Error::Listen { address: address.clone(), source };
    std::fs::create_dir_all(parent(path)).map_err(failed)?;
    if UnixStream::connect(path).is_ok() {
        return Err(Error::Listening { address });
    }
    let _ = std::fs::remove_file(path);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|error| failed(error.into()))?;
    let name = SocketAddrUnix::new(path).map_err(|error| failed(error.into()))?;
    rustix::net::bind(&socket, &name).map_err(|error| failed(error.into()))?;
    // Before listen(2): nobody can connect while the mode is still the umask's.
    rustix::fs::chmodat(CWD, path, Mode::from_raw_mode(0o660), AtFlags::empty())
        .map_err(|error| failed(error.into()))?;
    if let Some(gid) = owner(group)? {
        rustix::fs::chownat(CWD, path, None, Some(gid), AtFlags::empty())
            .map_err(|error| failed(error.into()))?;
    }
    rustix::net::listen(&socket, BACKLOG).map_err(|error| failed(error.into()))?;
    UnixListener::from_std(socket.into()).map_err(failed)
}

/// The group's number. A group that was asked for must exist; Docker's own is used where it does.
fn owner(group: Option<&str>) -> Result<Option<Gid>> {
    let (name, asked) = match group {
        Some("") => return Ok(None),
        Some(name) => (name, true),
        None => (GROUP, false),
    };
    if let Ok(number) = name.parse() {
        return Ok(Some(Gid::from_raw(number)));
    }
    // Read here, not by getgrnam: in a static binary that would load the host's NSS libraries.
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    match find_group(&groups, name) {
        Some(number) => Ok(Some(Gid::from_raw(number))),
        None if asked => Err(Error::Settings { reason: format!("group {name} not found") }),
        None => Ok(None),
    }
}

fn find_group(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn groups_are_found_by_name() {
        let groups = "root:x:0:\n# comment\ndocker:x:998:alice,bob\nbroken\nempty:x::\n";
        assert_eq!(find_group(groups, "docker"), Some(998));
        assert_eq!(find_group(groups, "root"), Some(0));
        assert_eq!(find_group(groups, "broken"), None);
        assert_eq!(find_group(groups, "empty"), None);
        assert_eq!(find_group(groups, "dock"), None);
    }

    #[tokio::test]
    async fn a_dead_daemons_socket_is_replaced_and_a_living_ones_is_not() {
        let dir = std::env::temp_dir().join(format!("barge-unix-{}", std::process::id()));
        let path = dir.join("sub/barge.sock");
        drop(bind(&path, None).unwrap());
        let listener = bind(&path, None).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(matches!(bind(&path, None), Err(Error::Listening { .. })));
        drop(listener);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
