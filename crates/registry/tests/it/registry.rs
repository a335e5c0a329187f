//! A real `docker-registry` on a port of its own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the registry asks of its clients.
#[derive(Default)]
pub(crate) struct Settings {
    /// Certificate and key files.
    pub(crate) tls: Option<(String, String)>,
    /// File of `htpasswd`.
    pub(crate) users: Option<String>,
}

/// A running registry; stopped and forgotten with the test.
pub(crate) struct Registry {
    pub(crate) port: u16,
    process: Child,
    _directory: tempfile::TempDir,
}

impl Registry {
    pub(crate) fn start() -> Self {
        Self::with(&Settings::default())
    }

    pub(crate) fn with(settings: &Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Free now; nobody else is told of it before the registry has it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::on_port(port, settings, directory)
    }

    pub(crate) fn on_port(port: u16, settings: &Settings, directory: tempfile::TempDir) -> Self {
        let root = directory.path().join("registry");
        let mut config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp:\n  addr: 127.0.0.1:{port}\n",
            root.display()
        );
        if let Some((certificate, key)) = &settings.tls {
            config.push_str(&format!("  tls: {{certificate: {certificate}, key: {key}}}\n"));
        }
        if let Some(users) = &settings.users {
            config.push_str(&format!("auth: {{htpasswd: {{realm: test, path: {users}}}}}\n"));
        }
        let file = directory.path().join("config.yml");
        std::fs::write(&file, config).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is installed");
        let registry = Self { port, process, _directory: directory };
        let begin = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "the registry does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    pub(crate) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.authority())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a program to its end.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
