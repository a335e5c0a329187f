//! Credentials on their way to the engine: base64url JSON in a header.

use barge_api::system::AuthConfig;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

/// An `X-Registry-Auth` header's value; empty sends none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryAuth(pub(crate) String);

/// Packs credentials for the engine.
pub fn encode_auth(auth: &AuthConfig) -> RegistryAuth {
    // Plain strings always become JSON.
    RegistryAuth(serde_json::to_vec(auth).map(|json| URL_SAFE.encode(json)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_padded_base64url() {
        let auth =
            AuthConfig { username: "me?".to_owned(), password: "þ>".to_owned(), ..AuthConfig::default() };
        let RegistryAuth(text) = encode_auth(&auth);
        assert!(text.len() % 4 == 0 && !text.contains(['+', '/']), "{text}");
        assert_eq!(URL_SAFE.decode(text).unwrap(), r#"{"username":"me?","password":"þ>"}"#.as_bytes());
    }
}
