//! What a client redeems: each door's token, judged as far as that goes without Redis deciding.

use uuid::Uuid;

use super::{Denied, invalid_action};
use crate::account::Identity;
use crate::action::{Action, Challenge, Flow};
use crate::app::App;
use crate::error::{Error, Refusal};
use crate::store::NextToken;
use crate::suspicion::Sign;
use crate::token::{ActToken, sha256_hex};

/// The permission to be awarded, as a door reads it.
pub enum Permission {
    /// The anti-spam JWT of the actions API; it says itself what it is for.
    AntiSpam(String),
    /// The same, in an ad network's callback: the one way for actions that are proved by one.
    Callback(String),
    /// The proven token of `/api/v1/scores`; Redis knows what it is for.
    Proven {
        /// The token.
        token: String,
        /// The session that the request names, or empty.
        session: String,
    },
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
    /// What it is for. None for a proven token that Redis does not know any more: the script says why.
    pub action: Option<&'a Action>,
    /// What it is worth, where that was settled when the token was proven.
    pub points: Option<u64>,
    /// Which door's token it is.
    pub flow: Flow,
    /// What the proof is held against.
    pub challenge: Challenge,
    /// The attempt's id, the event id of the award.
    pub attempt_id: Uuid,
    /// What Redis knows the token by.
    pub token_id: String,
    /// SHA-256 of the token, in hex.
    pub token_hash: String,
    /// When it runs out, in seconds, rounded up; 0: Redis knows.
    pub expires_s: i64,
    /// The token it gives way to.
    pub next: Option<NextToken>,
}

impl Permission {
    /// Token format, action type, points: in the contract's order.
    ///
    /// # Errors
    /// The first that is wrong; Redis is away.
    pub async fn judge<'a>(&self, app: &'a App, caller: &Identity) -> Result<Judged<'a>, Denied> {
        match self {
            Self::AntiSpam(token) => judge_anti_spam(app, caller, token, false),
            Self::Callback(token) => judge_anti_spam(app, caller, token, true),
            Self::Proven { token, .. } => judge_proven(app, caller, token).await,
            Self::Game { token, action_type, points } => judge_game(app, token, action_type, *points),
        }
    }

    /// The session that the request names, or nothing.
    pub fn named_session(&self) -> &str {
        match self {
            Self::Proven { session, .. } => session,
            _ => "",
        }
    }
}

fn judge_anti_spam<'a>(
    app: &'a App,
    caller: &Identity,
    token: &str,
    called_back: bool,
) -> Result<Judged<'a>, Denied> {
    let claims = super::read_anti_spam(app, caller, token)?;
    let is_open = |it: &Action| it.is_open(Flow::Actions) && it.proof.comes_by_callback() == called_back;
    let action = app.catalogue.find(&claims.act, Flow::Actions).filter(|it| is_open(it));
    let action = action.ok_or_else(|| invalid_action(app, is_open))?;
    Ok(Judged {
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

async fn judge_proven<'a>(app: &'a App, caller: &Identity, token: &str) -> Result<Judged<'a>, Denied> {
    let token = read_act_token(token)?;
    let hash = token.hash();
    let proven = app.store.proven_for(caller.user, &hash).await.map_err(Error::from)?;
    let action = match &proven {
        None => None,
        Some((kind, _)) => Some(find_action(app, kind, Flow::Tokens)?),
    };
    Ok(Judged {
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

fn judge_game<'a>(app: &'a App, token: &str, action_type: &str, points: u64) -> Result<Judged<'a>, Denied> {
    let token = read_act_token(token)?;
    let action = find_action(app, action_type, Flow::Game)?;
    let expected = action.possible_points();
    if !expected.contains(&points) {
        return Err(Refusal::InvalidPoints { expected }.into());
    }
    let next = ActToken::new();
    Ok(Judged {
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

fn find_action<'a>(app: &'a App, kind: &str, flow: Flow) -> Result<&'a Action, Refusal> {
    app.catalogue.find(kind, flow).ok_or_else(|| invalid_action(app, |it| it.is_open(flow)))
}

fn read_act_token(text: &str) -> Result<ActToken, Denied> {
    ActToken::parse(text).map_err(|refusal| Denied {
        sign: (refusal == Refusal::InvalidActionToken).then_some(Sign::Forged),
        error: refusal.into(),
    })
}
