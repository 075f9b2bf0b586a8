//! What players can do and how it is proved. Pure: no store, no HTTP, no clock.

mod catalogue;
pub mod proof;

pub use catalogue::{Action, Catalogue, CatalogueProblems, Door, Limits};
pub use proof::{Challenge, Proof, Verdict};
