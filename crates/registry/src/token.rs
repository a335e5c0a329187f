//! Bearer tokens: fetched from the realm a registry names, kept until shortly before they expire.
//!
//! Two dialects, as in the distribution project's specification of token authentication: `GET` with a user name and
//! password, and OAuth2's `POST` with a refresh ("identity") token.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use barge_oci::Digest;
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;

use crate::challenge::Challenge;
use crate::client::Client;
use crate::config::Security;
use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::tls::Verification;
use crate::transport::{self, Ask, Payload, authority};

/// Token servers know clients by this name; Docker's is let in where others are not.
const CLIENT_ID: &str = "docker";
/// What the specification says of a token without `expires_in`.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// A token is not used for what may take longer than it lives.
const MARGIN: Duration = Duration::from_secs(10);
const MAX_ANSWER: u64 = 1 << 20;

/// What a token is wanted for.
pub(crate) struct Wanted<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) challenge: &'a Challenge,
    pub(crate) scopes: Vec<String>,
    pub(crate) credentials: Option<&'a Credentials>,
    /// Ask for a refresh token too.
    pub(crate) offline: bool,
}

/// What a token server gave.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    until: Instant,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    issued_at: Option<String>,
}

/// Tokens that may still be good.
#[derive(Default)]
pub(crate) struct Tokens {
    known: Mutex<HashMap<Digest, Token>>,
}

impl Tokens {
    fn find(&self, key: &Digest) -> Option<Token> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        known.retain(|_, token| token.until > now);
        known.get(key).cloned()
    }

    fn remember(&self, key: Digest, token: Token) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, token);
    }

    fn forget(&self, key: &Digest) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Whether a remembered token will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Any,
    New,
}

/// A token for what is wanted.
pub(crate) async fn token(client: &Client, wanted: &Wanted<'_>, freshness: Freshness) -> Result<Token> {
    let key = wanted.key();
    match freshness {
        Freshness::New => client.tokens().forget(&key),
        Freshness::Any => {
            if let Some(token) = client.tokens().find(&key) {
                return Ok(token);
            }
        }
    }
    let token = fetch(client, wanted).await?;
    client.tokens().remember(key, token.clone());
    Ok(token)
}

impl Wanted<'_> {
    /// Secrets are part of the name, but only their digest is kept.
    fn key(&self) -> Digest {
        let nobody = Credentials::default();
        let credentials = self.credentials.unwrap_or(&nobody);
        let parts = [
            self.challenge.parameter("realm").unwrap_or_default(),
            self.challenge.parameter("service").unwrap_or_default(),
            &self.scopes.join(" "),
            &credentials.username,
            &credentials.password,
            &credentials.identity_token,
        ];
        Digest::sha256_of(parts.join("\0").as_bytes())
    }

    fn realm(&self) -> Result<Url> {
        let realm = self.challenge.parameter("realm").unwrap_or_default();
        let broken = |reason: &str| Error::Protocol {
            url: self.endpoint.base.to_string(),
            reason: format!("token realm {realm:?}: {reason}"),
        };
        let url = self.endpoint.base.join(realm).map_err(|_| broken("not a URL"))?;
        if realm.is_empty() || !matches!(url.scheme(), "http" | "https") {
            return Err(broken("not an http URL"));
        }
        Ok(url)
    }
}

async fn fetch(client: &Client, wanted: &Wanted<'_>) -> Result<Token> {
    let realm = wanted.realm()?;
    let security = client.transport().security(&authority(&realm)).await;
    let secret = wanted.credentials.is_some_and(|credentials| !credentials.is_empty());
    // A registry that is held to TLS does not get to send the password over the open network.
    let open = realm.scheme() == "http" && security == Security::Verified;
    if secret && open && wanted.endpoint.verification == Verification::Required {
        let reason = "the token server is not https; credentials are not sent".to_owned();
        return Err(Error::Protocol { url: realm.to_string(), reason });
    }
    let refresh =
        wanted.credentials.map(|credentials| &credentials.identity_token).filter(|token| !token.is_empty());
    let (ask, authorization) = match refresh {
        Some(refresh) => (oauth_request(realm, wanted, refresh), None),
        None => basic_request(realm, wanted),
    };
    let verification = match security {
        Security::Verified => Verification::Required,
        Security::Loopback | Security::Insecure => wanted.endpoint.verification,
    };
    let url = ask.url.to_string();
    let response = client.transport().send(ask, authorization, verification).await?;
    if !response.status().is_success() {
        return Err(transport::refusal(response).await);
    }
    let answer = transport::body(response, MAX_ANSWER).await?;
    parse(&answer, Timestamp::now()).ok_or_else(|| Error::Protocol {
        url,
        reason: "authorization server did not include a token in the response".to_owned(),
    })
}

fn oauth_request(realm: Url, wanted: &Wanted<'_>, refresh: &str) -> Ask {
    let mut form = realm.clone();
    form.set_query(None);
    {
        let mut pairs = form.query_pairs_mut();
        pairs.append_pair("grant_type", "refresh_token");
        pairs.append_pair("refresh_token", refresh);
        pairs.append_pair("client_id", CLIENT_ID);
        pairs.append_pair("service", wanted.challenge.parameter("service").unwrap_or_default());
        if !wanted.scopes.is_empty() {
            pairs.append_pair("scope", &wanted.scopes.join(" "));
        }
        if wanted.offline {
            pairs.append_pair("access_type", "offline");
        }
    }
    let body = form.query().unwrap_or_default().to_owned();
    let mut ask = Ask::new(Method::POST, realm).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    ask.body = Payload::Whole(Bytes::from(body));
    ask
}

fn basic_request(mut realm: Url, wanted: &Wanted<'_>) -> (Ask, Option<HeaderValue>) {
    let basic = wanted.credentials.and_then(Credentials::basic);
    {
        let mut pairs = realm.query_pairs_mut();
        if let Some(service) = wanted.challenge.parameter("service") {
            pairs.append_pair("service", service);
        }
        for scope in &wanted.scopes {
            pairs.append_pair("scope", scope);
        }
        if wanted.offline {
            pairs.append_pair("offline_token", "true");
            pairs.append_pair("client_id", CLIENT_ID);
        }
        if let (Some(credentials), true) = (wanted.credentials, basic.is_some()) {
            pairs.append_pair("account", &credentials.username);
        }
    }
    let authorization = basic.and_then(|value| HeaderValue::from_str(&value).ok());
    (Ask::get(realm), authorization)
}

/// Reads a token server's answer; the life of the token counts from when it was issued, on the server's clock.
fn parse(answer: &[u8], now: Timestamp) -> Option<Token> {
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    let access = if answer.token.is_empty() { answer.access_token } else { answer.token };
    if access.is_empty() {
        return None;
    }
    let life = answer.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs).max(DEFAULT_LIFE);
    let issued = answer.issued_at.and_then(|text| text.parse::<Timestamp>().ok());
    let age = issued.map_or(0, |issued| now.as_second() - issued.as_second());
    // A clock that is wrong by more than a life must not make every token look stale.
    let age = Duration::from_secs(u64::try_from(age).unwrap_or(0)).min(life / 2);
    let left = life.saturating_sub(age).saturating_sub(MARGIN).min(Duration::from_secs(24 * 3600));
    let refresh = answer.refresh_token.filter(|token| !token.is_empty());
    Some(Token { access, refresh, until: Instant::now() + left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let life = |text: &str| {
            let token = parse(text.as_bytes(), now).unwrap();
            assert_eq!(token.access, "t");
            token.until.duration_since(Instant::now()).as_secs_f64().round() as u64
        };
        assert_eq!(life(r#"{"token":"t"}"#), 50);
        assert_eq!(life(r#"{"access_token":"t","expires_in":300}"#), 290);
        assert_eq!(life(r#"{"token":"t","expires_in":300,"issued_at":"2026-01-01T00:00:00Z"}"#), 230);
        assert_eq!(life(r#"{"token":"t","expires_in":300,"issued_at":"2020-01-01T00:00:00Z"}"#), 140);
        assert_eq!(life(r#"{"token":"t","expires_in":300,"issued_at":"2030-01-01T00:00:00Z"}"#), 290);
        assert_eq!(life(r#"{"token":"t","expires_in":18446744073709551615}"#), 24 * 3600);
        for nothing in ["", "[]", "{}", r#"{"token":""}"#] {
            assert!(parse(nothing.as_bytes(), now).is_none());
        }
    }
}
