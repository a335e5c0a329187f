//! A small web server that does what a test wants, also what no server should.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use barge_oci::Digest;
use barge_oci::manifest::media_type;

use crate::image::Image;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first byte asked for.
    pub(crate) fn range(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }

    pub(crate) fn is_blob(&self) -> bool {
        self.path.contains("/blobs/sha256:")
    }
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Close the connection after so many bytes of the body.
    pub(crate) cut_after: Option<usize>,
    /// Say nothing of the length: the body ends with the connection.
    pub(crate) unsized_body: bool,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    pub(crate) fn error(status: u16, code: &str) -> Self {
        let text = code.to_lowercase().replace('_', " ");
        Self::new(status, format!(r#"{{"errors":[{{"code":"{code}","message":"{text}"}}]}}"#))
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn cut(mut self, after: usize) -> Self {
        self.cut_after = Some(after);
        self
    }
}

/// A running server. Stops when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, end, handler) = (Arc::clone(&requests), Arc::clone(&stop), Arc::new(handler));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    break;
                }
                let (log, handler) = (Arc::clone(&log), Arc::clone(&handler));
                std::thread::spawn(move || serve(connection.unwrap(), &log, &*handler));
            }
        });
        Self { address, requests, stop }
    }

    /// `127.0.0.1:PORT/NAME`.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn seen(&self, accept: impl Fn(&Request) -> bool) -> Vec<Request> {
        self.requests.lock().unwrap().iter().filter(|request| accept(request)).cloned().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Request>>, handler: &dyn Fn(&Request) -> Answer) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read(&mut reader, &mut writer) {
        log.lock().unwrap().push(request.clone());
        let answer = handler(&request);
        if !write(&mut writer, &request, &answer) {
            let _ = writer.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>, writer: &mut TcpStream) -> Option<Request> {
    let first = reader.fill_buf().ok()?.first().copied()?;
    if !first.is_ascii_uppercase() {
        // A TLS greeting: answered as Go's server does.
        let _ = writer
            .write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request to an HTTP server.\n");
        return None;
    }
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body })
}

/// False if the connection is to be closed.
fn write(writer: &mut TcpStream, request: &Request, answer: &Answer) -> bool {
    let mut head = format!("HTTP/1.1 {} Status\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if answer.unsized_body {
        head.push_str("Connection: close\r\n");
    } else {
        head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    head.push_str("\r\n");
    let end = answer.cut_after.unwrap_or(answer.body.len()).min(answer.body.len());
    let body = if request.method == "HEAD" { &[][..] } else { &answer.body[..end] };
    let written = writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(body));
    written.is_ok() && answer.cut_after.is_none() && !answer.unsized_body
}

/// Serves an image as a registry does, under any repository's name and the tag `latest`.
pub(crate) fn honest(image: &Image, request: &Request) -> Answer {
    honest_named(&[("latest", media_type::OCI_MANIFEST, image.manifest.clone())], &[image], request)
}

/// Serves documents under tags, and the images' blobs and manifests by digest.
pub(crate) fn honest_named(tags: &[(&str, &str, Vec<u8>)], images: &[&Image], request: &Request) -> Answer {
    if request.path == "/v2/" {
        return Answer::new(200, "{}");
    }
    if let Some((_, name)) = request.path.split_once("/manifests/") {
        let tagged = tags.iter().find(|(tag, _, document)| *tag == name || digest(document) == name);
        let by_digest = images.iter().find(|image| digest(&image.manifest) == name);
        let found = tagged.map(|(_, media_type, document)| (*media_type, document.clone()));
        let found = found.or(by_digest.map(|image| (media_type::OCI_MANIFEST, image.manifest.clone())));
        return match found {
            Some((media_type, document)) => {
                let name = digest(&document);
                Answer::new(200, document)
                    .header("Content-Type", media_type)
                    .header("Docker-Content-Digest", name)
            }
            None => Answer::error(404, "MANIFEST_UNKNOWN"),
        };
    }
    let Some((_, name)) = request.path.split_once("/blobs/") else { return Answer::new(404, "") };
    let mut blobs = images.iter().flat_map(|image| image.layers.iter().chain([&image.config]));
    match blobs.find(|blob| digest(blob) == name) {
        Some(blob) => ranged(blob, request),
        None => Answer::error(404, "BLOB_UNKNOWN"),
    }
}

pub(crate) fn ranged(blob: &[u8], request: &Request) -> Answer {
    match request.range() {
        Some(first) if first >= blob.len() => Answer::new(416, ""),
        Some(first) => Answer::new(206, &blob[first..])
            .header("Content-Range", format!("bytes {first}-{}/{}", blob.len() - 1, blob.len())),
        None => Answer::new(200, blob),
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    Digest::sha256_of(bytes).to_string()
}
