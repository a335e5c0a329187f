//! Who the user is to a registry: Docker's `AuthConfig`, as `X-Registry-Auth` and the body of `/auth` carry it.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Credentials for one registry. All empty is nobody.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Credentials {
    pub username: String,
    pub password: String,
    /// `base64(username:password)`, as old configuration files have it; read if the two above are empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub auth: String,
    /// The registry these are for, as the user named it.
    #[serde(rename = "serveraddress")]
    pub server_address: String,
    /// A refresh token that stands for the password.
    #[serde(rename = "identitytoken")]
    pub identity_token: String,
    /// A bearer token, sent as it is.
    #[serde(rename = "registrytoken")]
    pub registry_token: String,
}

impl Credentials {
    /// A user with a password.
    pub fn password(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: password.into(), ..Self::default() }
    }

    /// Reads the base64 of a JSON document, in either alphabet, padded or not. Empty text is nobody.
    ///
    /// # Errors
    /// [`Error::Credentials`] if it is not that.
    pub fn decode(header: &str) -> Result<Self> {
        let header = header.trim();
        if header.is_empty() {
            return Ok(Self::default());
        }
        let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let json = GeneralPurpose::new(&alphabet::URL_SAFE, lenient)
            .decode(header)
            .or_else(|_| GeneralPurpose::new(&alphabet::STANDARD, lenient).decode(header))
            .map_err(|error| Error::Credentials { reason: error.to_string() })?;
        let parsed: Self = serde_json::from_slice(&json)
            .map_err(|error| Error::Credentials { reason: error.to_string() })?;
        Ok(parsed.expand())
    }

    /// The header's text, in the URL-safe alphabet that clients send.
    pub fn encode(&self) -> String {
        base64::engine::general_purpose::URL_SAFE.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Fills user and password from the joined form.
    #[must_use]
    pub fn expand(mut self) -> Self {
        if self.username.is_empty() && self.password.is_empty() && !self.auth.is_empty() {
            let decoded = base64::engine::general_purpose::STANDARD.decode(&self.auth).unwrap_or_default();
            if let Some((user, password)) =
                String::from_utf8(decoded).ok().as_deref().and_then(|text| text.split_once(':'))
            {
                self.username = user.to_owned();
                self.password = password.trim_end_matches('\0').to_owned();
            }
        }
        self
    }

    /// True if these are nobody's.
    pub fn is_empty(&self) -> bool {
        self.username.is_empty() && self.identity_token.is_empty() && self.registry_token.is_empty()
    }

    pub(crate) fn basic(&self) -> Option<String> {
        if self.username.is_empty() || self.password.is_empty() {
            return None;
        }
        let joined = format!("{}:{}", self.username, self.password);
        Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(joined)))
    }
}

impl std::fmt::Debug for Credentials {
    // Secrets stay out of logs.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("username", &self.username)
            .field("server_address", &self.server_address)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_the_header_is_read() {
        let json = br#"{"username":"u","password":"p??>","serveraddress":"r.example","extra":1}"#;
        let expected =
            Credentials { server_address: "r.example".to_owned(), ..Credentials::password("u", "p??>") };
        use base64::engine::general_purpose as forms;
        for text in [
            forms::URL_SAFE.encode(json),
            forms::URL_SAFE_NO_PAD.encode(json),
            forms::STANDARD.encode(json),
            forms::STANDARD_NO_PAD.encode(json),
        ] {
            assert_eq!(Credentials::decode(&text).unwrap(), expected, "{text}");
        }
        assert_eq!(Credentials::decode(&expected.encode()).unwrap(), expected);
        assert!(Credentials::decode("").unwrap().is_empty());
        assert!(Credentials::decode("e30=").unwrap().is_empty());
        assert!(Credentials::decode("!").is_err());
        assert!(Credentials::decode("bm8=").is_err());
    }

    #[test]
    fn the_joined_form_is_split() {
        let credentials =
            Credentials { auth: "dXNlcjpwYXNzOndvcmQ=".to_owned(), ..Credentials::default() }.expand();
        assert_eq!((credentials.username.as_str(), credentials.password.as_str()), ("user", "pass:word"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", Credentials::password("u", "hunter2"));
        assert!(!shown.contains("hunter2"));
    }
}
