//! A process's standard streams: descriptors from its parent, or a terminal of the container's own.
//!
//! The terminal comes from the container's devpts, so that its name means the same inside. The multiplexer is opened
//! without following links and checked to be the real one: in a running container `/dev` is the container's to change.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use barge_sys::process::{StandardStream, duplicate_onto};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use crate::channel::{Channel, Report};
use crate::error::{Error, Result};
use crate::request::Stdio;

/// Whether the terminal also becomes `/dev/console`: for a container's init, not for an added process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Console {
    Mount,
    Leave,
}

/// Makes `stdio` the standard streams; a terminal becomes the controlling one and its master goes to the parent.
pub(crate) fn connect(
    stdio: Stdio,
    size: Option<(u16, u16)>,
    console: Console,
    channel: &Channel,
) -> Result<()> {
    match stdio {
        Stdio::Fds { stdin, stdout, stderr } => {
            let streams = [high(stdin)?, high(stdout)?, high(stderr)?];
            place([streams[0].as_fd(), streams[1].as_fd(), streams[2].as_fd()])
        }
        Stdio::Terminal { size: asked } => {
            let (master, slave) = open_terminal(asked.or(size))?;
            if console == Console::Mount {
                mount_console(slave.as_fd()).map_err(terminal("mount on /dev/console"))?;
            }
            rustix::process::ioctl_tiocsctty(&slave).map_err(terminal("make it the controlling terminal"))?;
            channel.report(&Report::Console, Some(master.as_fd()))?;
            place([slave.as_fd(); 3])
        }
    }
}

/// Gives the streams to the user the process will be, so that it may open `/dev/stdout` and the like again.
///
/// The null device and whatever else the host shares by name are left alone.
pub(crate) fn give_to(uid: u32) -> Result<()> {
    for fd in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let Ok(stat) = rustix::fs::fstat(fd) else { continue };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_terminal = kind == FileType::CharacterDevice && rustix::termios::isatty(fd);
        if stat.st_uid == uid || !(matches!(kind, FileType::Fifo | FileType::Socket) || is_terminal) {
            continue;
        }
        match rustix::fs::fchown(fd, Some(rustix::fs::Uid::from_raw(uid)), None) {
            // A read-only or foreign filesystem keeps its owners; the process can use the stream all the same.
            Ok(()) | Err(Errno::PERM | Errno::ROFS | Errno::INVAL) => {}
            Err(errno) => return Err(terminal("change the owner")(errno)),
        }
    }
    Ok(())
}

fn terminal(what: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::Terminal { what: what.into(), source: errno.into() }
}

/// Moves a descriptor out of the range of the standard streams, which are about to be replaced one by one.
fn high(fd: OwnedFd) -> Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    rustix::io::fcntl_dupfd_cloexec(&fd, 3).map_err(terminal("move a stream"))
}

fn place(streams: [BorrowedFd<'_>; 3]) -> Result<()> {
    let numbers = [StandardStream::Input, StandardStream::Output, StandardStream::Error];
    for (fd, number) in streams.into_iter().zip(numbers) {
        duplicate_onto(fd, number)
            .map_err(|error| Error::Terminal { what: "place a stream".into(), source: error.into() })?;
    }
    Ok(())
}

fn open_terminal(size: Option<(u16, u16)>) -> Result<(OwnedFd, OwnedFd)> {
    let master = rustix::fs::openat2(
        CWD,
        "/dev/pts/ptmx",
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS,
    )
    .map_err(terminal("open /dev/pts/ptmx"))?;
    let stat = rustix::fs::fstat(&master).map_err(terminal("check /dev/pts/ptmx"))?;
    let multiplexer = rustix::fs::makedev(5, 2);
    if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice || stat.st_rdev != multiplexer {
        return Err(terminal("check /dev/pts/ptmx")(Errno::NODEV));
    }
    rustix::pty::unlockpt(&master).map_err(terminal("unlock"))?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).map_err(terminal("open the other end"))?;
    if let Some((columns, rows)) = size {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&master, size).map_err(terminal("set the size"))?;
    }
    Ok((master, slave))
}

/// Binds the terminal over `/dev/console`.
fn mount_console(slave: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let console = "/dev/console";
    let create = OFlags::CREATE | OFlags::EXCL | OFlags::NOCTTY | OFlags::CLOEXEC;
    match rustix::fs::open(console, create, Mode::from_raw_mode(0o600)) {
        // Perhaps the real console, given as a device: looked at, never opened.
        Ok(_) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let place = rustix::fs::open(console, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let clone =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let mount = rustix::mount::open_tree(slave, "", clone)?;
    let by_descriptors = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(&mount, "", &place, "", by_descriptors)
}
