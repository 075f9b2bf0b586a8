//! What verifies proofs by asking somebody, against small real servers.

pub mod webhook;
