//! The catalogue of actions and their proofs. No store, no clock, and no HTTP except two outgoing clients: `proof/webhook.rs` and
//! `proof/admob.rs`.

mod catalogue;
mod limits;
mod parse;
pub mod proof;

pub use catalogue::{AckPolicy, Action, Catalogue, CatalogueProblems, Flow};
pub use limits::Limits;
pub use proof::{Challenge, Proof, ProofResult};
