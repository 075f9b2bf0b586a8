//! The handshake (RFC 6455, section 4.2), and the TCP connection that is left when HTTP is over.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::OptionalFromRequestParts;
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Limits, Socket, packed};
use crate::connections::Connection;

/// What a client makes up for each handshake.
const KEY_BYTES: usize = 16;

/// A request that may become a WebSocket. As an extractor it is there if the request asks for one as the RFC wants it.
pub struct Upgrade {
    accept: HeaderValue,
    /// The client offered a sub-protocol, and this one is spoken.
    protocol: Option<HeaderValue>,
    /// The client offered to take packed messages.
    offers_packing: bool,
    upgrade: OnUpgrade,
}

impl<S: Sync> OptionalFromRequestParts<S> for Upgrade {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(read(parts))
    }
}

fn read(parts: &mut Parts) -> Option<Upgrade> {
    let names = |header| names(&parts.headers, header);
    let asks = parts.method == Method::GET
        && names(&CONNECTION).any(|it| it.eq_ignore_ascii_case("upgrade"))
        && names(&UPGRADE).any(|it| it.eq_ignore_ascii_case("websocket"))
        && names(&SEC_WEBSOCKET_VERSION).eq(["13"]);
    if !asks {
        return None;
    }
    let offers_packing = names(&SEC_WEBSOCKET_EXTENSIONS).any(packed::accepts);
    let key = parts.headers.get(SEC_WEBSOCKET_KEY)?.as_bytes();
    BASE64_STANDARD.decode(key).ok().filter(|it| it.len() == KEY_BYTES)?;
    let accept = derive_accept_key(key);
    let upgrade = parts.extensions.remove::<OnUpgrade>()?;
    Some(Upgrade { accept: accept.try_into().ok()?, protocol: None, offers_packing, upgrade })
}

/// The names in a header that lists some.
fn names<'a>(headers: &'a HeaderMap, header: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(header).iter().filter_map(|it| it.to_str().ok());
    values.flat_map(|it| it.split(',')).map(str::trim)
}

impl Upgrade {
    /// Speaks a sub-protocol, if the client offered it.
    pub fn protocol(mut self, name: &'static str, headers: &HeaderMap) -> Self {
        let offered = names(headers, &SEC_WEBSOCKET_PROTOCOL).any(|it| it == name);
        self.protocol = offered.then_some(HeaderValue::from_static(name));
        self
    }

    /// Answers the handshake; messages are packed if both sides want it. `serve` gets the socket as soon as the answer is out.
    pub fn accept<F>(self, mut limits: Limits, serve: impl FnOnce(Socket) -> F + Send + 'static) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        limits.packed &= self.offers_packing;
        tokio::spawn(async move {
            let Ok(upgraded) = self.upgrade.await else { return };
            // There is no TLS at this port, and HTTP/2 is not spoken, so below is always a TCP connection: one that counts, or in the
            // conformance example a bare one. It keeps its place until the last who writes to it is gone.
            let (connection, read) = match downcast::<TokioIo<Connection>>(upgraded) {
                Ok(parts) => (parts.io.into_inner(), parts.read_buf),
                Err(upgraded) => match downcast::<TokioIo<TcpStream>>(upgraded) {
                    Ok(parts) => (parts.io.into_inner().into(), parts.read_buf),
                    Err(_) => return tracing::error!("an upgraded connection is no TCP connection"),
                },
            };
            connection.leave_http();
            let socket = Socket::new(connection, &read, limits);
            // A task of its own: this one is as large as an upgrade, the other lives as long as the socket.
            tokio::spawn(serve(socket));
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        if limits.packed {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(packed::ACCEPTED));
        }
        if let Some(protocol) = self.protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        response
    }
}
