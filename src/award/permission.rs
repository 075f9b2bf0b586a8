//! What a client redeems: each door's token, judged as far as that goes without Redis.

use uuid::Uuid;

use crate::account::Identity;
use crate::action::{Action, Challenge, Door};
use crate::app::App;
use crate::error::Refusal;
use crate::store::NextToken;
use crate::token::{GameToken, sha256_hex};

/// The permission to be awarded, as a door reads it.
pub enum Permission {
    /// The anti-spam JWT of the actions API; it says itself what it is for.
    AntiSpam(String),
    /// The `act_` token of the game API, and what the client says it did.
    Game {
        /// The token.
        token: String,
        /// The action's type.
        action_type: String,
        /// What the client thinks it is worth.
        points: u64,
    },
}

/// A permission that may be redeemed, if Redis says so.
pub struct Judged<'a> {
    /// What it is for.
    pub action: &'a Action,
    /// What the proof is held against.
    pub challenge: Challenge,
    /// The attempt's id, the event id of the award.
    pub attempt_id: Uuid,
    /// What Redis knows the token by.
    pub token_id: String,
    /// SHA-256 of the token, in hex.
    pub token_hash: String,
    /// When it runs out, in seconds, rounded up; 0: with its session.
    pub expires_s: i64,
    /// The token it gives way to.
    pub next: Option<NextToken>,
}

impl Permission {
    /// Token format, action type, points: in the contract's order.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn judge<'a>(&self, app: &'a App, caller: &Identity) -> Result<Judged<'a>, Refusal> {
        match self {
            Self::AntiSpam(token) => {
                let claims = app.anti_spam.read(token, caller.user)?;
                Ok(Judged {
                    action: app.catalogue.find(&claims.act, Door::Actions).ok_or(Refusal::InvalidAction)?,
                    challenge: claims.chl,
                    attempt_id: claims.jti,
                    token_id: claims.jti.to_string(),
                    token_hash: sha256_hex(&[token.as_bytes()]),
                    expires_s: claims.exp,
                    next: None,
                })
            }
            Self::Game { token, action_type, points } => {
                let token = GameToken::parse(token)?;
                let action = app.catalogue.find(action_type, Door::Game).ok_or(Refusal::InvalidAction)?;
                if *points != action.points {
                    return Err(Refusal::InvalidPoints);
                }
                let next = GameToken::new();
                Ok(Judged {
                    action,
                    challenge: Challenge::default(),
                    attempt_id: token.attempt_id(),
                    token_id: token.hash(),
                    token_hash: token.hash(),
                    expires_s: 0,
                    next: Some(NextToken { token: next.as_str().to_owned(), hash: next.hash() }),
                })
            }
        }
    }
}
