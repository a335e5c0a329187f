//! Credentials: from the API to the registry client, and `POST /auth`.

use barge_api::system::{AuthConfig, AuthResponse};
use barge_registry::Credentials;

use super::{Images, refusal};
use crate::error::Result;

impl Images {
    /// Tries credentials at a registry.
    ///
    /// # Errors
    /// If the registry can't be reached or does not take them.
    pub async fn login(&self, auth: AuthConfig) -> Result<AuthResponse> {
        let server = auth.server_address.clone();
        let credentials = credentials(auth).unwrap_or_default();
        let logged_in = self.registry.login(&server, &credentials).await;
        let logged_in = logged_in.map_err(|error| refusal::registry(&error))?;
        Ok(AuthResponse {
            identity_token: logged_in.identity_token.unwrap_or_default(),
            status: "Login Succeeded".to_owned(),
        })
    }
}

/// The registry client's form; `None` for nobody.
pub(super) fn credentials(auth: AuthConfig) -> Option<Credentials> {
    let credentials = Credentials {
        username: auth.username,
        password: auth.password,
        auth: auth.auth,
        server_address: auth.server_address,
        identity_token: auth.identity_token,
        registry_token: auth.registry_token,
    };
    Some(credentials.expand()).filter(|credentials| !credentials.is_empty())
}
