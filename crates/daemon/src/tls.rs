//! TLS of the tcp sockets: PEM files to a rustls configuration.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;
use crate::error::{Error, Result};

/// What turns an accepted connection into a TLS one.
pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let broken = |source| Error::TlsConfig { source };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(broken)?;
    let builder = match &tls.authority {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            let refuse = |reason: String| unreadable("CA certificate", path)(reason);
            builder.with_client_cert_verifier(verifier.map_err(|error| refuse(error.to_string()))?)
        }
    };
    let certificates = certificates("TLS certificate", &tls.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|error| unreadable("TLS key", &tls.key)(error.to_string()))?;
    let mut config = builder.with_single_cert(certificates, key).map_err(broken)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn authorities(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("CA certificate", path)? {
        roots.add(certificate).map_err(|error| unreadable("CA certificate", path)(error.to_string()))?;
    }
    Ok(roots)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(unreadable(what, path)("no certificate in it".to_owned()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unreadable(what, path)(error.to_string())),
    }
}

fn unreadable(what: &'static str, path: &Path) -> impl FnOnce(String) -> Error {
    let path = path.to_owned();
    move |reason| Error::Tls { what, path, reason }
}
