//! Accepting clients and speaking HTTP/1 with them, one task a connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::Api;
use crate::connection::{Busy, Connection, Socket};
use crate::listen::Listener;

/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long requests may go on once the daemon stops. Streams without an end are cut off then: the containers whose
/// output they carry live on in their shims.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves one listener until `stop` turns true, then lets its requests end.
pub(crate) async fn serve(listener: Listener, api: Arc<Api>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = told(&mut stop) => break,
        };
        match accepted {
            Ok(accepted) => {
                connections.spawn(converse(accepted, Arc::clone(&api), stop.clone()));
            }
            Err(error) => {
                // Out of descriptors, most likely: the client stays in the queue until there are some again.
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, drained).await;
}

/// Returns when the daemon stops.
async fn told(stop: &mut watch::Receiver<bool>) {
    // An error means that whoever would tell us is gone, which is the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A connection before its TLS handshake, which must not hold up the next accept.
enum Accepted {
    Ready(Socket),
    Tls(tokio::net::TcpStream, tokio_rustls::TlsAcceptor),
}

async fn accept(listener: &Listener) -> std::io::Result<Accepted> {
    Ok(match listener {
        Listener::Unix(listener, _) => Accepted::Ready(Socket::Unix(listener.accept().await?.0)),
        Listener::Tcp(listener) => {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            Accepted::Ready(Socket::Tcp(socket))
        }
        Listener::Tls(listener, acceptor) => {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            Accepted::Tls(socket, acceptor.clone())
        }
    })
}

async fn converse(accepted: Accepted, api: Arc<Api>, mut stop: watch::Receiver<bool>) {
    let socket = match accepted {
        Accepted::Ready(socket) => socket,
        Accepted::Tls(socket, acceptor) => {
            match tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(socket)).await {
                Ok(Ok(stream)) => Socket::Tls(Box::new(stream)),
                Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => return tracing::debug!("TLS handshake timed out"),
            }
        }
    };
    let busy = Busy::default();
    let io = TokioIo::new(Connection::new(socket, Arc::clone(&busy)));
    let service = service_fn(move |request: Request<Incoming>| {
        // Counted before the future's first poll: the next thing HTTP does is to look for the end of the input.
        let under_way = api.activity.begin(&busy);
        let api = Arc::clone(&api);
        async move { Ok::<Response, Infallible>(api.answer(request.map(Body::new), under_way).await) }
    });
    // Half-closed clients are Connection's business. No timeout between requests: clients keep connections open.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .title_case_headers(true)
        .header_read_timeout(None)
        .serve_connection(io, service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
