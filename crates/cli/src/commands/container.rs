//! `container …`, and the same at the top.

pub(crate) mod attach;
mod config;
pub(crate) mod create;
mod each;
mod ending;
pub(crate) mod exec;
mod flags;
mod inspect;
pub(crate) mod kill;
pub(crate) mod logs;
pub(crate) mod ls;
mod network;
pub(crate) mod pause;
pub(crate) mod port;
mod prune;
pub(crate) mod rename;
pub(crate) mod restart;
pub(crate) mod rm;
pub(crate) mod run;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod top;
pub(crate) mod unpause;
pub(crate) mod update;
pub(crate) mod wait;

use super::{Entry, Node};

pub(crate) static NODES: &[Node] = &[
    Node::Verb(Entry::of::<attach::Attach>("attach")),
    Node::Verb(Entry::of::<create::Create>("create")),
    Node::Verb(Entry::of::<exec::Exec>("exec")),
    Node::Verb(Entry::of::<inspect::Inspect>("inspect")),
    Node::Verb(Entry::of::<kill::Kill>("kill")),
    Node::Verb(Entry::of::<logs::Logs>("logs")),
    Node::Verb(Entry::of::<ls::Ls>("ls")),
    Node::Alias(Entry::of::<ls::Ls>("list")),
    Node::Alias(Entry::of::<ls::Ls>("ps")),
    Node::Verb(Entry::of::<pause::Pause>("pause")),
    Node::Verb(Entry::of::<port::Port>("port")),
    Node::Verb(Entry::of::<prune::Prune>("prune")),
    Node::Verb(Entry::of::<rename::Rename>("rename")),
    Node::Verb(Entry::of::<restart::Restart>("restart")),
    Node::Verb(Entry::of::<rm::Rm>("rm")),
    Node::Alias(Entry::of::<rm::Rm>("remove")),
    Node::Verb(Entry::of::<run::Run>("run")),
    Node::Verb(Entry::of::<start::Start>("start")),
    Node::Verb(Entry::of::<stop::Stop>("stop")),
    Node::Verb(Entry::of::<top::Top>("top")),
    Node::Verb(Entry::of::<unpause::Unpause>("unpause")),
    Node::Verb(Entry::of::<update::Update>("update")),
    Node::Verb(Entry::of::<wait::Wait>("wait")),
];
