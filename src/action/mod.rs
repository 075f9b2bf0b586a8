//! What players can do and how it is proved. Pure: no store, no HTTP of ours, no clock; `proof/webhook.rs` and
//! `proof/admob.rs` ask somebody else.

mod catalogue;
mod fields;
mod limits;
pub mod proof;
mod read;

pub use catalogue::{Acknowledge, Action, Catalogue, CatalogueProblems, Flow};
pub use limits::Limits;
pub use proof::{Challenge, Proof, Verdict};
