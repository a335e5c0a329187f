//! A server that answers each request with the next line of a script.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use barge_client::{Client, Endpoint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// What the server does with one request.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    /// Writes this and keeps the connection.
    Answer(&'static str),
    /// Writes this and closes.
    AnswerAndClose(&'static str),
    /// Writes this, reads to the client's end, writes what it read behind it, and closes.
    Echo(&'static str),
}

pub(crate) struct Server {
    pub(crate) client: Client,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    path: PathBuf,
}

impl Server {
    /// Starts a server with this script.
    pub(crate) fn start(script: &'static [Act]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name =
            format!("barge-client-{}-{}.sock", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let acts = Arc::new(Mutex::new(script.iter()));
        let (log, count) = (Arc::clone(&seen), Arc::clone(&connections));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, Arc::clone(&log), Arc::clone(&acts)));
            }
        });
        Self { client: Client::new(Endpoint::Unix(path.clone())), seen, connections, path }
    }

    /// The request lines so far, each with its body behind it.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn serve(
    mut stream: UnixStream,
    log: Arc<Mutex<Vec<String>>>,
    acts: Arc<Mutex<std::slice::Iter<'static, Act>>>,
) {
    while let Some(request) = request(&mut stream).await {
        log.lock().unwrap().push(request);
        let act = *acts.lock().unwrap().next().expect("the script is over");
        match act {
            Act::Answer(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            Act::AnswerAndClose(text) => return stream.write_all(text.as_bytes()).await.unwrap(),
            Act::Echo(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                let mut input = Vec::new();
                stream.read_to_end(&mut input).await.unwrap();
                let mut frame = vec![1, 0, 0, 0, 0, 0, 0, u8::try_from(input.len()).unwrap()];
                frame.append(&mut input);
                return stream.write_all(&frame).await.unwrap();
            }
        }
    }
}

/// Reads one request; `None` at the end of the connection.
async fn request(stream: &mut UnixStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let line = head.lines().next()?.strip_suffix(" HTTP/1.1")?;
    Some(format!("{line} {}", String::from_utf8(body).unwrap()).trim_end().to_owned())
}

/// A path where nobody listens.
pub(crate) fn nowhere() -> PathBuf {
    Path::new("/nonexistent/barge-client-test.sock").to_owned()
}
