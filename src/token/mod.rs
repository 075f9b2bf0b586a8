//! The tokens that one action is redeemed with. Pure: whether a token was used or has run out is known to Redis alone.

mod anti_spam;
mod digest;
mod game;

pub use anti_spam::{AntiSpamClaims, AntiSpamKeys};
pub use digest::sha256_hex;
pub use game::{GameToken, new_session_id};
