//! What verifies proofs by asking somebody, against small real servers.

pub mod admob;
pub mod webhook;
