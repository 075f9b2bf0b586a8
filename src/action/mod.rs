//! What players can do and how it is proved. Pure: no store, no HTTP of ours, no clock; `proof/webhook.rs` and
//! `proof/admob.rs` ask somebody else.

mod catalogue;
pub mod proof;

pub use catalogue::{Action, Catalogue, CatalogueProblems, Door, Limits};
pub use proof::{Challenge, Proof, Verdict};
