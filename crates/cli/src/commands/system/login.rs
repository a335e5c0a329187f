//! `login`.

use std::io::{self, Read, Write};

use barge_api::system::AuthConfig;

use crate::auth::{self, DOCKER_HUB};
use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Result};
use crate::flags::flags;
use crate::output;
use crate::stream::terminal::{self, Silence};

/// Authenticate to a registry.
pub(crate) struct Login;

flags! {
    /// Flags of `login`.
    pub(crate) struct LoginFlags {
        password: Option<String> = "password" / 'p', "Password or Personal Access Token (PAT)";
        password_stdin: bool = "password-stdin", "Take the Password or Personal Access Token (PAT) from stdin";
        username: Option<String> = "username" / 'u', "Username";
    }
}

impl Verb for Login {
    type Flags = LoginFlags;
    const USAGE: &'static str = "[OPTIONS] [SERVER]";
    const ABOUT: &'static str = "Authenticate to a registry";
    const ARITY: Arity = Arity::AtMost(1);

    async fn run(cli: &Cli, flags: LoginFlags, args: Vec<String>) -> Result<()> {
        let server = server(args.first().map(String::as_str));
        let client = cli.client().await?;
        let mut auth = credentials(cli, flags, server)?;
        let response = client.system().login(&auth).await?;
        if !response.identity_token.is_empty() {
            auth.password = String::new();
            auth.identity_token = response.identity_token;
        }
        if auth::store(cli, server, &auth)? {
            output::warn(&format!(
                "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n",
                cli.config().path().display()
            ));
        }
        output::say(if response.status.is_empty() { "Login Succeeded" } else { &response.status });
        Ok(())
    }
}

/// The name a registry's credentials go by.
pub(super) fn server(given: Option<&str>) -> &str {
    match given {
        None | Some("" | "docker.io" | "index.docker.io") => DOCKER_HUB,
        Some(DOCKER_HUB) => DOCKER_HUB,
        Some(server) => {
            let bare =
                server.strip_prefix("https://").or_else(|| server.strip_prefix("http://")).unwrap_or(server);
            bare.split('/').next().unwrap_or(bare)
        }
    }
}

fn credentials(cli: &Cli, flags: LoginFlags, server: &str) -> Result<AuthConfig> {
    let refuse = |text: &str| Err(Failure::new(text));
    if flags.password_stdin && flags.password.is_some() {
        return refuse("conflicting options: cannot specify both --password and --password-stdin");
    }
    if flags.password_stdin && flags.username.is_none() {
        return refuse("the --password-stdin option requires --username to be set");
    }
    if flags.username.as_deref() == Some("") {
        return refuse("username is empty");
    }
    if flags.password.as_deref() == Some("") {
        return refuse("password is empty");
    }
    if flags.password.is_some() {
        output::warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    }
    let password = if flags.password_stdin { Some(read_all()?) } else { flags.password };
    let stored = auth::lookup(cli, server);
    let complete =
        stored.as_ref().filter(|stored| !stored.username.is_empty() && !stored.password.is_empty());
    if let (None, None, Some(stored)) = (&flags.username, &password, complete) {
        output::warn(&format!(
            "Authenticating with existing credentials... [Username: {}]\n",
            stored.username
        ));
        return Ok(stored.clone());
    }
    if (flags.username.is_none() || password.is_none()) && !terminal::stdin_is_terminal() {
        return refuse("Error: Cannot perform an interactive login from a non TTY device");
    }
    let username = match flags.username {
        Some(username) => username,
        None => ask_name(stored.map(|stored| stored.username).unwrap_or_default())?,
    };
    let password = match password {
        Some(password) => password,
        None => ask_password()?,
    };
    Ok(AuthConfig { username, password, server_address: server.to_owned(), ..AuthConfig::default() })
}

fn read_all() -> Result<String> {
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::new(format!("cannot read the password: {error}")))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn ask_name(default: String) -> Result<String> {
    let question =
        if default.is_empty() { "Username: ".to_owned() } else { format!("Username ({default}): ") };
    let answer = ask(&question)?;
    match (answer.is_empty(), default.is_empty()) {
        (false, _) => Ok(answer),
        (true, false) => Ok(default),
        (true, true) => Err(Failure::new("Error: Non-null Username Required")),
    }
}

fn ask_password() -> Result<String> {
    let silence = Silence::begin();
    let answer = ask("Password: ");
    drop(silence);
    // The key that ended the password made no new line.
    output::write("\n");
    match answer? {
        answer if answer.is_empty() => Err(Failure::new("Error: Password Required")),
        answer => Ok(answer),
    }
}

fn ask(question: &str) -> Result<String> {
    let failed = |error: io::Error| Failure::new(format!("cannot read from the terminal: {error}"));
    let mut stdout = io::stdout().lock();
    stdout.write_all(question.as_bytes()).and_then(|()| stdout.flush()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(answer.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_go_by_their_host() {
        let cases = [
            (None, DOCKER_HUB),
            (Some("docker.io"), DOCKER_HUB),
            (Some("https://example.com:5000/v2/"), "example.com:5000"),
            (Some("ghcr.io"), "ghcr.io"),
        ];
        for (given, expected) in cases {
            assert_eq!(server(given), expected);
        }
    }
}
