//! Connections with daemons: the first one, and those that come back through `shim.sock`.
//!
//! A daemon that does not read what it is sent loses its connection; it can always come back and ask.

use std::io;
use std::os::fd::OwnedFd;

use barge_sys::socket::{Packet, accept, recv_with_fds, send_with_fds};

use super::{Phase, Supervisor};
use crate::poller::{Interest, Ready, Token};
use crate::protocol::{Call, Event, Message};
use crate::record::report;

/// One daemon's connection.
pub(super) struct Control {
    number: u32,
    socket: OwnedFd,
}

impl Supervisor {
    pub(super) fn add_control(&mut self, socket: OwnedFd) -> io::Result<()> {
        let number = self.next_control;
        self.next_control += 1;
        self.poller.add(&socket, Token::Control(number), Interest::READ)?;
        self.controls.push(Control { number, socket });
        Ok(())
    }

    pub(super) fn on_listener(&mut self) {
        match accept(&self.listener) {
            Ok(None) => {}
            Ok(Some(socket)) => {
                if let Err(error) = self.add_control(socket) {
                    report(&format!("watch a daemon's connection: {error}"));
                }
            }
            Err(error) => report(&format!("accept a daemon's connection: {error}")),
        }
    }

    /// Reads and answers what one daemon has sent.
    pub(super) fn on_control(&mut self, number: u32) {
        loop {
            let Some(control) = self.controls.iter().find(|control| control.number == number) else { return };
            match recv_with_fds(&control.socket) {
                Ok(None) => return,
                Ok(Some(packet)) if !packet.bytes.is_empty() => self.answer(number, packet),
                Ok(Some(_)) | Err(_) => return self.drop_control(number),
            }
        }
    }

    fn answer(&mut self, number: u32, packet: Packet) {
        match Call::decode(&packet.bytes) {
            Ok(Call { seq, request }) => {
                let result = self.serve(request, packet.fds);
                self.send(number, &Message::Reply { seq, result });
            }
            Err(error) => {
                report(&error.to_string());
                self.drop_control(number);
            }
        }
    }

    /// Tells every connected daemon.
    pub(super) fn publish(&mut self, event: Event) {
        let message = Message::Event(event);
        for number in self.controls.iter().map(|control| control.number).collect::<Vec<_>>() {
            self.send(number, &message);
        }
    }

    fn send(&mut self, number: u32, message: &Message) {
        let Some(control) = self.controls.iter().find(|control| control.number == number) else { return };
        let sent = message.encode().map(|packet| send_with_fds(&control.socket, &packet, &[]));
        if !matches!(sent, Ok(Ok(()))) {
            self.drop_control(number);
        }
    }

    fn drop_control(&mut self, number: u32) {
        let Some(index) = self.controls.iter().position(|control| control.number == number) else { return };
        let control = self.controls.swap_remove(index);
        self.poller.delete(&control.socket);
        // Nobody is left who could say Start: the daemon died while it made the container.
        if self.controls.is_empty() && matches!(self.phase, Phase::Prepared(_)) {
            self.give_up();
        }
    }

    pub(super) fn on_client(&mut self, process: u32, client: u32, ready: Ready) {
        let Some((streams, poller, buffer)) = self.streams_of(process) else { return };
        let detached = streams.on_client(poller, client, ready, buffer);
        if let Some(detached) = detached {
            let exec = self.execs.iter().find(|exec| exec.number == process).map(|exec| exec.id.clone());
            self.publish(Event::Detached { attach: detached.attach, exec });
        }
    }
}
