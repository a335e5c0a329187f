//! Where the engine is: `-H`, `--context`, `BARGE_HOST`, `DOCKER_HOST`, `DOCKER_CONTEXT`, the configured context, or
//! our own default socket. If nobody listens on that last one, a daemon is started that leaves again when idle.

use std::fs::OpenOptions;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use barge_client::{Client, Endpoint, TlsFiles, Verify};
use serde_json::Value;

use crate::cli::Cli;
use crate::config_file::config_dir;
use crate::failure::{Failure, Result, reason};

/// Where the default daemon has its socket, unless `BARGE_RUN_DIR` moves it. The daemon reads that variable too.
const RUN_DIR: &str = "/run/barge";

/// How long a daemon of ours stays without work, seconds, unless `BARGE_IDLE_EXIT` says otherwise.
const IDLE_EXIT: &str = "60";

/// How long a daemon may take to listen: restoring many containers takes time.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How long a daemon that ended at once may have a competitor that is still about to listen.
const LOSERS_LIMIT: Duration = Duration::from_secs(2);

/// The client for this command line.
pub(crate) async fn client(cli: &Cli) -> Result<Client> {
    let client = match chosen(cli)? {
        Some(endpoint) => Client::new(endpoint),
        None => {
            let socket = run_dir().join("barge.sock");
            if UnixStream::connect(&socket).is_err() {
                start_daemon(&socket).await?;
            }
            Client::new(Endpoint::Unix(socket))
        }
    };
    let headers = cli.config().texts("HttpHeaders").into_iter().collect();
    let client = client.with_headers(headers);
    match std::env::var("DOCKER_API_VERSION") {
        Ok(version) if !version.is_empty() => {
            let version = version.trim_start_matches('v');
            Ok(client.with_version(version.parse().map_err(Failure::new)?))
        }
        _ => Ok(client),
    }
}

/// The engine somebody chose; `None` is our default.
fn chosen(cli: &Cli) -> Result<Option<Endpoint>> {
    let globals = &cli.globals;
    if globals.hosts.len() > 1 {
        return Err(Failure::new("Specify only one -H"));
    }
    if !globals.context.is_empty() && !globals.hosts.is_empty() {
        return Err(Failure::new("conflicting options: cannot specify both --host and --context"));
    }
    if let Some(host) = globals.hosts.first() {
        return endpoint(cli, host).map(Some);
    }
    if globals.context.is_empty() {
        for name in ["BARGE_HOST", "DOCKER_HOST"] {
            if let Some(host) = variable(name) {
                return endpoint(cli, &host).map(Some);
            }
        }
    }
    let context = Some(globals.context.clone()).filter(|name| !name.is_empty());
    let context = context.or_else(|| variable("DOCKER_CONTEXT"));
    match context.as_deref().or_else(|| cli.config().text("currentContext")) {
        None | Some("default") => Ok(None),
        Some(name) => stored_context(cli, name).map(Some),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads a host text; a bare path or `HOST:PORT` is understood as Docker does.
fn endpoint(cli: &Cli, host: &str) -> Result<Endpoint> {
    let text = match host {
        _ if host.contains("://") => host.to_owned(),
        _ if host.starts_with('/') => format!("unix://{host}"),
        _ => format!("tcp://{host}"),
    };
    Endpoint::parse(&text, tls(cli)).map_err(Into::into)
}

/// The TLS files the flags and the environment name; `None` is no TLS.
fn tls(cli: &Cli) -> Option<TlsFiles> {
    let globals = &cli.globals;
    let verify = globals.tlsverify.unwrap_or_else(|| variable("DOCKER_TLS_VERIFY").is_some());
    if !(globals.tls || verify || variable("DOCKER_TLS").is_some()) {
        return None;
    }
    let dir = variable("DOCKER_CERT_PATH").map_or_else(|| config_dir(&globals.config), PathBuf::from);
    let file = |flag: &str, name: &str| {
        if flag.is_empty() { Some(dir.join(name)).filter(|path| path.exists()) } else { Some(flag.into()) }
    };
    Some(TlsFiles {
        ca: file(&globals.tlscacert, "ca.pem"),
        cert: file(&globals.tlscert, "cert.pem"),
        key: file(&globals.tlskey, "key.pem"),
        verify: if verify { Verify::Server } else { Verify::Nothing },
    })
}

/// Finds a context of Docker's store by its name; its directory is named by a hash, so all are looked at.
fn stored_context(cli: &Cli, name: &str) -> Result<Endpoint> {
    let missing = || {
        let dir = config_dir(&cli.globals.config).join("contexts/meta");
        Failure::new(format!(
            "context {name:?}: context not found: open {}/{name}/meta.json: no such file or directory",
            dir.display()
        ))
    };
    let store = config_dir(&cli.globals.config).join("contexts");
    for entry in std::fs::read_dir(store.join("meta")).map_err(|_| missing())?.flatten() {
        let Ok(bytes) = std::fs::read(entry.path().join("meta.json")) else { continue };
        let Ok(meta) = serde_json::from_slice::<Value>(&bytes) else { continue };
        if meta.get("Name").and_then(Value::as_str) != Some(name) {
            continue;
        }
        let docker = meta.get("Endpoints").and_then(|endpoints| endpoints.get("docker"));
        let host = docker.and_then(|docker| docker.get("Host")).and_then(Value::as_str).unwrap_or_default();
        let skip = docker
            .and_then(|docker| docker.get("SkipTLSVerify"))
            .and_then(Value::as_bool)
            .unwrap_or_default();
        let files = context_tls(&store.join("tls").join(entry.file_name()).join("docker"), skip);
        return Endpoint::parse(host, files).map_err(Into::into);
    }
    Err(missing())
}

fn context_tls(dir: &Path, skip_verify: bool) -> Option<TlsFiles> {
    let file = |name: &str| Some(dir.join(name)).filter(|path| path.exists());
    let verify = if skip_verify { Verify::Nothing } else { Verify::Server };
    dir.is_dir().then(|| TlsFiles {
        ca: file("ca.pem"),
        cert: file("cert.pem"),
        key: file("key.pem"),
        verify,
    })
}

fn run_dir() -> PathBuf {
    variable("BARGE_RUN_DIR").map_or_else(|| RUN_DIR.into(), PathBuf::from)
}

/// Starts a daemon for the default data root and waits until it listens.
async fn start_daemon(socket: &Path) -> Result<()> {
    let address = format!("unix://{}", socket.display());
    let mut child = spawn_daemon().map_err(|error| {
        let text = format!("Cannot connect to the Docker daemon at {address}. Is the docker daemon running?");
        Failure::new(format!("{text} (starting one failed: {})", reason(&error)))
    })?;
    let started = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(2)).await;
        if UnixStream::connect(socket).is_ok() {
            return Ok(());
        }
        // Another command line may have been quicker; then its daemon comes to listen, and ours has gone.
        let patience = match child.try_wait() {
            Ok(Some(_)) => LOSERS_LIMIT,
            _ => START_LIMIT,
        };
        if started.elapsed() > patience {
            return Err(Failure::new(format!("the daemon does not listen on {address}\n{}", last_words())));
        }
    }
}

fn log_path() -> PathBuf {
    run_dir().join("daemon.log")
}

fn spawn_daemon() -> std::io::Result<Child> {
    std::fs::create_dir_all(run_dir())?;
    let log = OpenOptions::new().create(true).append(true).open(log_path())?;
    let idle_exit = variable("BARGE_IDLE_EXIT").unwrap_or_else(|| IDLE_EXIT.to_owned());
    Command::new("/proc/self/exe")
        .arg0("barge")
        .args(["daemon", "--idle-exit", &idle_exit])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // A Ctrl-C at our terminal is not meant for it.
        .process_group(0)
        .spawn()
}

/// The end of the daemon's log, for the error text.
fn last_words() -> String {
    let text = std::fs::read(log_path()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}
