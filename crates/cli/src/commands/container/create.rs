//! `container create`, and the creation that `run` shares with it: pull what is missing, create, note the ID.

use std::fs::File;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;

use barge_api::containers::CreateRequest;

use super::config;
use super::flags::CreateFlags;
use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, REFUSED, Result};
use crate::flags::Order;
use crate::stream::terminal;
use crate::{auth, image_name, output, progress};

/// Create a new container.
pub(crate) struct Create;

impl Verb for Create {
    type Flags = CreateFlags;
    const USAGE: &'static str = "[OPTIONS] IMAGE [COMMAND] [ARG...]";
    const ABOUT: &'static str = "Create a new container";
    const ARITY: Arity = Arity::AtLeast(1);
    const ORDER: Order = Order::FlagsFirst;

    async fn run(cli: &Cli, flags: CreateFlags, args: Vec<String>) -> Result<()> {
        let plan = Plan::new(cli, flags, args).map_err(|text| with_help(cli, "create", &text))?;
        let id = create(cli, &plan).await?;
        output::say(&id);
        Ok(())
    }
}

/// What is to be created, and how.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) request: CreateRequest,
    name: String,
    platform: String,
    pull: Pull,
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pull {
    Always,
    Missing,
    Never,
}

impl Plan {
    /// Reads the flags and the words behind them, the first of which is the image.
    pub(super) fn new(cli: &Cli, flags: CreateFlags, mut args: Vec<String>) -> Result<Self, String> {
        let pull = match flags.pull.as_str() {
            "always" => Pull::Always,
            "missing" | "" => Pull::Missing,
            "never" => Pull::Never,
            other => {
                let words = r#"must be one of "always", "missing" or "never""#;
                return Err(format!("invalid pull option: '{other}': {words}"));
            }
        };
        let image = args.remove(0);
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        let request = config::request(flags.container, image, args, cli.config().proxies(&host))?;
        let default_platform = || std::env::var("DOCKER_DEFAULT_PLATFORM").unwrap_or_default();
        let platform = if flags.platform.is_empty() { default_platform() } else { flags.platform };
        Ok(Self { request, name: flags.name, platform, pull, quiet: flags.quiet })
    }
}

/// A refusal with the pointer to the help that Docker adds.
pub(super) fn with_help(cli: &Cli, verb: &str, text: &str) -> Failure {
    let program = cli.program;
    Failure::new(format!("{program}: {text}\n\nRun '{program} {verb} --help' for more information"))
        .with_code(REFUSED)
}

/// Creates the container; returns its ID.
pub(super) async fn create(cli: &Cli, plan: &Plan) -> Result<String> {
    let host = plan.request.host_config.clone().unwrap_or_default();
    let id_file = IdFile::create(&host.container_id_file)?;
    let client = cli.client().await?;
    let mut request = plan.request.clone();
    if let (Some(host), Some((rows, columns))) =
        (&mut request.host_config, terminal::size(&std::io::stdout()))
    {
        host.console_size = [rows.into(), columns.into()];
    }
    let image = &plan.request.config.image;
    if plan.pull == Pull::Always {
        pull(cli, plan).await?;
    }
    let created = match client.containers().create(&plan.name, &plan.platform, &request).await {
        Err(error) if error.is_not_found() && plan.pull == Pull::Missing && !image_name::is_id(image) => {
            if !plan.quiet {
                output::warn(&format!("Unable to find image '{}' locally", image_name::familiar(image)));
            }
            pull(cli, plan).await?;
            client.containers().create(&plan.name, &plan.platform, &request).await?
        }
        created => created?,
    };
    for warning in created.warnings.iter().chain(&dns_warning(&host.dns)) {
        output::warn(&format!("WARNING: {warning}"));
    }
    id_file.keep(&created.id)?;
    Ok(created.id)
}

async fn pull(cli: &Cli, plan: &Plan) -> Result<()> {
    let (repository, tag) = image_name::split(&plan.request.config.image);
    let tag = if tag.is_empty() { "latest" } else { tag };
    let auth = auth::for_image(cli, repository);
    let lines = cli
        .client()
        .await?
        .images()
        .pull(&image_name::canonical(repository), tag, &plan.platform, &auth)
        .await?;
    progress::show_on_stderr(lines, plan.quiet).await
}

/// A server at our own address is somebody else inside the container.
fn dns_warning(servers: &[String]) -> Option<String> {
    let local =
        servers.iter().find(|server| server.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))?;
    Some(format!("Localhost DNS ({local}) may fail in containers."))
}

/// The file of `--cidfile`: made before the container, removed again if none came about.
#[derive(Debug)]
struct IdFile<'a> {
    file: Option<(&'a Path, File)>,
}

impl<'a> IdFile<'a> {
    fn create(path: &'a str) -> Result<Self> {
        if path.is_empty() {
            return Ok(Self { file: None });
        }
        match File::create_new(path) {
            Ok(file) => Ok(Self { file: Some((Path::new(path), file)) }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(Failure::new(format!(
                "container ID file found, make sure the other container isn't running or delete {path}"
            ))),
            Err(error) => Err(Failure::new(format!("failed to create the container ID file: {error}"))),
        }
    }

    fn keep(mut self, id: &str) -> Result<()> {
        let Some((_, mut file)) = self.file.take() else { return Ok(()) };
        let failed = |error| Failure::new(format!("failed to write the container ID to the file: {error}"));
        file.write_all(id.as_bytes()).map_err(failed)
    }
}

impl Drop for IdFile<'_> {
    fn drop(&mut self) {
        if let Some((path, _)) = &self.file {
            let _ = std::fs::remove_file(path);
        }
    }
}
