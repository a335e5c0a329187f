//! The reference registry as a peer: plain, behind TLS with a private CA, or with a password.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::command::wait_until;

/// How the registry protects itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Plain http.
    None,
    /// https with a certificate of a CA that only this test knows.
    Tls,
    /// Plain http with the user `alice` and the password `secret`.
    Password,
}

/// A running `docker-registry` on a free port of loopback; it ends when dropped.
#[derive(Debug)]
pub struct Registry {
    directory: TempDir,
    child: Child,
    address: String,
    port: u16,
}

impl Registry {
    /// Starts a registry.
    ///
    /// # Panics
    /// When it doesn't come up.
    #[must_use]
    pub fn start(protection: Protection) -> Registry {
        Registry::at("127.0.0.1", protection)
    }

    /// Starts a registry on an address of this host. Docker checks no certificate on loopback, so a
    /// test of certificates needs another one: that of a bridge which the test's daemon made.
    ///
    /// # Panics
    /// When it doesn't come up.
    #[must_use]
    pub fn at(address: &str, protection: Protection) -> Registry {
        let directory =
            tempfile::Builder::new().prefix("be-registry-").tempdir_in("/var/tmp").expect("make a directory");
        let port =
            TcpListener::bind((address, 0)).and_then(|probe| probe.local_addr()).expect("find a port").port();
        let root = directory.path().display().to_string();
        let mut config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {root}/data\n  delete:\n    enabled: true\nhttp:\n  addr: {address}:{port}\n"
        );
        match protection {
            Protection::None => {}
            Protection::Tls => {
                certify(&root, address);
                config +=
                    &format!("  tls:\n    certificate: {root}/server.pem\n    key: {root}/server.key\n");
            }
            Protection::Password => {
                let line = Command::new("htpasswd")
                    .args(["-Bbn", "alice", "secret"])
                    .output()
                    .expect("run htpasswd");
                std::fs::write(directory.path().join("htpasswd"), line.stdout)
                    .expect("write the password file");
                config += &format!("auth:\n  htpasswd:\n    realm: test\n    path: {root}/htpasswd\n");
            }
        }
        let file = directory.path().join("config.yml");
        std::fs::write(&file, config).expect("write the configuration");
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start docker-registry");
        wait_until("the registry listens", || TcpStream::connect((address, port)).is_ok());
        let address = if address == "127.0.0.1" { "localhost" } else { address }.to_owned();
        Registry { directory, child, address, port }
    }

    /// `host:port` as it stands in image names.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }

    /// The certificate of the CA that signed a TLS registry's certificate.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn certify(root: &str, address: &str) {
    let script = format!(
        "cd {root} && \
         openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.pem && \
         openssl req -newkey rsa:2048 -nodes -subj /CN=registry -keyout server.key -out server.csr && \
         printf 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:{address}\\n' >ext && \
         openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.pem"
    );
    let output = Command::new("bash").args(["-e", "-c", &script]).output().expect("run openssl");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
}
