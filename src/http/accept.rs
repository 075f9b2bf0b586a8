//! A connection before its first request: it is counted, and its first bytes have to come. HTTP's own time-out for a request's head only begins with them, and there is none in HTTP/2,
//! which nothing here needs: a balancer speaks it with browsers, and HTTP/1.1 with the nodes.

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

use crate::connections::{Connection, Connections, Slot};

/// What an HTTP/2 client says first (RFC 9113, section 3.4); no method of HTTP/1.1 begins so.
const HTTP2: [u8; 3] = *b"PRI";
/// Between two looks at a connection that has said less than that.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Lets connections in for which there is room and that begin to speak HTTP/1.1 in time.
#[derive(Clone)]
pub struct FirstBytes {
    /// How long they may take.
    pub within: Duration,
    /// Nobody is waited for any more.
    pub closing: CancellationToken,
    /// Where they are counted.
    pub connections: Arc<Connections>,
}

impl Accept<TcpStream, Router> for FirstBytes {
    type Stream = Connection;
    type Service = Marking;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Connection, Marking)>> + Send>>;

    fn accept(&self, stream: TcpStream, router: Router) -> Self::Future {
        let Self { within, closing, connections } = self.clone();
        Box::pin(async move {
            let address = stream.peer_addr()?;
            let connection = connections.admit(stream)?;
            let slot = connection.slot().cloned();
            let speaks = tokio::select! {
                speaks = tokio::time::timeout(within, speaks_http1(&connection)) => matches!(speaks, Ok(Ok(true))),
                () = ends(slot.as_deref()) => false,
                () = closing.cancelled() => false,
            };
            let marking = Marking { router, peer: Peer { address, slot } };
            if speaks { Ok((connection, marking)) } else { Err(io::ErrorKind::ConnectionAborted.into()) }
        })
    }
}

/// Waits until a new connection needs the place of one that has not said anything.
async fn ends(slot: Option<&Slot>) {
    match slot {
        Some(slot) => poll_fn(|context| slot.poll_ends(context)).await,
        None => pending().await,
    }
}

/// Who is at the other end of a connection.
#[derive(Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The connection's place, to be told when it is between requests.
    pub slot: Option<Arc<Slot>>,
}

/// The routes, with each request marked with its peer.
#[derive(Clone)]
pub struct Marking {
    router: Router,
    peer: Peer,
}

impl Service<Request<Incoming>> for Marking {
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

async fn speaks_http1(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; HTTP2.len()];
    loop {
        let count = stream.peek(&mut first).await?;
        if first[..count] != HTTP2[..count] {
            return Ok(true);
        }
        if count == 0 || count == HTTP2.len() {
            return Ok(false);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
