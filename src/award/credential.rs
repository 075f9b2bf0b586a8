//! The token that a request redeems, one kind per API, and the checks that a node makes before Redis decides.

use uuid::Uuid;

use super::{Rejection, invalid_action};
use crate::abuse::AbuseSignal;
use crate::account::Identity;
use crate::action::{Action, Challenge, Flow};
use crate::award::Awards;
use crate::crypto::sha256_hex;
use crate::error::{Error, Refusal};
use crate::store::NextToken;
use crate::token::ActToken;

/// The token of a redeem request, as each API sends it.
pub enum Credential {
    /// The anti-spam JWT of the actions API; its claims name the action.
    AntiSpam(String),
    /// The same JWT, sent by an ad network's callback. Actions proved by a callback accept no other.
    Callback(String),
    /// The proven token of `/api/v1/scores`; Redis stores its action.
    Proven {
        /// The token.
        token: String,
        /// The session named in the request, or empty.
        session: String,
    },
    /// The `act_` token of the game API, with the action and points that the client claims.
    Game {
        /// The token.
        token: String,
        /// The action's type.
        action_type: String,
        /// The points that the client expects.
        points: u64,
    },
}

/// A redeem request that passed the node's checks. Redis makes the final decision.
pub struct AuthorizedRedeem<'a> {
    /// The token's action. `None` for a proven token that Redis no longer has; the script then returns the reason.
    pub action: Option<&'a Action>,
    /// The points, if they were fixed when the token was proven.
    pub points: Option<u64>,
    /// The flow that issued the token.
    pub flow: Flow,
    /// The challenge that the proof has to answer.
    pub challenge: Challenge,
    /// The attempt's id, which becomes the award's event id.
    pub attempt_id: Uuid,
    /// The token's id in Redis: the attempt's id, or the token's hash.
    pub token_id: String,
    /// The token's SHA-256 in hex.
    pub token_hash: String,
    /// The token's expiry in Unix seconds, rounded up; 0 if only Redis stores it.
    pub expires_s: i64,
    /// The token that replaces it; only in the game API.
    pub next: Option<NextToken>,
}

impl Credential {
    /// Checks the token's format, then the action, then the points.
    ///
    /// # Errors
    /// The first failed check, or Redis does not answer.
    pub async fn authorize<'a>(
        &self,
        awards: &'a Awards,
        caller: &Identity,
    ) -> Result<AuthorizedRedeem<'a>, Rejection> {
        match self {
            Self::AntiSpam(token) => authorize_anti_spam(awards, caller, token, false),
            Self::Callback(token) => authorize_anti_spam(awards, caller, token, true),
            Self::Proven { token, .. } => authorize_proven(awards, caller, token).await,
            Self::Game { token, action_type, points } => authorize_game(awards, token, action_type, *points),
        }
    }

    /// The session named in the request, or an empty text.
    pub fn named_session(&self) -> &str {
        match self {
            Self::Proven { session, .. } => session,
            _ => "",
        }
    }
}

fn authorize_anti_spam<'a>(
    awards: &'a Awards,
    caller: &Identity,
    token: &str,
    by_callback: bool,
) -> Result<AuthorizedRedeem<'a>, Rejection> {
    let claims = super::read_anti_spam(awards, caller, token)?;
    let is_open =
        |action: &Action| action.is_open(Flow::Actions) && action.proof.needs_callback() == by_callback;
    let action = awards.catalogue.find(&claims.act, Flow::Actions).filter(|action| is_open(action));
    let action = action.ok_or_else(|| invalid_action(awards, is_open))?;
    Ok(AuthorizedRedeem {
        action: Some(action),
        points: None,
        flow: Flow::Actions,
        challenge: claims.chl,
        attempt_id: claims.jti,
        token_id: claims.jti.to_string(),
        token_hash: sha256_hex(&[token.as_bytes()]),
        expires_s: claims.exp,
        next: None,
    })
}

async fn authorize_proven<'a>(
    awards: &'a Awards,
    caller: &Identity,
    token: &str,
) -> Result<AuthorizedRedeem<'a>, Rejection> {
    let token = read_act_token(token)?;
    let hash = token.hash();
    let proven = awards.store.proven_for(caller.user, &hash).await.map_err(Error::from)?;
    let action = match &proven {
        None => None,
        Some((kind, _)) => Some(find_action(awards, kind, Flow::Tokens)?),
    };
    Ok(AuthorizedRedeem {
        action,
        points: proven.map(|(_, points)| points),
        flow: Flow::Tokens,
        challenge: Challenge::default(),
        attempt_id: token.attempt_id(),
        token_id: hash.clone(),
        token_hash: hash,
        expires_s: 0,
        next: None,
    })
}

fn authorize_game<'a>(
    awards: &'a Awards,
    token: &str,
    action_type: &str,
    points: u64,
) -> Result<AuthorizedRedeem<'a>, Rejection> {
    let token = read_act_token(token)?;
    let action = find_action(awards, action_type, Flow::Game)?;
    let expected = action.possible_points();
    if !expected.contains(&points) {
        return Err(Refusal::InvalidPoints { expected }.into());
    }
    let next = ActToken::new();
    Ok(AuthorizedRedeem {
        action: Some(action),
        points: None,
        flow: Flow::Game,
        challenge: Challenge::default(),
        attempt_id: token.attempt_id(),
        token_id: token.hash(),
        token_hash: token.hash(),
        expires_s: 0,
        next: Some(NextToken { token: next.as_str().to_owned(), hash: next.hash() }),
    })
}

fn find_action<'a>(awards: &'a Awards, kind: &str, flow: Flow) -> Result<&'a Action, Refusal> {
    awards.catalogue.find(kind, flow).ok_or_else(|| invalid_action(awards, |action| action.is_open(flow)))
}

fn read_act_token(text: &str) -> Result<ActToken, Rejection> {
    ActToken::parse(text).map_err(|refusal| Rejection {
        signal: (refusal == Refusal::InvalidActionToken).then_some(AbuseSignal::Forged),
        error: refusal.into(),
    })
}
