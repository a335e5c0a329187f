//! The end-to-end tests: the real binary as root, with a real registry and real clients.
//! One file a subject; each test has a daemon of its own and leaves the machine clean.

mod attach;
mod bad_input;
mod exec;
mod foreign_clients;
mod images;
mod limits;
mod logs;
mod memory;
mod network;
mod peers;
mod pull;
mod push;
mod remote;
mod restart;
mod run;
mod stop;
mod survival;
mod system;
mod volumes;
