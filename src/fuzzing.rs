//! What fuzz targets (`fuzz/`) and the tests in `tests/fuzz/` reach of the crate's inside: the parsers that meet the outside
//! and the state machines of the protocols. No node calls it.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::IpNet;

pub use crate::action::proof::admob::callback::{Callback, UnverifiedCallback};
pub use crate::config::merge::Merged;
pub use crate::http::body::Fields;
pub use crate::http::idempotency::{key, request_digest};
pub use crate::http::query::Query;
pub use crate::live::engineio::transport::{Task, Transport};
pub use crate::live::websocket::packed::{accepts, pack, unpack};
pub use crate::live::websocket::reader::{Reader, Said};

/// The client that a request counts for: by the peer's address and the lines of `X-Forwarded-For`.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    crate::http::address::ClientAddress::of(peer, headers, trusted).0
}

/// How many keys a JWK set has that verify signatures.
///
/// # Errors
/// It is none.
pub fn jwks(bytes: &[u8]) -> Result<usize, String> {
    crate::keys::jwks::read(bytes).map(|found| found.keys.len())
}

/// How many public keys of an algorithm a PEM file has.
///
/// # Errors
/// It is none.
pub fn pem(bytes: &[u8], algorithm: crate::keys::Algorithm) -> Result<usize, String> {
    crate::keys::pem::read(bytes, algorithm).map(|found| found.keys.len())
}
