//! Whom to trust at the other end: the system's authorities and those of the registry's `certs.d` directory.
//!
//! ```text
//! certs.d/HOST[:PORT]/*.crt    authorities, beside the system's
//!                    /*.cert   client certificate, with *.key of the same name
//! ```
//!
//! A self-signed server certificate that lies there as `*.crt` is trusted as it is, although strict verifiers refuse
//! an authority as a server: that is how private registries are commonly set up, and Docker takes them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme};

use crate::error::{Error, Result};

/// What the `certs.d` directories hold for one host.
#[derive(Debug, Default)]
pub(crate) struct HostCertificates {
    pub(crate) authorities: Vec<CertificateDer<'static>>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl HostCertificates {
    /// Reads `DIR/AUTHORITY` of each directory; what is not there counts as empty.
    pub(crate) fn load(directories: &[PathBuf], authority: &str) -> Result<Self> {
        let mut found = Self::default();
        // No host begins with a dot, but a redirect may name anything: `..` would leave the directory.
        let directories = directories.iter().filter(|_| !authority.starts_with('.'));
        for directory in directories {
            found.load_directory(&directory.join(authority))?;
        }
        Ok(found)
    }

    fn load_directory(&mut self, directory: &Path) -> Result<()> {
        let Ok(entries) = fs::read_dir(directory) else { return Ok(()) };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in &paths {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => self.authorities.extend(certificates(path)?),
                Some("cert") => {
                    let key = path.with_extension("key");
                    if !paths.contains(&key) {
                        let reason = format!(
                            "missing key {} for client certificate. CA certificates must use the extension .crt",
                            key.display()
                        );
                        return Err(unusable(path, reason));
                    }
                    let key = PrivateKeyDer::from_pem_file(&key)
                        .map_err(|error| unusable(&key, error.to_string()))?;
                    self.identity.get_or_insert((certificates(path)?, key));
                }
                Some("key") if !paths.contains(&path.with_extension("cert")) => {
                    return Err(unusable(path, "missing client certificate for key".to_owned()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(path, error.to_string()))?;
    if found.is_empty() {
        return Err(unusable(path, "no certificate in it".to_owned()));
    }
    Ok(found)
}

fn unusable(path: &Path, reason: String) -> Error {
    Error::Certificate { path: path.display().to_string(), reason }
}

/// Whether the server must prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verification {
    Required,
    Skipped,
}

/// The TLS side of an HTTP client for one host.
pub(crate) fn client_config(
    authority: &str,
    certificates: HostCertificates,
    verification: Verification,
) -> Result<ClientConfig> {
    let setup = |error: TlsError| Error::Setup { authority: authority.to_owned(), reason: error.to_string() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trust = match verification {
        Verification::Skipped => Trust::Anyone,
        Verification::Required => Trust::known(certificates.authorities, &provider),
    };
    let verifier = Arc::new(Verifier { trust, provider: Arc::clone(&provider) });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match certificates.identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(setup)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[derive(Debug)]
enum Trust {
    Anyone,
    /// `web` is `None` where the machine has no authorities at all.
    Known {
        web: Option<Arc<WebPkiServerVerifier>>,
        pinned: Vec<CertificateDer<'static>>,
    },
}

impl Trust {
    fn known(pinned: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Self {
        let mut roots = system_roots();
        if !pinned.is_empty() {
            Arc::make_mut(&mut roots).add_parsable_certificates(pinned.iter().cloned());
        }
        let web = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build().ok();
        Self::Known { web, pinned }
    }
}

/// The authorities of the system, read once: parsing them takes milliseconds, and they are shared by all hosts.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let load = || {
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::warn!(%error, "a certificate authority of the system can't be used");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(system.certs);
        Arc::new(roots)
    };
    Arc::clone(ROOTS.get_or_init(load))
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Trust::Known { web, pinned } = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        if pinned.iter().any(|known| known.as_ref() == end_entity.as_ref()) {
            let parsed = ParsedCertificate::try_from(end_entity)?;
            verify_server_name(&parsed, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        match web {
            Some(web) => web.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(TlsError::InvalidCertificate(rustls::CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The words of Go's TLS for what rustls found, as Docker's users know them.
pub(crate) fn explain(error: &TlsError) -> String {
    use rustls::{CertificateError, InvalidMessage};
    let invalid = |why: String| format!("tls: failed to verify certificate: x509: {why}");
    match error {
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "http: server gave HTTP response to HTTPS client".to_owned()
        }
        // A signature that does not verify: another authority of the same name.
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            invalid("certificate signed by unknown authority".to_owned())
        }
        TlsError::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            invalid("certificate has expired or is not yet valid".to_owned())
        }
        TlsError::InvalidCertificate(why) => invalid(why.to_string()),
        other => format!("tls: {other}"),
    }
}
