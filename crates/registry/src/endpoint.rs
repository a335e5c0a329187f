//! Which hosts serve a registry's domain, and how each is reached.
//!
//! ```text
//! docker.io/library/busybox ──> mirrors of docker.io, in order ──> registry-1.docker.io
//! r.example:5000/x          ──> mirrors of r.example:5000      ──> r.example:5000
//! ```
//!
//! A host is pinged (`GET /v2/`) before it is used: the answer tells whether it speaks TLS and what authorization it
//! wants. Answers are remembered for some minutes.

use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{StatusCode, Url};

use crate::challenge::{self, Challenge};
use crate::client::Client;
use crate::config::Security;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::tls::Verification;
use crate::transport::{Ask, authority};

const HUB_DOMAIN: &str = "docker.io";
const HUB_HOST: &str = "registry-1.docker.io";
const PING_TTL: Duration = Duration::from_secs(300);
/// A plain-http server may wait for the end of a line that a TLS greeting never has.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// A host to ask, not yet spoken to.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// `https://HOST/`, or with the scheme and path that a mirror was configured with.
    pub(crate) url: Url,
    pub(crate) role: Role,
    /// From the mirror's URL.
    pub(crate) credentials: Option<Credentials>,
}

/// Why a host is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Mirror,
    Upstream,
}

/// A host that answered.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// Ends in `/v2/`.
    pub(crate) base: Url,
    pub(crate) verification: Verification,
    pub(crate) challenges: Vec<Challenge>,
}

/// The mirrors of `domain` in order, then the registry itself.
pub(crate) fn candidates(client: &Client, domain: &str) -> Result<Vec<Candidate>> {
    let mut found = Vec::new();
    for mirror in client.config().mirrors.get(domain).into_iter().flatten() {
        found.push(mirror_candidate(mirror)?);
    }
    found.push(upstream(domain)?);
    Ok(found)
}

/// The registry that `domain` names.
pub(crate) fn upstream(domain: &str) -> Result<Candidate> {
    let host = if domain == HUB_DOMAIN { HUB_HOST } else { domain };
    let url = parse(&format!("https://{host}/"))?;
    Ok(Candidate { url, role: Role::Upstream, credentials: None })
}

fn mirror_candidate(mirror: &str) -> Result<Candidate> {
    let text = if mirror.contains("://") { mirror.to_owned() } else { format!("https://{mirror}") };
    let mut url = parse(&text)?;
    let credentials = match (url.username(), url.password()) {
        ("", _) | (_, None) => None,
        (username, Some(password)) => Some(Credentials::password(username, password)),
    };
    // Setting these fails only for URLs without a host, which `parse` refuses.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(Candidate { url, role: Role::Mirror, credentials })
}

fn parse(text: &str) -> Result<Url> {
    let invalid = |reason: String| Error::Address { address: text.to_owned(), reason };
    let url = Url::parse(text).map_err(|error| invalid(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(invalid("not an http address".to_owned()));
    }
    Ok(url)
}

/// Finds out how the host of `candidate` is reached.
pub(crate) async fn connect(client: &Client, candidate: &Candidate) -> Result<Endpoint> {
    let key = candidate.url.to_string();
    if let Some(endpoint) = client.endpoints().find(&key) {
        return Ok(endpoint);
    }
    let mut last = None;
    for (base, verification) in ways(client, candidate).await? {
        match ping(client, &base, verification).await {
            Ok(endpoint) => {
                client.endpoints().remember(key, endpoint.clone());
                return Ok(endpoint);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::Address { address: key, reason: "no way to reach it".to_owned() }))
}

/// The URLs to ping in turn: an insecure host is tried with TLS before it is trusted without.
async fn ways(client: &Client, candidate: &Candidate) -> Result<Vec<(Url, Verification)>> {
    let base = candidate
        .url
        .join("v2/")
        .map_err(|error| Error::Address { address: candidate.url.to_string(), reason: error.to_string() })?;
    let name = authority(&candidate.url);
    let security = match client.transport().security(&name).await {
        Security::Loopback if client.transport().has_authority(&name) => Security::Verified,
        other => other,
    };
    let verification =
        if security == Security::Verified { Verification::Required } else { Verification::Skipped };
    let mut ways = vec![(base.clone(), verification)];
    if security != Security::Verified && base.scheme() == "https" {
        let mut plain = base;
        // From one special scheme to another; that never fails.
        let _ = plain.set_scheme("http");
        ways.push((plain, verification));
    }
    Ok(ways)
}

async fn ping(client: &Client, base: &Url, verification: Verification) -> Result<Endpoint> {
    let probing = verification == Verification::Skipped && base.scheme() == "https";
    let limit = if probing { PROBE_TIMEOUT } else { PING_TIMEOUT };
    let asked = client.transport().send(Ask::get(base.clone()), None, verification);
    let response = tokio::time::timeout(limit, asked).await.map_err(|_| Error::Unreachable {
        method: reqwest::Method::GET,
        url: base.to_string(),
        cause: "net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)"
            .to_owned(),
        cut: false,
    })??;
    let challenges = match response.status() {
        StatusCode::UNAUTHORIZED => challenges(response.headers()),
        _ => Vec::new(),
    };
    Ok(Endpoint { base: base.clone(), verification, challenges })
}

/// All challenges of an answer.
pub(crate) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(challenge::parse).collect()
}

/// What hosts answered, by candidate URL.
#[derive(Default)]
pub(crate) struct Endpoints {
    known: std::sync::Mutex<std::collections::HashMap<String, (Instant, Endpoint)>>,
}

impl Endpoints {
    fn find(&self, key: &str) -> Option<Endpoint> {
        let known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.get(key).filter(|(since, _)| since.elapsed() < PING_TTL).map(|(_, endpoint)| endpoint.clone())
    }

    fn remember(&self, key: String, endpoint: Endpoint) {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.retain(|_, (since, _)| since.elapsed() < PING_TTL);
        known.insert(key, (Instant::now(), endpoint));
    }

    /// The host did not answer as remembered.
    pub(crate) fn forget(&self, candidate: &Candidate) {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.remove(candidate.url.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_keep_their_path_and_give_up_their_password() {
        let table = [
            ("https://m.example", "https://m.example/v2/", None),
            ("m.example:5000", "https://m.example:5000/v2/", None),
            ("http://m.example/hub", "http://m.example/hub/v2/", None),
            ("https://u:p@m.example/", "https://m.example/v2/", Some(Credentials::password("u", "p"))),
        ];
        for (mirror, base, credentials) in table {
            let candidate = mirror_candidate(mirror).unwrap();
            assert_eq!(candidate.url.join("v2/").unwrap().as_str(), base, "{mirror}");
            assert_eq!(candidate.credentials, credentials, "{mirror}");
        }
        assert!(mirror_candidate("ftp://m.example").is_err());
    }

    #[test]
    fn the_hub_has_a_host_of_its_own() {
        assert_eq!(upstream("docker.io").unwrap().url.as_str(), "https://registry-1.docker.io/");
        assert_eq!(upstream("r.example:5000").unwrap().url.as_str(), "https://r.example:5000/");
    }
}
