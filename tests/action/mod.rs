//! What verifies proofs by asking somebody, against small real servers.

mod admob;
pub mod webhook;
