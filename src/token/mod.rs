//! The tokens that one action is redeemed with. Pure: whether a token was used or has run out is known to Redis alone.

mod act;
mod anti_spam;
mod derive;
mod digest;

pub use act::{ActToken, new_session_id};
pub use anti_spam::{AntiSpamClaims, AntiSpamKeys};
pub use derive::derive;
pub use digest::sha256_hex;
