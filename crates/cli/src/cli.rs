//! What every command has at hand: the global flags, the configuration file and the client.

use std::cell::OnceCell;

use barge_client::Client;
use tokio::sync::OnceCell as AsyncOnceCell;

use crate::config_file::ConfigFile;
use crate::failure::Result;
use crate::flags::flags;
use crate::host;

flags! {
    /// Flags before the command.
    pub(crate) struct GlobalFlags {
        config: String = "config", "Location of client config files";
        context: String = "context" / 'c', "Name of the context to use to connect to the daemon";
        debug: bool = "debug" / 'D', "Enable debug mode";
        hosts: Vec<String> = "host" / 'H', "Daemon socket to connect to";
        log_level: String = "log-level" / 'l' or "info", "Set the logging level (debug, info, warn, error, fatal)";
        tls: bool = "tls", "Use TLS; implied by --tlsverify";
        tlscacert: String = "tlscacert", "Trust certs signed only by this CA";
        tlscert: String = "tlscert", "Path to TLS certificate file";
        tlskey: String = "tlskey", "Path to TLS key file";
        tlsverify: Option<bool> = "tlsverify", "Use TLS and verify the remote";
        version: bool = "version" / 'v', "Print version information and quit";
    }
}

/// One run of the command line.
#[derive(Debug)]
pub(crate) struct Cli {
    /// `barge`, or `docker` if we were called so.
    pub(crate) program: &'static str,
    pub(crate) globals: GlobalFlags,
    config: OnceCell<ConfigFile>,
    client: AsyncOnceCell<Client>,
}

impl Cli {
    pub(crate) fn new(program: &'static str, globals: GlobalFlags) -> Self {
        Self { program, globals, config: OnceCell::new(), client: AsyncOnceCell::new() }
    }

    /// The user's configuration file, read when it is first asked for.
    pub(crate) fn config(&self) -> &ConfigFile {
        self.config.get_or_init(|| ConfigFile::load(&self.globals.config))
    }

    /// The client; starts a daemon first if the default one is to be used and does not run.
    pub(crate) async fn client(&self) -> Result<&Client> {
        self.client.get_or_try_init(|| host::client(self)).await
    }

    /// The keys that detach: the command's flag, else the configuration's, else Docker's.
    pub(crate) fn detach_keys(&self, flag: &str) -> String {
        if flag.is_empty() {
            self.config().text("detachKeys").unwrap_or_default().to_owned()
        } else {
            flag.to_owned()
        }
    }
}
