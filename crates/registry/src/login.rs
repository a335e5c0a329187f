//! Whether a registry takes credentials: `GET /v2/` with them, as `docker login` asks the daemon to try.

use reqwest::StatusCode;
use reqwest::header::HeaderValue;

use crate::client::Client;
use crate::credentials::Credentials;
use crate::endpoint::{self, Endpoint};
use crate::error::{Error, Result};
use crate::token::{self, Freshness, Wanted};
use crate::transport::{self, Ask};

/// A login that succeeded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoggedIn {
    /// A refresh token to keep instead of the password, where the registry gives one.
    pub identity_token: Option<String>,
}

impl Client {
    /// Tries `credentials` at `server`, which may be a domain, a URL, or empty for Docker Hub.
    ///
    /// # Errors
    /// If the registry can't be reached or does not take them.
    pub async fn login(&self, server: &str, credentials: &Credentials) -> Result<LoggedIn> {
        let candidate = endpoint::upstream(domain(server))?;
        let endpoint = endpoint::connect(self, &candidate).await?;
        let (authorization, identity_token) = self.authorize(&endpoint, credentials).await?;
        let ask = Ask::get(endpoint.base.clone());
        let response = self.transport().send(ask, authorization, endpoint.verification).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(LoggedIn { identity_token });
        }
        if status == StatusCode::UNAUTHORIZED {
            let text = status.canonical_reason().unwrap_or_default();
            return Err(Error::Login { url: endpoint.base.to_string(), status: status.as_u16(), text });
        }
        Err(transport::refusal(response).await)
    }

    async fn authorize(
        &self,
        endpoint: &Endpoint,
        credentials: &Credentials,
    ) -> Result<(Option<HeaderValue>, Option<String>)> {
        let bearer = endpoint.challenges.iter().find(|challenge| challenge.scheme == "bearer");
        let (value, identity_token) = match bearer {
            Some(challenge) => {
                let wanted = Wanted {
                    endpoint,
                    challenge,
                    scopes: Vec::new(),
                    credentials: Some(credentials),
                    offline: true,
                };
                let token = token::token(self, &wanted, Freshness::New).await;
                let token = token.map_err(|source| match source {
                    Error::Refused { .. } | Error::UnexpectedStatus { .. } => Error::Authorization {
                        method: reqwest::Method::GET,
                        url: endpoint.base.to_string(),
                        source: Box::new(source),
                    },
                    other => other,
                })?;
                (Some(format!("Bearer {}", token.access)), token.refresh)
            }
            None => (credentials.basic(), None),
        };
        Ok((value.and_then(|value| HeaderValue::from_str(&value).ok()), identity_token))
    }
}

/// The registry's domain in what `docker login` sends, `https://index.docker.io/v1/` for the Hub.
fn domain(server: &str) -> &str {
    let bare = server.trim();
    let bare = bare.strip_prefix("https://").or_else(|| bare.strip_prefix("http://")).unwrap_or(bare);
    let host = bare.split('/').next().unwrap_or_default();
    match host {
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_in_many_ways() {
        let table = [
            ("", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("docker.io", "docker.io"),
            ("r.example:5000", "r.example:5000"),
            ("https://r.example/v2/", "r.example"),
            ("http://127.0.0.1:5000", "127.0.0.1:5000"),
        ];
        for (server, expected) in table {
            assert_eq!(domain(server), expected, "{server}");
        }
    }
}
