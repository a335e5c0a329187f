//! The driver on the real kernel. Each test's "host" is a network namespace of its own, so the
//! machine's interfaces and tables are never touched and tests run side by side.

mod cleanup;
mod firewall;
mod joins;
mod lab;
mod ports;
mod published;
mod restart;
mod timing;
