//! `~/.docker/config.json`, shared with Docker's command line: what we do not know in it is kept.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use barge_api::system::AuthConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::failure::{Failure, Result};
use crate::output;

/// The file's content and where it belongs.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    content: Map<String, Value>,
}

impl ConfigFile {
    /// Reads the file in `dir`, else in `DOCKER_CONFIG`, else in `~/.docker`. A missing one is empty.
    pub(crate) fn load(dir: &str) -> Self {
        let path = config_dir(dir).join("config.json");
        let content = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                output::warn(&format!("WARNING: Error loading config file: {}: {error}", path.display()));
                Map::new()
            }),
            Err(_) => Map::new(),
        };
        Self { path, content }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A text at the top level.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.content.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    /// A map of texts at the top level.
    pub(crate) fn texts(&self, key: &str) -> BTreeMap<String, String> {
        let map = self.content.get(key).and_then(Value::as_object).into_iter().flatten();
        map.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    }

    /// The helper program that keeps the credentials for `server`, if there is one.
    pub(crate) fn helper(&self, server: &str) -> Option<&str> {
        let own =
            self.content.get("credHelpers").and_then(|helpers| helpers.get(server)).and_then(Value::as_str);
        own.filter(|name| !name.is_empty()).or_else(|| self.text("credsStore"))
    }

    /// The proxy variables for containers that talk to `host`.
    pub(crate) fn proxies(&self, host: &str) -> BTreeMap<String, String> {
        let names = [
            ("httpProxy", "HTTP_PROXY"),
            ("httpsProxy", "HTTPS_PROXY"),
            ("noProxy", "NO_PROXY"),
            ("ftpProxy", "FTP_PROXY"),
            ("allProxy", "ALL_PROXY"),
        ];
        let Some(proxies) = self.content.get("proxies") else { return BTreeMap::new() };
        let Some(proxy) = proxies.get(host).or_else(|| proxies.get("default")) else {
            return BTreeMap::new();
        };
        let mut variables = BTreeMap::new();
        for (key, name) in names {
            if let Some(value) = proxy.get(key).and_then(Value::as_str).filter(|value| !value.is_empty()) {
                variables.insert(name.to_owned(), value.to_owned());
                variables.insert(name.to_ascii_lowercase(), value.to_owned());
            }
        }
        variables
    }

    /// The credentials the file itself holds for `server`.
    pub(crate) fn auth(&self, server: &str) -> Option<AuthConfig> {
        let auths = self.content.get("auths")?.as_object()?;
        let entry = auths.get(server).or_else(|| {
            // Old files have URLs where only the host counts.
            auths.iter().find(|(name, _)| host_of(name) == host_of(server)).map(|(_, entry)| entry)
        })?;
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let decoded = STANDARD.decode(text("auth")).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let (username, password) = match decoded.as_deref().and_then(|pair| pair.split_once(':')) {
            Some((username, password)) => (username.to_owned(), password.trim_end_matches('\0').to_owned()),
            None => (text("username"), text("password")),
        };
        Some(AuthConfig {
            username,
            password,
            email: text("email"),
            server_address: server.to_owned(),
            identity_token: text("identitytoken"),
            registry_token: text("registrytoken"),
            ..AuthConfig::default()
        })
    }

    /// Puts the credentials into the file.
    pub(crate) fn set_auth(&mut self, server: &str, auth: &AuthConfig) -> Result<()> {
        let mut entry = Map::new();
        if auth.identity_token.is_empty() {
            let pair = STANDARD.encode(format!("{}:{}", auth.username, auth.password));
            entry.insert("auth".to_owned(), json!(pair));
        } else {
            let pair = STANDARD.encode(format!("{}:", auth.username));
            entry.insert("auth".to_owned(), json!(pair));
            entry.insert("identitytoken".to_owned(), json!(auth.identity_token));
        }
        self.put_auth(server, Value::Object(entry))
    }

    /// Notes that a helper has credentials for `server`.
    pub(crate) fn note_auth(&mut self, server: &str) -> Result<()> {
        self.put_auth(server, json!({}))
    }

    fn put_auth(&mut self, server: &str, entry: Value) -> Result<()> {
        let auths = self.content.entry("auths").or_insert_with(|| json!({}));
        if let Some(auths) = auths.as_object_mut() {
            auths.insert(server.to_owned(), entry);
        }
        self.save()
    }

    /// Takes the credentials out of the file; tells whether there were any.
    pub(crate) fn remove_auth(&mut self, server: &str) -> Result<bool> {
        let Some(auths) = self.content.get_mut("auths").and_then(Value::as_object_mut) else {
            return Ok(false);
        };
        let names: Vec<String> =
            auths.keys().filter(|name| host_of(name) == host_of(server)).cloned().collect();
        for name in &names {
            auths.remove(name);
        }
        if names.is_empty() {
            return Ok(false);
        }
        self.save().map(|()| true)
    }

    fn save(&self) -> Result<()> {
        let failed = |error: std::io::Error| {
            Failure::new(format!("Error saving credentials: {}: {error}", self.path.display()))
        };
        let dir = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(dir).map_err(failed)?;
        let mut text = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
        serde::Serialize::serialize(&self.content, &mut serializer).map_err(|error| failed(error.into()))?;
        // A link to the real file, as dotfile managers make, is followed.
        let target = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let draft = target.with_file_name(format!("config.json{}", std::process::id()));
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .map_err(failed)?;
        let written = file.write_all(&text).and_then(|()| std::fs::rename(&draft, &target));
        written.map_err(|error| {
            let _ = std::fs::remove_file(&draft);
            failed(error)
        })
    }
}

/// The configuration directory: the flag's, else the environment's, else the home's.
pub(crate) fn config_dir(flag: &str) -> PathBuf {
    if !flag.is_empty() {
        return flag.into();
    }
    match std::env::var_os("DOCKER_CONFIG") {
        Some(dir) if !dir.is_empty() => dir.into(),
        _ => std::env::home_dir().unwrap_or_else(|| "/".into()).join(".docker"),
    }
}

/// The host of a registry's name, which may be a URL.
fn host_of(server: &str) -> &str {
    let bare = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://")).unwrap_or(server);
    bare.split('/').next().unwrap_or(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ConfigFile {
        let content = json!({
            "auths": {"https://index.docker.io/v1/": {"auth": STANDARD.encode("me:pass:word")}, "old.example": {}},
            "credHelpers": {"gcr.io": "gcloud"},
            "credsStore": "secretservice",
            "proxies": {"default": {"httpProxy": "http://proxy:3128"}},
            "plugins": {"x": {"y": "z"}},
        });
        ConfigFile { path: PathBuf::new(), content: content.as_object().unwrap().clone() }
    }

    #[test]
    fn credentials_are_found_by_url_and_by_host() {
        let config = sample();
        let auth = config.auth("https://index.docker.io/v1/").unwrap();
        assert_eq!((auth.username.as_str(), auth.password.as_str()), ("me", "pass:word"));
        assert_eq!(config.auth("index.docker.io").unwrap().username, "me");
        assert!(config.auth("example.com").is_none());
    }

    #[test]
    fn helpers_go_by_server() {
        assert_eq!(sample().helper("gcr.io"), Some("gcloud"));
        assert_eq!(sample().helper("example.com"), Some("secretservice"));
        assert_eq!(ConfigFile::default().helper("example.com"), None);
    }

    #[test]
    fn proxies_come_in_both_cases() {
        let proxies = sample().proxies("unix:///x");
        assert_eq!(proxies.keys().collect::<Vec<_>>(), ["HTTP_PROXY", "http_proxy"]);
    }

    #[test]
    fn saving_keeps_what_we_do_not_know() {
        let dir = std::env::temp_dir().join(format!("barge-cli-config-{}", std::process::id()));
        let mut config = ConfigFile { path: dir.join("config.json"), ..sample() };
        let auth = AuthConfig { username: "u".into(), password: "p".into(), ..AuthConfig::default() };
        config.set_auth("example.com", &auth).unwrap();
        let mut again = ConfigFile::load(dir.to_str().unwrap());
        assert_eq!(again.auth("example.com").unwrap().password, "p");
        assert_eq!(again.content["plugins"]["x"]["y"], "z");
        assert!(again.remove_auth("https://example.com/v1/").unwrap());
        assert!(!again.remove_auth("example.com").unwrap());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
