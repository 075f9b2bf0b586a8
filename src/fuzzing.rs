//! Private parsers and protocol state machines, for the fuzz targets in `fuzz/` and the tests in `tests/fuzz/`. The server does not use
//! this module.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::IpNet;

pub use crate::action::proof::admob::callback::{Callback, UnverifiedCallback};
pub use crate::config::merge::Merged;
pub use crate::http::body::Fields;
pub use crate::http::idempotency::{key, request_digest};
pub use crate::http::query::Query;
pub use crate::live::engineio::session::{Task, Transport};
pub use crate::live::websocket::deflate::{accepts_offer, compress, decompress};
pub use crate::live::websocket::reader::Reader;

/// The client address of a request, from the peer's address and `X-Forwarded-For`.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    crate::http::address::ClientAddress::of(peer, headers, trusted).0
}

/// The number of verification keys in a JWK set.
///
/// # Errors
/// It is malformed.
pub fn jwks(bytes: &[u8]) -> Result<usize, String> {
    crate::keyring::jwks::read(bytes).map(|found| found.keys.len())
}

/// The number of public keys for an algorithm in a PEM file.
///
/// # Errors
/// It is malformed.
pub fn pem(bytes: &[u8], algorithm: crate::keyring::Algorithm) -> Result<usize, String> {
    crate::keyring::pem::read(bytes, algorithm).map(|found| found.keys.len())
}
