//! Action tokens: the anti-spam JWT and the `act_` token. This module only reads and writes them; Redis alone decides whether a token
//! was used or has expired.

mod act;
mod anti_spam;

pub use act::{ActToken, new_session_id};
pub use anti_spam::{AntiSpamClaims, AntiSpamKeys};
