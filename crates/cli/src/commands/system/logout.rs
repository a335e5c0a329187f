//! `logout`.

use super::login::server;
use crate::auth;
use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::NoFlags;
use crate::output;

/// Log out from a registry.
pub(crate) struct Logout;

impl Verb for Logout {
    type Flags = NoFlags;
    const USAGE: &'static str = "[SERVER]";
    const ABOUT: &'static str = "Log out from a registry";
    const ARITY: Arity = Arity::AtMost(1);

    async fn run(cli: &Cli, _flags: NoFlags, args: Vec<String>) -> Result<()> {
        let server = server(args.first().map(String::as_str));
        output::say(&format!("Removing login credentials for {server}"));
        auth::erase(cli, server)?;
        Ok(())
    }
}
