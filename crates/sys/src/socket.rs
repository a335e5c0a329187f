//! Packet sockets that carry descriptors: `AF_UNIX` + `SOCK_SEQPACKET` with `SCM_RIGHTS`.
//!
//! Every socket and every received descriptor is close-on-exec from its first moment, so that a
//! process spawned by another thread never inherits it.
//! Addresses go through `/proc/self/fd/N/NAME`: a socket's path may be longer than `sun_path` (108 bytes).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

/// The most descriptors that travel with one packet (the kernel's own limit is 253, `SCM_MAX_FD`).
pub const MAX_FDS: usize = 250;

const CONTROL_SPACE: usize = rustix::cmsg_space!(ScmRights(MAX_FDS));

/// A connected pair of packet sockets, both blocking.
pub fn pair_seqpacket() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// A connected pair of byte-stream sockets, both blocking.
pub fn pair_stream() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// A non-blocking listener at `path` that only this user may connect to. A stale socket file is replaced.
pub fn listen_seqpacket(path: &Path) -> io::Result<OwnedFd> {
    let (_directory, short) = short_path(path)?;
    match rustix::fs::unlink(&short) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    // Linux gives the file the socket inode's mode: set before bind there is no moment when others may connect.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(&short)?)?;
    rustix::net::listen(&socket, 16)?;
    Ok(socket)
}

/// Accepts one connection, non-blocking; `None` when nobody waits.
pub fn accept(listener: impl AsFd) -> io::Result<Option<OwnedFd>> {
    match rustix::net::accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
        Ok(socket) => Ok(Some(socket)),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Connects to the listener at `path`; the socket is blocking.
pub fn connect_seqpacket(path: &Path) -> io::Result<OwnedFd> {
    let (_directory, short) = short_path(path)?;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(&short)?)?;
    Ok(socket)
}

/// Sends one packet with descriptors. Never blocks ([`io::ErrorKind::WouldBlock`] when the peer's queue is full).
pub fn send_with_fds(socket: impl AsFd, packet: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    if fds.len() > MAX_FDS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut space = [MaybeUninit::uninit(); CONTROL_SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(fds));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(&socket, &[IoSlice::new(packet)], &mut control, flags)
    })?;
    Ok(())
}

/// One received packet. No bytes and no descriptors mean that the peer has closed.
#[derive(Debug, Default)]
pub struct Packet {
    /// The packet's bytes, whole.
    pub bytes: Vec<u8>,
    /// The descriptors that came with it, in the sender's order.
    pub fds: Vec<OwnedFd>,
}

/// Receives one packet, whatever its size. Never blocks; `None` when none has arrived.
pub fn recv_with_fds(socket: impl AsFd) -> io::Result<Option<Packet>> {
    let Some(size) = next_size(&socket)? else { return Ok(None) };
    let mut bytes = vec![0; size];
    let mut space = [MaybeUninit::uninit(); CONTROL_SPACE];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received =
        match rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags) {
            Ok(received) => received,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(None),
            Err(rustix::io::Errno::CONNRESET) => return Ok(Some(Packet::default())),
            Err(error) => return Err(error.into()),
        };
    if received.flags.contains(ReturnFlags::CTRUNC) || received.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    bytes.truncate(received.bytes);
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    Ok(Some(Packet { bytes, fds }))
}

/// The size of the packet at the head of the queue; zero at the end of the connection.
fn next_size(socket: impl AsFd) -> io::Result<Option<usize>> {
    let flags = RecvFlags::PEEK | RecvFlags::TRUNC | RecvFlags::DONTWAIT;
    match rustix::net::recv(&socket, &mut [0_u8; 1][..], flags) {
        Ok((_, size)) => Ok(Some(size)),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
        Err(rustix::io::Errno::CONNRESET) => Ok(Some(0)),
        Err(error) => Err(error.into()),
    }
}

/// Opens the directory of `path` and names the file through it, however long the path is.
fn short_path(path: &Path) -> io::Result<(OwnedFd, PathBuf)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(parent, flags, Mode::empty())?;
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    Ok((directory, short))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_packet_keeps_its_bounds_and_brings_its_descriptors() {
        let (a, b) = pair_seqpacket().unwrap();
        assert!(recv_with_fds(&b).unwrap().is_none());
        let (mut reader, writer) = io::pipe().unwrap();
        let large = vec![7_u8; 100_000];
        send_with_fds(&a, b"one", &[writer.as_fd(), reader.as_fd()]).unwrap();
        send_with_fds(&a, &large, &[]).unwrap();
        drop(writer);
        let first = recv_with_fds(&b).unwrap().unwrap();
        assert_eq!((first.bytes.as_slice(), first.fds.len()), (&b"one"[..], 2));
        let flags = rustix::io::fcntl_getfd(&first.fds[0]).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        let mut fds = first.fds.into_iter();
        std::fs::File::from(fds.next().unwrap()).write_all(b"through").unwrap();
        drop(fds);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        assert_eq!(recv_with_fds(&b).unwrap().unwrap().bytes, large);
        drop(a);
        let end = recv_with_fds(&b).unwrap().unwrap();
        assert!(end.bytes.is_empty() && end.fds.is_empty());
    }

    #[test]
    fn a_listener_works_behind_a_long_path_and_is_private() {
        let root = std::env::temp_dir().join(format!("barge-socket-{}", std::process::id()));
        let directory = root.join("d".repeat(120));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("shim.sock");
        drop(listen_seqpacket(&path).unwrap());
        let listener = listen_seqpacket(&path).unwrap();
        assert!(accept(&listener).unwrap().is_none());
        let client = connect_seqpacket(&path).unwrap();
        let server = accept(&listener).unwrap().unwrap();
        send_with_fds(&client, b"hello", &[]).unwrap();
        assert_eq!(recv_with_fds(&server).unwrap().unwrap().bytes, b"hello");
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::remove_dir_all(root).unwrap();
    }
}
