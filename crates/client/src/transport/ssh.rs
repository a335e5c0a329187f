//! An engine on another machine: its socket's bytes through the standard input and output of `ssh`.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A running `ssh … docker system dial-stdio`; it ends with this value.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(super) output: ChildStdout,
    /// `None` once shut down, which is the far side's end of file.
    input: Option<ChildStdin>,
    _child: Child,
}

impl Tunnel {
    pub(super) fn open(host: &str, port: Option<u16>, socket: Option<&str>) -> io::Result<Self> {
        let mut command = Command::new("ssh");
        command.args(["-o", "ConnectTimeout=30", "-T"]);
        if let Some(port) = port {
            command.args(["-p", &port.to_string()]);
        }
        command.args(["--", host, "docker"]);
        if let Some(socket) = socket {
            command.args(["--host", &quote(&format!("unix://{socket}"))]);
        }
        command
            .args(["system", "dial-stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Self { output, input: Some(input), _child: child })
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(input) = &mut self.input {
            std::task::ready!(Pin::new(input).poll_shutdown(cx))?;
            // Only closing the pipe tells ssh that no more will come.
            self.input = None;
        }
        Poll::Ready(Ok(()))
    }
}

/// Quotes for the shell that ssh runs on the far side.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
