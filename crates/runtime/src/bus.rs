//! A client of D-Bus for the few calls to systemd: one connection, one call at a time, signals kept for who waits.
//!
//! ```text
//! connect ──> "AUTH EXTERNAL", "DATA", "BEGIN" at once ──> "OK" ──> Hello (buses alone) ──> call, call, wait for a signal …
//! ```
//!
//! Values are encoded by zbus, whose own connections are asynchronous and would bring a runtime with threads into a
//! process that must have one thread. What is left is the header of a message and a handshake of two lines
//! (<https://dbus.freedesktop.org/doc/dbus-specification.html>). No descriptors, no big-endian peers, no services.

use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use zbus::wire::serialized::{Context, Data};
use zbus::wire::{LE, to_bytes};
use zbus::{OwnedVariant, Signature, Type};

use crate::error::{Error, Result};

const SYSTEM: &str = "unix:path=/var/run/dbus/system_bus_socket";
/// What systemd's own tools of root speak to when there is no bus (yet): the manager itself.
const PRIVATE: &str = "/run/systemd/private";
/// What libdbus waits for an answer.
const PATIENCE: Duration = Duration::from_secs(25);
/// A peer that sends more than this is not the systemd that was asked.
const LARGEST: usize = 16 << 20;

const TIMEDOUT: i32 = rustix::io::Errno::TIMEDOUT.raw_os_error();

const CALL: u8 = 1;
const RETURN: u8 = 2;
const FAILURE: u8 = 3;
const SIGNAL: u8 = 4;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Where a manager of units listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Manager {
    /// Process 1.
    System,
    /// The one of the user who calls.
    User,
}

/// A method of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Method<'a> {
    pub(crate) destination: &'a str,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) member: &'a str,
}

/// The arguments of a call: a tuple, and its signature without the parentheses.
#[derive(Debug)]
pub(crate) struct Arguments {
    bytes: Vec<u8>,
    signature: &'static str,
}

impl Arguments {
    pub(crate) fn none() -> Self {
        Self { bytes: Vec::new(), signature: "" }
    }

    pub(crate) fn new<T: Serialize + Type>(signature: &'static str, values: &T) -> Result<Self> {
        let data = to_bytes(context(), values).map_err(|_| malformed("encode arguments"))?;
        Ok(Self { bytes: data.bytes().to_vec(), signature })
    }
}

/// The values of a reply or a signal.
#[derive(Debug)]
pub(crate) struct Body(Vec<u8>);

impl Body {
    /// No values.
    pub(crate) fn empty() -> Self {
        Self(Vec::new())
    }

    /// Reads a tuple of owned values.
    pub(crate) fn read<T: for<'d> Deserialize<'d> + Type>(&self) -> Result<T> {
        let data = Data::new(self.0.as_slice(), context());
        data.deserialize().map(|(value, _)| value).map_err(|_| malformed("decode a reply"))
    }
}

#[derive(Debug)]
struct Message {
    kind: u8,
    reply_to: u32,
    member: String,
    error: String,
    body: Body,
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    serial: u32,
    /// Whether a bus is between us and the manager: it wants names, and a wish before it passes signals on.
    bus: bool,
    signals: Vec<Message>,
    /// The beginning of the next message: one who stops waiting for it must not lose what has come of it.
    begun: Vec<u8>,
}

impl Connection {
    /// Connects to the bus where a manager can be reached.
    pub(crate) fn open(manager: Manager) -> Result<Self> {
        match manager {
            Manager::User => Self::connect(&user_address()?).or_else(|error| {
                let directory = std::env::var_os("XDG_RUNTIME_DIR").unwrap_or_default();
                Self::private(&Path::new(&directory).join("systemd/private"), error)
            }),
            Manager::System => {
                let address = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").unwrap_or_else(|_| SYSTEM.into());
                Self::connect(&address).or_else(|error| Self::private(Path::new(PRIVATE), error))
            }
        }
    }

    /// Connects to the manager itself, where its bus is out of reach.
    fn private(socket: &Path, error: Error) -> Result<Self> {
        let stream = UnixStream::connect(socket).map_err(|_| error)?;
        Self::begin(stream, false, &socket.to_string_lossy())
    }

    fn connect(addresses: &str) -> Result<Self> {
        let mut last = io::Error::from_raw_os_error(rustix::io::Errno::DESTADDRREQ.raw_os_error());
        for address in addresses.split(';').filter_map(socket_address) {
            match address.and_then(|address| UnixStream::connect_addr(&address)) {
                Ok(stream) => return Self::begin(stream, true, addresses),
                Err(error) => last = error,
            }
        }
        Err(Error::Bus { operation: format!("connect to {addresses}"), source: last.into() })
    }

    fn begin(stream: UnixStream, bus: bool, address: &str) -> Result<Self> {
        let mut connection = Self { stream, serial: 0, bus, signals: Vec::new(), begun: Vec::new() };
        connection.authenticate().map_err(|source| Error::Bus {
            operation: format!("authenticate at {address}"),
            source: source.into(),
        })?;
        if bus {
            connection.call(of_bus("Hello"), &Arguments::none())?;
        }
        Ok(connection)
    }

    /// Says who this is; the kernel vouches for it.
    fn authenticate(&mut self) -> io::Result<()> {
        self.stream.set_write_timeout(Some(PATIENCE))?;
        self.stream.set_read_timeout(Some(PATIENCE))?;
        // Without a number, which would be another one outside of a user namespace. BEGIN before the answer: systemd
        // leaves a message that it reads together with BEGIN lying until another one comes.
        self.stream.write_all(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        loop {
            let line = self.line()?;
            match line.as_slice() {
                b"DATA\r\n" => {}
                line if line.starts_with(b"OK ") => return Ok(()),
                _ => return Err(io::ErrorKind::PermissionDenied.into()),
            }
        }
    }

    /// Not a byte more than one line: what follows is a message.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") && line.len() < 512 {
            self.stream.read_exact(&mut byte)?;
            line.push(byte[0]);
        }
        Ok(line)
    }

    /// Calls a method and waits for its answer.
    pub(crate) fn call(&mut self, method: Method<'_>, arguments: &Arguments) -> Result<Body> {
        self.serial += 1;
        let serial = self.serial;
        let bytes = call_message(method, arguments, serial, self.bus)?;
        self.stream.write_all(&bytes).map_err(|error| failed(method.member, error))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.receive(deadline).map_err(|error| failed(method.member, error))?;
            match message.kind {
                SIGNAL => self.signals.push(message),
                RETURN if message.reply_to == serial => return Ok(message.body),
                FAILURE if message.reply_to == serial => {
                    let text = message.body.read::<(String,)>().map(|(text,)| text).unwrap_or_default();
                    return Err(Error::BusReply { name: message.error, message: text });
                }
                _ => {}
            }
        }
    }

    /// Asks for the signals of an object from now on.
    pub(crate) fn watch(&mut self, object: Method<'_>) -> Result<()> {
        if !self.bus {
            return Ok(());
        }
        let rule = format!(
            "type='signal',sender='{}',path='{}',interface='{}',member='{}'",
            object.destination, object.path, object.interface, object.member
        );
        self.call(of_bus("AddMatch"), &Arguments::new("s", &(rule,))?).map(drop)
    }

    /// Waits until a signal of this name comes (or has come) of which `wanted` makes something; `None` if none does.
    pub(crate) fn wait<T>(
        &mut self,
        member: &str,
        patience: Duration,
        wanted: impl Fn(&Body) -> Option<T>,
    ) -> Result<Option<T>> {
        let deadline = Instant::now() + patience;
        loop {
            let mut signals = self.signals.drain(..).filter(|signal| signal.member == member);
            if let Some(value) = signals.find_map(|signal| wanted(&signal.body)) {
                return Ok(Some(value));
            }
            drop(signals);
            match self.receive(deadline) {
                Ok(message) if message.kind == SIGNAL => self.signals.push(message),
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(TIMEDOUT) => return Ok(None),
                Err(error) => return Err(failed(member, error)),
            }
        }
    }

    fn receive(&mut self, deadline: Instant) -> io::Result<Message> {
        self.read_up_to(FIXED, deadline)?;
        let length = length(&self.begun).ok_or(io::ErrorKind::InvalidData)?;
        self.read_up_to(length, deadline)?;
        let bytes = std::mem::take(&mut self.begun);
        message(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Reads until so many bytes of the next message are there.
    fn read_up_to(&mut self, length: usize, deadline: Instant) -> io::Result<()> {
        while self.begun.len() < length {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(rustix::io::Errno::TIMEDOUT.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            let missing = (length - self.begun.len()) as u64;
            match (&self.stream).take(missing).read_to_end(&mut self.begun) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The part of a header that every message has, up to the length of the rest of it.
const FIXED: usize = 16;

type Header<T> = (u8, u8, u8, u8, u32, u32, Vec<(u8, T)>);

/// A field of a header as a variant. Not zbus's own: the signature of arguments is that of several values, which is
/// none of one.
#[derive(Debug, Serialize, Type)]
#[zbus(signature = "v")]
struct Word<'a> {
    signature: Signature,
    value: &'a str,
}

fn context() -> Context {
    Context::new(LE, 0)
}

fn call_message(method: Method<'_>, arguments: &Arguments, serial: u32, bus: bool) -> Result<Vec<u8>> {
    let mut fields = vec![
        (PATH, Word { signature: Signature::ObjectPath, value: method.path }),
        (INTERFACE, Word { signature: Signature::Str, value: method.interface }),
        (MEMBER, Word { signature: Signature::Str, value: method.member }),
    ];
    if bus {
        fields.push((DESTINATION, Word { signature: Signature::Str, value: method.destination }));
    }
    if !arguments.signature.is_empty() {
        fields.push((SIGNATURE, Word { signature: Signature::Signature, value: arguments.signature }));
    }
    let size = u32::try_from(arguments.bytes.len()).map_err(|_| malformed("encode arguments"))?;
    let header: Header<Word<'_>> = (b'l', CALL, 0, 1, size, serial, fields);
    let data = to_bytes(context(), &header).map_err(|_| malformed("encode a header"))?;
    let mut bytes = data.bytes().to_vec();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend_from_slice(&arguments.bytes);
    Ok(bytes)
}

/// The length of the message that begins like this.
fn length(fixed: &[u8]) -> Option<usize> {
    let number = |at: usize| Some(u32::from_le_bytes(fixed.get(at..at + 4)?.try_into().ok()?) as usize);
    let fields = number(12)?;
    let body = number(4)?;
    let little = fixed.first() == Some(&b'l');
    (little && fields <= LARGEST && body <= LARGEST).then(|| (FIXED + fields).next_multiple_of(8) + body)
}

fn message(bytes: &[u8]) -> Option<Message> {
    let fields = u32::from_le_bytes(bytes.get(12..16)?.try_into().ok()?) as usize;
    let start = (FIXED + fields).next_multiple_of(8);
    let (header, body) = bytes.split_at_checked(start)?;
    let data = Data::new(header, context());
    let ((_, kind, _, _, _, _, fields), _): (Header<OwnedVariant>, _) = data.deserialize().ok()?;
    let text = |wanted: u8| {
        let value = fields.iter().find(|(code, _)| *code == wanted).map(|(_, value)| value);
        value.and_then(|value| String::try_from(&**value).ok()).unwrap_or_default()
    };
    let reply = fields.iter().find(|(code, _)| *code == REPLY_SERIAL);
    Some(Message {
        kind,
        reply_to: reply.and_then(|(_, value)| u32::try_from(&**value).ok()).unwrap_or(0),
        member: text(MEMBER),
        error: text(ERROR_NAME),
        body: Body(body.to_vec()),
    })
}

fn of_bus(member: &str) -> Method<'_> {
    Method {
        destination: "org.freedesktop.DBus",
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        member,
    }
}

fn user_address() -> Result<String> {
    if let Ok(address) = std::env::var("DBUS_SESSION_BUS_ADDRESS") {
        return Ok(address);
    }
    let directory = std::env::var_os("XDG_RUNTIME_DIR").unwrap_or_default();
    let socket = Path::new(&directory).join("bus");
    if directory.is_empty() {
        return Err(Error::Systemd {
            reason: "could not detect DBUS_SESSION_BUS_ADDRESS from the environment; make sure you have installed \
                     the dbus-user-session or dbus-daemon package; note you may need to re-login"
                .into(),
        });
    }
    Ok(format!("unix:path={}", socket.display()))
}

/// One address of the list that D-Bus writes them in; `None` for other transports than Unix sockets.
fn socket_address(text: &str) -> Option<io::Result<SocketAddr>> {
    let keys = text.strip_prefix("unix:")?;
    keys.split(',').find_map(|pair| match pair.split_once('=')? {
        ("path", path) => Some(SocketAddr::from_pathname(unescape(path))),
        ("abstract", name) => Some(SocketAddr::from_abstract_name(unescape(name))),
        _ => None,
    })
}

/// Bytes other than plain letters stand as `%` and two hexadecimal digits.
fn unescape(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => bytes.extend_from_slice(format!("%{part}").as_bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn malformed(operation: &str) -> Error {
    Error::Bus { operation: operation.into(), source: rustix::io::Errno::BADMSG.into() }
}

fn failed(operation: &str, error: io::Error) -> Error {
    Error::Bus { operation: operation.into(), source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_a_header_and_its_arguments() {
        let arguments = Arguments::new("su", &("ab", 7_u32)).unwrap();
        let bytes = call_message(of_bus("Hello"), &arguments, 3, true).unwrap();
        assert_eq!(bytes[..4], [b'l', CALL, 0, 1]);
        assert_eq!(bytes[4..12], [12, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(length(&bytes[..FIXED]), Some(bytes.len()));
        // Without the parentheses of one value.
        assert!(bytes.windows(7).any(|part| part == b"\x01g\0\x02su\0"), "{bytes:?}");
        let read = message(&bytes).unwrap();
        assert_eq!((read.kind, read.member.as_str(), read.reply_to), (CALL, "Hello", 0));
        assert_eq!(read.body.read::<(String, u32)>().unwrap(), ("ab".into(), 7));
    }

    #[test]
    fn the_handshake_is_over_before_the_first_message() {
        let (stream, mut peer) = UnixStream::pair().unwrap();
        let calling = std::thread::spawn(move || {
            let mut connection = Connection::begin(stream, false, "a pair").unwrap();
            connection.stream.write_all(b"message").unwrap();
        });
        peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let handshake = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
        let mut bytes = vec![0; handshake.len()];
        // Without having answered, as what comes later may come together with a message.
        peer.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, handshake);
        peer.write_all(b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n").unwrap();
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"message");
        calling.join().unwrap();
    }

    #[test]
    fn a_message_may_come_in_parts_with_time_between() {
        let (stream, mut peer) = UnixStream::pair().unwrap();
        peer.write_all(b"OK 0123456789abcdef0123456789abcdef\r\n").unwrap();
        let mut connection = Connection::begin(stream, false, "a pair").unwrap();
        let signal = |member, value: &str| {
            let arguments = Arguments::new("s", &(value,)).unwrap();
            let mut bytes = call_message(of_bus(member), &arguments, 1, true).unwrap();
            bytes[1] = SIGNAL;
            bytes
        };
        let read = |body: &Body| body.read::<(String,)>().ok().map(|(text,)| text);
        let (one, other) = (signal("Done", "one"), signal("Done", "other"));
        let mut waiting = |patience| connection.wait("Done", Duration::from_millis(patience), read).unwrap();
        for cut in [1, FIXED, FIXED + 1, one.len() - 1] {
            peer.write_all(&one[..cut]).unwrap();
            assert_eq!(waiting(1), None, "{cut}");
            peer.write_all(&[&one[cut..], &signal("Else", "one"), &other].concat()).unwrap();
            assert_eq!(waiting(20_000).as_deref(), Some("one"), "{cut}");
            assert_eq!(waiting(20_000).as_deref(), Some("other"), "{cut}");
        }
        drop(peer);
        let ended = connection.wait("Done", Duration::from_secs(20), read).unwrap_err().to_string();
        assert!(ended.contains("Done"), "{ended}");
    }

    #[test]
    fn a_peer_that_refuses_is_named() {
        let (stream, mut peer) = UnixStream::pair().unwrap();
        peer.write_all(b"REJECTED EXTERNAL\r\n").unwrap();
        let error = Connection::begin(stream, true, "a pair").unwrap_err().to_string();
        assert!(error.contains("authenticate at a pair"), "{error}");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let good = call_message(of_bus("Hello"), &Arguments::none(), 1, true).unwrap();
        for end in 0..good.len() {
            assert!(message(&good[..end]).is_none(), "{end}");
        }
        let mut huge = good.clone();
        huge[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(length(&huge[..FIXED]), None);
        let mut big_endian = good;
        big_endian[0] = b'B';
        assert_eq!(length(&big_endian[..FIXED]), None);
        assert!(Body(vec![255; 3]).read::<(String,)>().is_err());
    }

    #[test]
    fn addresses_are_paths_or_abstract_names() {
        let path = |text| socket_address(text).unwrap().unwrap().as_pathname().map(Path::to_owned);
        assert_eq!(path("unix:path=/run/a%20b,guid=12"), Some("/run/a b".into()));
        let name = socket_address("unix:guid=1,abstract=/x").unwrap().unwrap();
        assert_eq!(name.as_abstract_name(), Some(b"/x".as_slice()));
        assert!(socket_address("tcp:host=localhost").is_none());
        assert!(socket_address("unix:tmpdir=/tmp").is_none());
        assert_eq!(unescape("a%zz%4"), "a%zz%4");
    }
}
