//! Accepts TCP connections: counts them and requires the first bytes of HTTP/1.1 within a time-out. hyper's own time-out for a request
//! head starts with the first byte. HTTP/2 is refused: it has no such time-out, and balancers speak HTTP/1.1 to the nodes.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use axum::response::Response;
use axum_server::accept::Accept;
use hyper::body::Incoming;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::connections::{Connection, ConnectionPool, Slot};

/// First bytes of an HTTP/2 client (RFC 9113, section 3.4). No HTTP/1.1 method starts with them.
const HTTP2: [u8; 3] = *b"PRI";
/// Interval between two peeks at a connection that has sent fewer bytes than `HTTP2`.
const PEEK_INTERVAL: Duration = Duration::from_millis(10);

/// Accepts a connection if there is room for it and it starts to speak HTTP/1.1 in time.
#[derive(Clone)]
pub struct Http1Acceptor {
    /// How long the first bytes may take.
    pub within: Duration,
    /// Canceled when the listener closes: pending connections are dropped.
    pub closing: CancellationToken,
    /// Counts the open connections and enforces their limits.
    pub connections: Arc<ConnectionPool>,
}

impl Accept<TcpStream, Router> for Http1Acceptor {
    type Stream = Connection;
    type Service = PeerService;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Connection, PeerService)>> + Send>>;

    fn accept(&self, stream: TcpStream, router: Router) -> Self::Future {
        let Self { within, closing, connections } = self.clone();
        Box::pin(async move {
            let address = stream.peer_addr()?;
            let connection = connections.admit(stream)?;
            let slot = connection.slot().cloned();
            let is_http1 = tokio::select! {
                is_http1 = tokio::time::timeout(within, starts_http1(&connection)) => matches!(is_http1, Ok(Ok(true))),
                () = evicted(slot.as_deref()) => false,
                () = closing.cancelled() => false,
            };
            let service = PeerService { router, peer: Peer { address, slot } };
            if is_http1 { Ok((connection, service)) } else { Err(io::ErrorKind::ConnectionAborted.into()) }
        })
    }
}

/// Waits until a new connection needs the slot of this idle one.
async fn evicted(slot: Option<&Slot>) {
    match slot {
        Some(slot) => poll_fn(|context| slot.poll_must_end(context)).await,
        None => pending().await,
    }
}

/// The other end of a connection.
#[derive(Clone)]
pub struct Peer {
    /// The TCP peer: a client or a proxy.
    pub address: SocketAddr,
    /// The connection's slot. It records whether the connection is idle between requests.
    pub slot: Option<Arc<Slot>>,
}

/// Router that adds the `Peer` to each request's extensions.
#[derive(Clone)]
pub struct PeerService {
    router: Router,
    peer: Peer,
}

impl Service<Request<Incoming>> for PeerService {
    type Response = Response;
    type Error = Infallible;
    type Future = <Router as Service<Request<Incoming>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Incoming>>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer.clone());
        self.router.call(request)
    }
}

async fn starts_http1(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; HTTP2.len()];
    loop {
        let count = stream.peek(&mut first).await?;
        if first[..count] != HTTP2[..count] {
            return Ok(true);
        }
        if count == 0 || count == HTTP2.len() {
            return Ok(false);
        }
        tokio::time::sleep(PEEK_INTERVAL).await;
    }
}
