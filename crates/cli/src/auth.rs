//! Credentials for registries: from the configuration file or from helper programs
//! (`docker-credential-NAME get|store|erase`, JSON on standard input and output).

use std::io::Write;
use std::process::{Command, Stdio};

use barge_api::system::AuthConfig;
use barge_client::{RegistryAuth, encode_auth};
use serde::{Deserialize, Serialize};

use crate::cli::Cli;
use crate::failure::{Failure, Result};
use crate::image_name;

/// The name Docker Hub's credentials are kept under.
pub(crate) const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// A user name that says the secret is an identity token.
const TOKEN_USER: &str = "<token>";

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HelperEntry {
    #[serde(rename = "ServerURL")]
    server: String,
    username: String,
    secret: String,
}

/// The header for pulling or pushing `image`; empty without credentials.
pub(crate) fn for_image(cli: &Cli, image: &str) -> RegistryAuth {
    let domain = image_name::domain(image);
    let server = if domain == "docker.io" { DOCKER_HUB } else { domain };
    match lookup(cli, server) {
        Some(auth) => encode_auth(&auth),
        None => RegistryAuth::default(),
    }
}

/// The credentials for `server`. A helper that fails is as good as none: the registry may be open to all.
pub(crate) fn lookup(cli: &Cli, server: &str) -> Option<AuthConfig> {
    let Some(helper) = cli.config().helper(server) else { return cli.config().auth(server) };
    let answer = ask(helper, "get", server.as_bytes()).ok()?;
    let entry: HelperEntry = serde_json::from_slice(&answer).ok()?;
    let mut auth = AuthConfig { server_address: server.to_owned(), ..AuthConfig::default() };
    if entry.username == TOKEN_USER {
        auth.identity_token = entry.secret;
    } else {
        auth.username = entry.username;
        auth.password = entry.secret;
    }
    Some(auth)
}

/// Keeps credentials; tells whether they lie unencrypted in the file.
pub(crate) fn store(cli: &Cli, server: &str, auth: &AuthConfig) -> Result<bool> {
    let mut config = cli.config().clone();
    let Some(helper) = cli.config().helper(server) else {
        return config.set_auth(server, auth).map(|()| true);
    };
    let (username, secret) = if auth.identity_token.is_empty() {
        (auth.username.clone(), auth.password.clone())
    } else {
        (TOKEN_USER.to_owned(), auth.identity_token.clone())
    };
    let entry = HelperEntry { server: server.to_owned(), username, secret };
    let json = serde_json::to_vec(&entry).unwrap_or_default();
    ask(helper, "store", &json)?;
    config.note_auth(server).map(|()| false)
}

/// Forgets credentials, if there are any.
pub(crate) fn erase(cli: &Cli, server: &str) -> Result<()> {
    if let Some(helper) = cli.config().helper(server) {
        ask(helper, "erase", server.as_bytes())?;
    }
    cli.config().clone().remove_auth(server).map(drop)
}

fn ask(helper: &str, action: &str, input: &[u8]) -> Result<Vec<u8>> {
    let program = format!("docker-credential-{helper}");
    let failed =
        |error: std::io::Error| Failure::new(format!("error getting credentials - err: {program}: {error}"));
    let mut child = Command::new(&program)
        .arg(action)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stdout);
    Err(Failure::new(format!("error getting credentials - err: {}, out: `{}`", output.status, said.trim())))
}
