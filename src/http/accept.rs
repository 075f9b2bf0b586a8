//! The first bytes of a connection. HTTP's own time-out for a request's head only begins with them, and there is none in HTTP/2,
//! which nothing here needs: a balancer speaks it with browsers, and HTTP/1.1 with the nodes.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// What an HTTP/2 client says first (RFC 9113, section 3.4); no method of HTTP/1.1 begins so.
const HTTP2: [u8; 3] = *b"PRI";
/// Between two looks at a connection that has said less than that.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Lets connections in that begin to speak HTTP/1.1 in time.
#[derive(Clone)]
pub struct FirstBytes {
    /// How long they may take.
    pub within: Duration,
    /// Nobody is waited for any more.
    pub closing: CancellationToken,
}

impl<S: Send + 'static> Accept<TcpStream, S> for FirstBytes {
    type Stream = TcpStream;
    type Service = S;
    type Future = Pin<Box<dyn Future<Output = io::Result<(TcpStream, S)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Self { within, closing } = self.clone();
        Box::pin(async move {
            let speaks = tokio::select! {
                speaks = tokio::time::timeout(within, speaks_http1(&stream)) => matches!(speaks, Ok(Ok(true))),
                () = closing.cancelled() => false,
            };
            if speaks { Ok((stream, service)) } else { Err(io::ErrorKind::ConnectionAborted.into()) }
        })
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
