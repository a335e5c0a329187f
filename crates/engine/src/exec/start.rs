//! Starting an exec: its process and the client's connection go to the shim together.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use barge_api::events::action;
use barge_api::exec::ExecStartRequest;
use barge_api::framing::{self, StreamKind};
use barge_shim::{Attach, Framing, Kind, Stdin};
use tokio::io::AsyncWriteExt;

use super::{Exec, Execs, State, process};
use crate::containers::{ClientStream, exec_target, shim_of};
use crate::engine::Engine;
use crate::error::{Error, Result};

impl Execs {
    /// Starts it; `stream` is the hijacked connection, `None` for a detached exec. A failure is told on the stream, if
    /// there is one, because a status cannot be sent any more.
    pub async fn start(
        &self,
        engine: &Arc<Engine>,
        id: &str,
        request: ExecStartRequest,
        stream: Option<ClientStream>,
    ) -> Result<()> {
        let exec = self.find(id)?;
        let begun = exec.state.send_if_modified(|state| {
            let first = *state == State::Created;
            if first {
                *state = State::Starting;
            }
            first
        });
        if !begun {
            return Err(Error::conflict(format!("exec command {id} is already running")));
        }
        let client = stream.map(ClientStream::into_socket).transpose()?;
        let spare = client.as_ref().and_then(|socket| socket.try_clone().ok());
        match (launch(engine, &exec, &request, client).await, spare) {
            (Ok(()), _) => Ok(()),
            (Err((error, code)), spare) => {
                exec.end(code);
                match spare {
                    Some(client) => tell(client, exec.config.tty, &error).await,
                    None => Err(error),
                }
            }
        }
    }
}

async fn launch(
    engine: &Arc<Engine>,
    exec: &Exec,
    request: &ExecStartRequest,
    client: Option<OwnedFd>,
) -> Result<(), (Error, i32)> {
    const CANNOT: i32 = 126;
    let cannot = |error| (error, CANNOT);
    let document = exec_target(engine, &exec.container).map_err(cannot)?;
    let mut config = exec.config.clone();
    config.console_size = request.console_size.or(config.console_size);
    let process = process::oci(&document, &config, engine.config.no_new_privileges).map_err(cannot)?;
    let shim = shim_of(engine, &exec.container).await.map_err(cannot)?;
    let user = if config.user.is_empty() { document.config.user.clone() } else { config.user.clone() };
    let attach = client.iter().map(|_| attach(exec)).collect::<Result<Vec<_>>>().map_err(cannot)?;
    let stdin = if config.attach_stdin && client.is_some() { Stdin::Once } else { Stdin::Closed };
    let message = barge_shim::Exec { id: exec.id.clone(), process, user: Some(user), stdin, attach };
    exec.announce(engine, &format!("{}: {}", action::EXEC_START, exec.words().join(" ")), &[]);
    let started = shim.exec(message, client.into_iter().collect()).await.map_err(|error| refused(&error))?;
    exec.state.send_if_modified(|state| {
        // A short process may have ended before this answer came.
        let starting = *state == State::Starting;
        if starting {
            *state = State::Running { pid: started.pid };
        }
        starting
    });
    Ok(())
}

fn attach(exec: &Exec) -> Result<Attach> {
    let config = &exec.config;
    let keys = (config.tty && config.attach_stdin)
        .then(|| crate::containers::detach_keys(Some(config.detach_keys.as_str())))
        .transpose()?;
    Ok(Attach {
        id: crate::containers::next_attach(),
        exec: Some(exec.id.clone()),
        stdin: config.attach_stdin,
        stdout: config.attach_stdout,
        stderr: config.attach_stderr,
        detach_keys: keys,
        framing: if config.tty { Framing::Raw } else { Framing::Multiplexed },
    })
}

/// The shim's reason in the words of dockerd over containerd over runc.
fn refused(error: &barge_shim::Error) -> (Error, i32) {
    const LAYERS: &str = "OCI runtime exec failed: exec failed: unable to start container process";
    let barge_shim::Error::Refused(failure) = error else {
        return (Error::system(format!("{LAYERS}: {error}")), 126);
    };
    let text = format!("{LAYERS}: {}: unknown", failure.message);
    match failure.kind {
        Kind::ExecutableNotFound => (Error::invalid(text), 127),
        Kind::ExecutableNotRunnable => (Error::invalid(text), 126),
        Kind::User => (Error::system(failure.message.clone()), 126),
        Kind::NotFound | Kind::Conflict => (Error::conflict(failure.message.clone()), 126),
        _ => (Error::system(text), 126),
    }
}

/// Writes a failure to the client as if the process had printed it, as dockerd does.
async fn tell(client: OwnedFd, tty: bool, error: &Error) -> Result<()> {
    let failed =
        |cause: std::io::Error| Error::system(format!("{error} (and the client could not be told: {cause})"));
    let text = format!("{}\r\n", error.message());
    let mut bytes = Vec::new();
    if tty {
        bytes.extend_from_slice(text.as_bytes());
    } else {
        framing::encode(StreamKind::Stdout, text.as_bytes(), &mut bytes);
    }
    let mut client = crate::containers::stream_of(client).map_err(failed)?;
    client.write_all(&bytes).await.map_err(failed)?;
    client.shutdown().await.map_err(failed)
}
