//! Network namespaces as file descriptors.
//!
//! A thread can live in only one, and a thread of a pool that failed to come back would carry
//! strangers' work into a container. So no caller is ever moved: each visit is made by a
//! short-lived thread of its own (some 30 µs), which dies where it is.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::resume_unwind;
use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

/// The visits do a few system calls; a small stack is cheaper to map.
const STACK: usize = 128 * 1024;

/// Creates an empty network namespace. It lives as long as the descriptor, or a process or
/// socket in it.
pub fn create() -> io::Result<OwnedFd> {
    create_with(|| ()).map(|(netns, ())| netns)
}

/// Creates a network namespace and runs `visit` in it before anything else is there.
pub fn create_with<T: Send>(visit: impl FnOnce() -> T + Send) -> io::Result<(OwnedFd, T)> {
    on_own_thread(|| {
        enter_new()?;
        let netns = current()?;
        Ok((netns, visit()))
    })
}

/// Runs `visit` on a thread that has joined `netns`.
pub fn within<T: Send>(netns: BorrowedFd<'_>, visit: impl FnOnce() -> T + Send) -> io::Result<T> {
    on_own_thread(|| {
        rustix::thread::move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))?;
        Ok(visit())
    })
}

/// The calling thread's network namespace.
pub fn current() -> io::Result<OwnedFd> {
    let netns =
        rustix::fs::open("/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(netns)
}

/// Moves the calling thread, for good, into a network namespace of its own. For threads that
/// end there: the visits above, and tests, whose "host" is such a namespace.
pub fn enter_new() -> io::Result<()> {
    // SAFETY: CLONE_NEWNET alone changes neither the file table nor the filesystem attributes
    // that other threads share (what makes unshare unsound for I/O safety); it only changes in
    // which namespace this thread's later sockets are made.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?;
    Ok(())
}

fn on_own_thread<T: Send>(visit: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let visitor = thread::Builder::new().name("netns".to_owned()).stack_size(STACK);
        let visitor = visitor.spawn_scoped(scope, || (rustix::thread::gettid(), visit()))?;
        let (number, visited) = visitor.join().unwrap_or_else(|panic| resume_unwind(panic));
        wait_until_gone(number);
        visited
    })
}

/// Waits for the kernel to be done with a thread that was joined: until then it counts as one of ours, and
/// [`crate::process::fork`] refuses.
fn wait_until_gone(number: rustix::thread::Pid) {
    let path = format!("/proc/self/task/{}", number.as_raw_nonzero());
    while rustix::fs::access(&path, rustix::fs::Access::EXISTS).is_ok() {
        thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last of a thread goes after the one that joins it goes on.
    #[test]
    fn a_visitor_is_gone_when_its_visit_is_over() {
        for _ in 0..500 {
            let number = on_own_thread(|| Ok(rustix::thread::gettid())).unwrap();
            let path = format!("/proc/self/task/{}", number.as_raw_nonzero());
            assert!(!std::path::Path::new(&path).exists(), "{path}");
        }
    }
}
