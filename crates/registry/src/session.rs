//! Talking to one repository of one registry: URLs, authorization, and what the registry's refusals mean.
//!
//! ```text
//! send ──> with what is known ──> 401 ──> new challenge, new token ──> once more ──> answer or refusal
//! ```

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;

use crate::challenge::Challenge;
use crate::client::Client;
use crate::credentials::Credentials;
use crate::endpoint::{self, Candidate, Endpoint, Role};
use crate::error::{Error, Result};
use crate::token::{self, Freshness, Wanted};
use crate::transport::{self, Ask};

/// What is to be done with a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Pull,
    Push,
}

/// A repository on a host that answered.
pub(crate) struct Session {
    client: Client,
    candidate: Candidate,
    endpoint: Endpoint,
    repository: String,
    credentials: Option<Credentials>,
    state: Mutex<State>,
}

struct State {
    challenges: Vec<Challenge>,
    scopes: BTreeSet<String>,
}

impl Session {
    /// Connects to the host of `candidate`. The user's `credentials` are for the registry, not for its mirrors.
    pub(crate) async fn open(
        client: &Client,
        candidate: &Candidate,
        repository: &str,
        access: Access,
        credentials: Option<&Credentials>,
    ) -> Result<Self> {
        let endpoint = endpoint::connect(client, candidate).await?;
        let credentials = match candidate.role {
            Role::Upstream => credentials.cloned(),
            Role::Mirror => candidate.credentials.clone(),
        };
        let actions = if access == Access::Push { "pull,push" } else { "pull" };
        let state = State {
            challenges: endpoint.challenges.clone(),
            scopes: BTreeSet::from([format!("repository:{repository}:{actions}")]),
        };
        Ok(Self {
            client: client.clone(),
            candidate: candidate.clone(),
            endpoint,
            repository: repository.to_owned(),
            credentials: credentials.filter(|credentials| !credentials.is_empty()),
            state: Mutex::new(state),
        })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// `BASE/v2/REPOSITORY/REST`.
    pub(crate) fn url(&self, rest: &str) -> Result<Url> {
        let path = format!("{}/{rest}", self.repository);
        self.endpoint.base.join(&path).map_err(|error| Error::Protocol {
            url: self.endpoint.base.to_string(),
            reason: format!("{path}: {error}"),
        })
    }

    /// Tokens asked for from now on allow reading `repository` too.
    pub(crate) fn also_read(&self, repository: &str) {
        let scope = format!("repository:{repository}:pull");
        self.state.lock().unwrap_or_else(PoisonError::into_inner).scopes.insert(scope);
    }

    /// Sends a request with what authorization it needs. Errors of the registry come back as [`Error`].
    pub(crate) async fn send(&self, ask: Ask) -> Result<Response> {
        let (method, url) = (ask.method.clone(), ask.url.clone());
        let at_home = url.origin() == self.endpoint.base.origin();
        let authorization =
            if at_home { self.authorization(Freshness::Any, &method, &url).await? } else { None };
        let again = ask.again();
        let response = self.send_with(ask, authorization).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !at_home {
            return success(response).await;
        }
        let (Some(ask), true) = (again, self.learn(&response)) else { return success(response).await };
        let authorization = self.authorization(Freshness::New, &method, &url).await?;
        success(self.send_with(ask, authorization).await?).await
    }

    /// [`Session::send`], tried again after transient failures.
    pub(crate) async fn send_persistently(&self, ask: Ask) -> Result<Response> {
        crate::retry::persistently(|| {
            let next = ask.again();
            async { self.send(next.ok_or(Error::Interrupted { doing: "repeating a request" })?).await }
        })
        .await
    }

    async fn send_with(&self, ask: Ask, authorization: Option<HeaderValue>) -> Result<Response> {
        let sent = self.client.transport().send(ask, authorization, self.endpoint.verification).await;
        if let Err(Error::Unreachable { .. }) = sent {
            // What was learned of the host may be true no more.
            self.client.endpoints().forget(&self.candidate);
        }
        sent
    }

    /// Takes the challenges of a 401 for those to meet; false if there are none.
    fn learn(&self, response: &Response) -> bool {
        let challenges = endpoint::challenges(response.headers());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let scopes = challenges.iter().filter_map(|challenge| challenge.parameter("scope"));
        // Some registries know a repository by another name than their URL has.
        state.scopes.extend(scopes.flat_map(str::split_whitespace).map(str::to_owned));
        let any = !challenges.is_empty();
        if any {
            state.challenges = challenges;
        }
        any
    }

    async fn authorization(
        &self,
        freshness: Freshness,
        method: &Method,
        url: &Url,
    ) -> Result<Option<HeaderValue>> {
        let (challenges, scopes) = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.challenges.clone(), state.scopes.iter().cloned().collect())
        };
        let header = authorization(
            &self.client,
            &self.endpoint,
            &challenges,
            scopes,
            self.credentials.as_ref(),
            freshness,
        );
        header.await.map_err(|error| match error {
            Error::NoCredentials { .. } => {
                Error::NoCredentials { method: method.clone(), url: url.to_string() }
            }
            // What the token server says is shown as part of what was wanted; its being away is not.
            Error::Refused { .. } | Error::UnexpectedStatus { .. } => {
                Error::Authorization { method: method.clone(), url: url.to_string(), source: Box::new(error) }
            }
            other => other,
        })
    }
}

/// What to put into `Authorization` to meet one of the challenges. Bearer is preferred, as in Docker.
async fn authorization(
    client: &Client,
    endpoint: &Endpoint,
    challenges: &[Challenge],
    scopes: Vec<String>,
    credentials: Option<&Credentials>,
    freshness: Freshness,
) -> Result<Option<HeaderValue>> {
    let find = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme == scheme);
    let given = credentials.map(|credentials| &credentials.registry_token).filter(|token| !token.is_empty());
    let value = if let Some(token) = given {
        format!("Bearer {token}")
    } else if let Some(challenge) = find("bearer") {
        let wanted = Wanted { endpoint, challenge, scopes, credentials, offline: false };
        format!("Bearer {}", token::token(client, &wanted, freshness).await?.access)
    } else if find("basic").is_some() {
        let basic = credentials.and_then(Credentials::basic);
        basic.ok_or_else(|| Error::NoCredentials { method: Method::GET, url: endpoint.base.to_string() })?
    } else {
        return Ok(None);
    };
    let mut header = HeaderValue::from_str(&value).map_err(|_| Error::Protocol {
        url: endpoint.base.to_string(),
        reason: "a token that can't be sent in a header".to_owned(),
    })?;
    header.set_sensitive(true);
    Ok(Some(header))
}

async fn success(response: Response) -> Result<Response> {
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        return Err(transport::refusal(response).await);
    }
    Ok(response)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    errors: Vec<Entry>,
    /// Docker Hub's token server says it so.
    details: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    code: String,
    message: String,
}

/// What an answer's status, headers and document say is wrong, in Docker's order of precedence.
pub(crate) fn refusal(status: StatusCode, headers: &HeaderMap, document: &[u8]) -> Error {
    let retry_after = retry_after(headers);
    let number = status.as_u16();
    let refused = |code: &str, message: &str| Error::Refused {
        status: number,
        code: code.to_owned(),
        message: printable(if message.is_empty() { default_message(code) } else { message }),
        retry_after,
    };
    for challenge in endpoint::challenges(headers).iter().filter(|challenge| challenge.scheme == "bearer") {
        let description = challenge.parameter("error_description").unwrap_or_default();
        match challenge.parameter("error") {
            Some("invalid_token") => return refused("UNAUTHORIZED", description),
            Some("insufficient_scope") => return refused("DENIED", description),
            _ => {}
        }
    }
    let document: Document = serde_json::from_slice(document).unwrap_or_default();
    if let Some(first) = document.errors.first().filter(|first| !first.code.is_empty()) {
        return refused(&first.code, &first.message);
    }
    match number {
        401 => refused("UNAUTHORIZED", &document.details),
        403 => refused("DENIED", &document.details),
        429 => refused("TOOMANYREQUESTS", &document.details),
        _ => Error::UnexpectedStatus {
            status: number,
            text: status.canonical_reason().unwrap_or_default(),
            retry_after,
        },
    }
}

/// What the distribution specification's reference says of a code when the registry says nothing.
fn default_message(code: &str) -> &str {
    match code {
        "UNAUTHORIZED" => "authentication required",
        "DENIED" => "requested access to the resource is denied",
        "TOOMANYREQUESTS" => "too many requests",
        "MANIFEST_UNKNOWN" => "manifest unknown",
        "NAME_UNKNOWN" => "repository name not known to registry",
        "BLOB_UNKNOWN" => "blob unknown to registry",
        _ => "unknown error",
    }
}

/// A stranger's text, fit for a terminal and a log line.
fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(1000).collect()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    // The other form is a date; such a pause is long enough to give up on.
    Some(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (reqwest::header::HeaderName::from_static(name), value.parse::<HeaderValue>().unwrap())
            })
            .collect()
    }

    type Answer<'a> = (u16, &'a [(&'static str, &'a str)], &'a str, &'a str);

    #[test]
    fn refusals_read_like_docker() {
        let table: &[Answer<'_>] = &[
            (
                404,
                &[],
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}"#,
                "manifest unknown: manifest unknown",
            ),
            (
                401,
                &[("www-authenticate", r#"Bearer realm="https://a.example/t",error="insufficient_scope""#)],
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
                "denied: requested access to the resource is denied",
            ),
            (
                401,
                &[],
                r#"{"details":"incorrect username or password"}"#,
                "unauthorized: incorrect username or password",
            ),
            (401, &[], "", "unauthorized: authentication required"),
            (
                429,
                &[],
                r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow\u001b[31m down"}]}"#,
                "toomanyrequests: slow[31m down",
            ),
            (418, &[], "<html>", "received unexpected HTTP status: 418 I'm a teapot"),
            (500, &[], "{}", "received unexpected HTTP status: 500 Internal Server Error"),
        ];
        for (status, pairs, document, text) in table {
            let status = StatusCode::from_u16(*status).unwrap();
            assert_eq!(refusal(status, &headers(pairs), document.as_bytes()).to_string(), *text);
        }
    }

    #[test]
    fn the_pause_asked_for_is_read() {
        assert_eq!(retry_after(&headers(&[("retry-after", "3")])), Some(Duration::from_secs(3)));
        assert_eq!(
            retry_after(&headers(&[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")])),
            Some(Duration::MAX)
        );
        assert_eq!(retry_after(&headers(&[])), None);
    }
}
