//! Registries with certificates of a private authority, made anew for each test.

use std::path::Path;

use barge_registry::{Client, Kind, Progress};

use crate::registry::{Registry, Settings, run};
use crate::{Scratch, client_with, reference};

/// An authority and a certificate of it for 127.0.0.1, as PEM files.
fn make_certificates(directory: &Path) {
    let file = |name: &str| directory.join(name).display().to_string();
    let subject = ["-subj", "/CN=test authority", "-days", "2"];
    let (ca, ca_key) = (file("ca.crt"), file("ca.key"));
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    run("openssl", &[&["req", "-x509", "-keyout", &ca_key, "-out", &ca][..], &key, &subject].concat());
    let (request, certificate, server_key) = (file("server.csr"), file("server.crt"), file("server.key"));
    run(
        "openssl",
        &[&["req", "-new", "-keyout", &server_key, "-out", &request, "-subj", "/CN=server"][..], &key]
            .concat(),
    );
    let extensions = file("extensions");
    std::fs::write(&extensions, "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
    let sign = [
        "x509",
        "-req",
        "-in",
        &request,
        "-CA",
        &ca,
        "-CAkey",
        &ca_key,
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        &extensions,
        "-out",
        &certificate,
    ];
    run("openssl", &sign);
}

fn registry_with(directory: &Path, certificate: &str, key: &str) -> Registry {
    let file = |name: &str| directory.join(name).display().to_string();
    Registry::with(&Settings { tls: Some((file(certificate), file(key))), ..Settings::default() })
}

fn client_trusting(directory: &Path, registry: &Registry, authority: &Path) -> Client {
    let certs = directory.join("certs.d");
    let host = certs.join(registry.authority());
    std::fs::create_dir_all(&host).unwrap();
    std::fs::copy(authority, host.join("ca.crt")).unwrap();
    client_with(|config| config.certs_dirs = vec![certs])
}

async fn missing(client: &Client, registry: &Registry) -> barge_registry::Error {
    let scratch = Scratch::new();
    let name = reference(&registry.name("missing"));
    client.pull(&scratch.store, &name, None, None, &Progress::none()).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_trusted_for_its_host() {
    let directory = tempfile::tempdir().unwrap();
    make_certificates(directory.path());
    let registry = registry_with(directory.path(), "server.crt", "server.key");
    let client = client_trusting(directory.path(), &registry, &directory.path().join("ca.crt"));
    // Spoken to and understood: that is all the certificate is for.
    assert_eq!(missing(&client, &registry).await.kind(), Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_is_refused() {
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    make_certificates(directory.path());
    make_certificates(other.path());
    let registry = registry_with(directory.path(), "server.crt", "server.key");
    let client = client_trusting(directory.path(), &registry, &other.path().join("ca.crt"));
    let error = missing(&client, &registry).await;
    assert_eq!(error.kind(), Kind::Unreachable);
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("Get \"https://{}/v2/\": tls: failed to verify", registry.authority())),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_self_signed_certificate_is_trusted_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).display().to_string();
    // What everybody types, and what makes an authority of the server's own certificate.
    run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=server",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            &file("self.key"),
            "-out",
            &file("self.crt"),
        ],
    );
    let registry = registry_with(directory.path(), "self.crt", "self.key");
    let client = client_trusting(directory.path(), &registry, &directory.path().join("self.crt"));
    assert_eq!(missing(&client, &registry).await.kind(), Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_on_this_machine_needs_no_known_certificate() {
    let directory = tempfile::tempdir().unwrap();
    make_certificates(directory.path());
    let registry = registry_with(directory.path(), "server.crt", "server.key");
    assert_eq!(missing(&crate::client(), &registry).await.kind(), Kind::NotFound);
}
