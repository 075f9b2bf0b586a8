//! The outgoing clients of proofs, against small real servers.

pub mod admob;
pub mod webhook;
