//! `version`.

use std::fmt::Write;

use barge_api::system::Version as ServerVersion;
use barge_api::versions;
use serde_json::{Value, json};

use crate::cli::Cli;
use crate::commands::{Arity, Verb, help};
use crate::failure::Result;
use crate::flags::{INSPECT_FORMAT, flags};
use crate::output;
use crate::output::inspect;
use crate::output::table::align_to;
use crate::output::template::{Place, Template};

/// Show the version information.
pub(crate) struct Version;

flags! {
    /// Flags of `version`.
    pub(crate) struct VersionFlags {
        format: String = "format" / 'f', INSPECT_FORMAT;
    }
}

impl Verb for Version {
    type Flags = VersionFlags;
    const USAGE: &'static str = "[OPTIONS]";
    const ABOUT: &'static str = "Show the version information";
    const ARITY: Arity = Arity::Exactly(0);

    async fn run(cli: &Cli, flags: VersionFlags, _args: Vec<String>) -> Result<()> {
        // What we are can be told also when nobody answers.
        let (server, spoken, failure) = match server(cli).await {
            Ok((server, spoken)) => (Some(server), spoken, None),
            Err(failure) => (None, versions::MAX, Some(failure)),
        };
        let client = client_json(&spoken.to_string());
        match flags.format.as_str() {
            "" => output::write(&plain(cli, &spoken.to_string(), server.as_ref())),
            format => {
                let both = json!({ "Client": client, "Server": server });
                if format == "json" {
                    output::say(&both.to_string());
                } else {
                    let template = Template::compile(format, Place::Row)?;
                    output::say(&inspect::render(&template, &both.to_string())?);
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

async fn server(cli: &Cli) -> Result<(ServerVersion, barge_api::ApiVersion)> {
    let client = cli.client().await?;
    let server = client.system().version().await?;
    Ok((server, client.version().await?))
}

fn client_json(spoken: &str) -> Value {
    json!({
        "Platform": { "Name": "Barge" },
        "Version": env!("CARGO_PKG_VERSION"),
        "ApiVersion": spoken,
        "DefaultAPIVersion": versions::MAX.to_string(),
        "Os": std::env::consts::OS,
        "Arch": arch(),
        "Context": "default",
    })
}

/// The architecture in Go's words.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A build time in the form `Thu May  7 21:09:36 2026`; other texts stay as they are.
fn go_date(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(moment) => moment.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a %b %e %H:%M:%S %Y").to_string(),
        Err(_) => text.to_owned(),
    }
}

fn plain(cli: &Cli, spoken: &str, server: Option<&ServerVersion>) -> String {
    let newest = versions::MAX.to_string();
    let downgraded = if spoken == newest { String::new() } else { format!(" (downgraded from {newest})") };
    let mut text = format!("Client: {}\n", help::title(cli.program));
    let lines = [
        format!(" Version:\t{}", env!("CARGO_PKG_VERSION")),
        format!(" API version:\t{spoken}{downgraded}"),
        format!(" OS/Arch:\t{}/{}", std::env::consts::OS, arch()),
        " Context:\tdefault".to_owned(),
    ];
    text.push_str(&align_to(&lines, 20));
    let Some(server) = server else { return text };
    let name =
        if server.platform.name.is_empty() { String::new() } else { format!(" {}", server.platform.name) };
    let _ = write!(text, "\nServer:{name}\n");
    let mut lines = Vec::new();
    for component in &server.components {
        lines.push(format!(" {}:", component.name));
        lines.push(format!("  Version:\t{}", component.version));
        let detail = |key: &str| component.details.get(key).cloned().unwrap_or_default();
        if component.name == "Engine" {
            lines.push(format!(
                "  API version:\t{} (minimum version {})",
                detail("ApiVersion"),
                detail("MinAPIVersion")
            ));
            lines.extend(
                [("Go version", "GoVersion"), ("Git commit", "GitCommit"), ("Built", "BuildTime")]
                    .iter()
                    .filter(|(_, key)| !detail(key).is_empty())
                    .map(|(label, key)| format!("  {label}:\t{}", go_date(&detail(key)))),
            );
            lines.push(format!("  OS/Arch:\t{}/{}", detail("Os"), detail("Arch")));
            lines.push(format!("  Experimental:\t{}", detail("Experimental")));
        } else {
            lines.extend(component.details.iter().map(|(key, value)| format!("  {key}:\t{value}")));
        }
    }
    if lines.is_empty() {
        lines = vec![
            " Engine:".to_owned(),
            format!("  Version:\t{}", server.version),
            format!("  API version:\t{} (minimum version {})", server.api_version, server.min_api_version),
            format!("  OS/Arch:\t{}/{}", server.os, server.arch),
        ];
    }
    text.push_str(&align_to(&lines, 20));
    text
}
