//! The handshake (RFC 6455, section 4.2), which turns an HTTP request into a WebSocket.

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

use super::{MessageLimits, WebSocket, deflate};
use crate::connections::Connection;

/// Length of the random key in each handshake.
const KEY_BYTES: usize = 16;

/// A valid upgrade request. The extractor returns `None` for any other request.
pub struct Upgrade {
    accept: HeaderValue,
    /// The sub-protocol to select, if the client offered it.
    protocol: Option<HeaderValue>,
    /// Whether the client offered compression.
    offers_compression: bool,
    upgrade: OnUpgrade,
}

impl<S: Sync> OptionalFromRequestParts<S> for Upgrade {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(upgrade(parts))
    }
}

fn upgrade(parts: &mut Parts) -> Option<Upgrade> {
    let values = |header| list_values(&parts.headers, header);
    let is_upgrade = parts.method == Method::GET
        && values(&CONNECTION).any(|it| it.eq_ignore_ascii_case("upgrade"))
        && values(&UPGRADE).any(|it| it.eq_ignore_ascii_case("websocket"))
        && values(&SEC_WEBSOCKET_VERSION).eq(["13"]);
    if !is_upgrade {
        return None;
    }
    let offers_compression = values(&SEC_WEBSOCKET_EXTENSIONS).any(deflate::accepts_offer);
    let key = parts.headers.get(SEC_WEBSOCKET_KEY)?.as_bytes();
    BASE64_STANDARD.decode(key).ok().filter(|it| it.len() == KEY_BYTES)?;
    let accept = derive_accept_key(key);
    let upgrade = parts.extensions.remove::<OnUpgrade>()?;
    Some(Upgrade { accept: accept.try_into().ok()?, protocol: None, offers_compression, upgrade })
}

/// The values of a header with a comma-separated list.
fn list_values<'a>(headers: &'a HeaderMap, header: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(header).iter().filter_map(|it| it.to_str().ok());
    values.flat_map(|it| it.split(',')).map(str::trim)
}

impl Upgrade {
    /// Selects a sub-protocol, if the client offered it.
    pub fn protocol(mut self, name: &'static str, headers: &HeaderMap) -> Self {
        let offered = list_values(headers, &SEC_WEBSOCKET_PROTOCOL).any(|it| it == name);
        self.protocol = offered.then_some(HeaderValue::from_static(name));
        self
    }

    /// Accepts the handshake, with compression if both sides want it. `serve` runs as soon as the response is sent.
    pub fn accept<F>(
        self,
        mut limits: MessageLimits,
        serve: impl FnOnce(WebSocket) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        limits.compression &= self.offers_compression;
        tokio::spawn(async move {
            let Ok(upgraded) = self.upgrade.await else { return };
            // This port has neither TLS nor HTTP/2, so below HTTP is always a TCP connection: one of a pool, or a bare one in the
            // conformance example. It counts in its pool until the last reference to it is dropped.
            let (connection, read) = match downcast::<TokioIo<Connection>>(upgraded) {
                Ok(parts) => (parts.io.into_inner(), parts.read_buf),
                Err(upgraded) => match downcast::<TokioIo<TcpStream>>(upgraded) {
                    Ok(parts) => (parts.io.into_inner().into(), parts.read_buf),
                    Err(_) => return tracing::error!("upgraded connection is not a TCP connection"),
                },
            };
            connection.leave_http();
            let socket = WebSocket::new(connection, &read, limits);
            // A new task, because this one is large and the other lives as long as the socket.
            tokio::spawn(serve(socket));
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        if limits.compression {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(deflate::ACCEPTED));
        }
        if let Some(protocol) = self.protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        response
    }
}
