//! One packet socket, many callers: replies find their caller by number, events go to one channel.

use std::collections::HashMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::Child;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use barge_sys::socket::{recv_with_fds, send_with_fds};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

use crate::protocol::{Answer, Call, Event, Failure, Message, Request};
use crate::{Error, Result};

type Reply = oneshot::Sender<Result<Answer, Failure>>;

/// The calls that wait for their reply; none once the connection has ended.
type Waiting = Option<HashMap<u64, Reply>>;

#[derive(Debug)]
pub(super) struct Connection {
    /// A packet socket: this type only lends it its readiness, nothing is read or written through it.
    socket: UnixStream,
    next: AtomicU64,
    waiting: Mutex<Waiting>,
}

impl Connection {
    /// Takes the socket and starts the task that reads it. The task reaps `child` when the connection ends.
    pub(super) fn open(
        socket: OwnedFd,
        events: mpsc::UnboundedSender<Event>,
        child: Option<Child>,
    ) -> Result<Arc<Self>> {
        widen(&socket);
        let socket = StdUnixStream::from(socket);
        let ready = socket.set_nonblocking(true).and_then(|()| UnixStream::from_std(socket));
        let socket = ready.map_err(|source| Error::Channel { source })?;
        let connection =
            Arc::new(Self { socket, next: AtomicU64::new(1), waiting: Mutex::new(Some(HashMap::new())) });
        let reader = Arc::clone(&connection);
        tokio::spawn(async move {
            reader.read_all(&events).await;
            reader.end();
            drop(events);
            if let Some(mut child) = child {
                // The shim closes its sockets by ending, so this wait is short; its exit code says nothing more.
                tokio::task::spawn_blocking(move || child.wait());
            }
        });
        Ok(connection)
    }

    /// Sends a request and waits for its reply.
    pub(super) async fn call(&self, request: Request, fds: &[BorrowedFd<'_>]) -> Result<Answer> {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        let packet = Call { seq, request }.encode()?;
        let (sender, receiver) = oneshot::channel();
        self.waiting().as_mut().ok_or(Error::Gone)?.insert(seq, sender);
        let sent =
            self.socket.async_io(Interest::WRITABLE, || send_with_fds(&self.socket, &packet, fds)).await;
        if let Err(source) = sent {
            if let Some(waiting) = self.waiting().as_mut() {
                waiting.remove(&seq);
            }
            return Err(match source.kind() {
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Error::Gone,
                _ => Error::Channel { source },
            });
        }
        receiver.await.map_err(|_| Error::Gone)?.map_err(Error::Refused)
    }

    /// Reads packets until the connection ends; a malformed one ends it.
    async fn read_all(&self, events: &mpsc::UnboundedSender<Event>) {
        let receive = || recv_with_fds(&self.socket)?.ok_or_else(|| io::ErrorKind::WouldBlock.into());
        while let Ok(packet) = self.socket.async_io(Interest::READABLE, receive).await {
            match Message::decode(&packet.bytes) {
                Ok(Message::Reply { seq, result }) => {
                    let reply = self.waiting().as_mut().and_then(|waiting| waiting.remove(&seq));
                    if let Some(reply) = reply {
                        // A caller that no longer waits needs no reply.
                        let _ = reply.send(result);
                    }
                }
                // Nobody may listen for events any more; replies still count.
                Ok(Message::Event(event)) => drop(events.send(event)),
                // Also the empty packet that stands for the end.
                Err(_) => return,
            }
        }
    }

    /// Says nothing more. The shim sees the end of the connection; what it still has to say is read.
    pub(super) fn close(&self) {
        // An error says that the connection has ended already.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write);
    }

    /// Fails every waiting and every later call.
    fn end(&self) {
        self.waiting().take();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A packet is sent whole or not at all: lets one be as large as an exec's environment may be.
fn widen(socket: &OwnedFd) {
    const LARGEST: usize = 4 << 20;
    // Without it, or with less where the system allows less, the usual requests still go through.
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(socket, LARGEST);
    let _ = rustix::net::sockopt::set_socket_send_buffer_size_force(socket, LARGEST);
}
