//! The tree of commands: from words to the one that runs.
//!
//! Every command is a [`Verb`] in a file of its own, `commands/NOUN/VERB.rs`. It stands in the tree under its noun,
//! `container ls`, and the common ones once more at the top, `ps`.

mod container;
mod dispatch;
mod help;
mod image;
mod network;
mod system;
mod volume;

pub(crate) use dispatch::{Arity, Entry, Node, Verb};

use crate::cli::{Cli, GlobalFlags};
use crate::failure::{Failure, Result};
use crate::flags::{self, Order, Parsed};
use crate::output;

/// All commands. The first block are the ones a newcomer needs, then nouns, then the rest.
pub(crate) static TREE: &[Node] = &[
    Node::Verb(Entry::of::<container::run::Run>("run")),
    Node::Verb(Entry::of::<container::exec::Exec>("exec")),
    Node::Verb(Entry::of::<container::ls::Ls>("ps")),
    Node::Verb(Entry::of::<image::pull::Pull>("pull")),
    Node::Verb(Entry::of::<image::push::Push>("push")),
    Node::Verb(Entry::of::<image::ls::Ls>("images")),
    Node::Verb(Entry::of::<system::login::Login>("login")),
    Node::Verb(Entry::of::<system::logout::Logout>("logout")),
    Node::Verb(Entry::of::<system::version::Version>("version")),
    Node::Verb(Entry::of::<system::info::Info>("info")),
    Node::Group("container", "Manage containers", container::NODES),
    Node::Group("image", "Manage images", image::NODES),
    Node::Group("network", "Manage networks", network::NODES),
    Node::Group("system", "Manage the engine", system::NODES),
    Node::Group("volume", "Manage volumes", volume::NODES),
    Node::Verb(Entry::of::<container::attach::Attach>("attach")),
    Node::Verb(Entry::of::<container::create::Create>("create")),
    Node::Verb(Entry::of::<system::events::Events>("events")),
    Node::Verb(Entry::of::<image::history::History>("history")),
    Node::Verb(Entry::of::<image::import::Import>("import")),
    Node::Verb(Entry::of::<system::inspect::Inspect>("inspect")),
    Node::Verb(Entry::of::<container::kill::Kill>("kill")),
    Node::Verb(Entry::of::<image::load::Load>("load")),
    Node::Verb(Entry::of::<container::logs::Logs>("logs")),
    Node::Verb(Entry::of::<container::pause::Pause>("pause")),
    Node::Verb(Entry::of::<container::port::Port>("port")),
    Node::Verb(Entry::of::<container::rename::Rename>("rename")),
    Node::Verb(Entry::of::<container::restart::Restart>("restart")),
    Node::Verb(Entry::of::<container::rm::Rm>("rm")),
    Node::Verb(Entry::of::<image::rm::Rm>("rmi")),
    Node::Verb(Entry::of::<image::save::Save>("save")),
    Node::Verb(Entry::of::<container::start::Start>("start")),
    Node::Verb(Entry::of::<container::stop::Stop>("stop")),
    Node::Verb(Entry::of::<image::tag::Tag>("tag")),
    Node::Verb(Entry::of::<container::top::Top>("top")),
    Node::Verb(Entry::of::<container::unpause::Unpause>("unpause")),
    Node::Verb(Entry::of::<container::update::Update>("update")),
    Node::Verb(Entry::of::<container::wait::Wait>("wait")),
];

/// The commit we were built from, if the build said so.
const BUILD: &str = match option_env!("BARGE_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Reads the global flags, finds the command and runs it.
pub(crate) async fn run(program: &'static str, args: Vec<String>) -> Result<()> {
    let parsed = flags::parse::<GlobalFlags>(args, Order::FlagsFirst).map_err(|error| {
        let usage = format!("Usage:  {program} [OPTIONS] COMMAND [ARG...]");
        Failure::new(format!("{error}\n\n{usage}\n\nRun '{program} --help' for more information"))
            .with_code(125)
    })?;
    let (globals, words) = match parsed {
        Parsed::Help => {
            output::write(&help::tree(program, "", TREE));
            return Ok(());
        }
        Parsed::Flags(globals, words) => (globals, words),
    };
    if globals.version {
        output::say(&format!(
            "{} version {}, build {}",
            help::title(program),
            env!("CARGO_PKG_VERSION"),
            BUILD
        ));
        return Ok(());
    }
    let cli = Cli::new(program, globals);
    dispatch::descend(&cli, program.to_owned(), TREE, words).await
}
