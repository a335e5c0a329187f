//! The client against a scripted server on a Unix socket: what it sends, what it makes of odd answers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod connection;
mod hijack;
mod lines;
mod script;
mod version;
