//! What players can do and how it is proved. It knows no store and no clock; the one thing it reaches out for is a game's own
//! backend, behind the proof `webhook`.

mod catalogue;
mod limits;
pub mod proof;
mod read;

pub use catalogue::{Action, Catalogue, CatalogueProblems, Door};
pub use limits::Limits;
pub use proof::{Challenge, Proof, Verdict};
