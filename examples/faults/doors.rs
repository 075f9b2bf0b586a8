//! The three doors, as a client sees them.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use laurel::token::ActToken;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::dice::Dice;
use crate::history::Answer;

/// A player's login.
pub struct Player {
    pub user: Uuid,
    pub login: String,
}

impl Player {
    /// Whose login a JWT is, as it says itself.
    pub fn of(login: &str) -> Self {
        let claims = login.split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        Self { user: claims["sub"].as_str().unwrap().parse().unwrap(), login: login.to_owned() }
    }
}

/// Actions of the suite's catalogue: type, points, whether the ledger acknowledges it.
pub const ACTIONS: [(&str, i64, bool); 3] =
    [("watch_ad", 10, false), ("solve_puzzle", 15, false), ("vault", 20, true)];

pub const CATALOGUE: &str = r#"
[[action]]
type = "watch_ad"
number = 1
points = 10
proof = { kind = "none" }

[[action]]
type = "solve_puzzle"
number = 2
points = 15
proof = { kind = "none" }

[[action]]
type = "vault"
number = 3
points = 20
proof = { kind = "none" }
acknowledge = "ledger"
"#;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Actions,
    Tokens,
    Game,
}

impl Door {
    pub fn any(dice: &mut Dice) -> Self {
        [Self::Actions, Self::Actions, Self::Tokens, Self::Game][dice.below(4)]
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Actions => "finalize",
            Self::Tokens => "scores",
            Self::Game => "update",
        }
    }
}

/// A token, and the request that hands it in.
pub struct Ticket {
    pub id: Uuid,
    pub path: &'static str,
    pub body: Value,
}

/// Every request of the load goes through this one.
pub async fn post(
    client: &reqwest::Client,
    base: &str,
    path: &str,
    player: &Player,
    key: &str,
    body: &Value,
) -> Result<(u16, Value), String> {
    let mut request = client.post(format!("{base}{path}")).bearer_auth(&player.login).json(body);
    if !key.is_empty() {
        request = request.header("idempotency-key", key);
    }
    let response = request.timeout(Duration::from_secs(4)).send().await.map_err(|it| format!("{it:?}"))?;
    let status = response.status().as_u16();
    let body = response.json().await.map_err(|it| format!("status {status}, then {it:?}"))?;
    Ok((status, body))
}

/// Gets a token. At the game door one that the last update gave comes first, else a session is started.
pub async fn ticket(
    client: &reqwest::Client,
    base: &str,
    player: &Player,
    door: Door,
    action: usize,
    next: Option<String>,
) -> Option<Ticket> {
    let (kind, points, _) = ACTIONS[action];
    match door {
        Door::Actions => {
            let body = json!({ "actionType": kind });
            let (_, it) = post(client, base, "/api/v1/actions/init", player, "", &body).await.ok()?;
            let id = it["actionId"].as_str()?.parse().ok()?;
            let body = json!({ "antiSpamToken": it["antiSpamToken"] });
            Some(Ticket { id, path: "/api/v1/actions/finalize", body })
        }
        Door::Tokens => {
            let body = json!({ "actionType": kind });
            let (_, it) = post(client, base, "/api/v1/action-tokens", player, "", &body).await.ok()?;
            let token = it["actionToken"].as_str()?;
            Some(Ticket {
                id: event_id(token)?,
                path: "/api/v1/scores",
                body: json!({ "actionToken": token }),
            })
        }
        Door::Game => {
            let token = match next {
                Some(token) => token,
                None => {
                    let (_, it) = post(client, base, "/api/game/start", player, "", &json!({})).await.ok()?;
                    it["data"]["actionToken"].as_str()?.to_owned()
                }
            };
            let body = json!({ "actionToken": token, "actionType": kind, "points": points });
            Some(Ticket { id: event_id(&token)?, path: "/api/score/update", body })
        }
    }
}

/// The event that an `act_` token stands for.
fn event_id(token: &str) -> Option<Uuid> {
    ActToken::parse(token).ok().map(|it| it.attempt_id())
}

/// Reads an answer; with the next game token, if there is one.
pub fn read(answer: Result<(u16, Value), String>) -> (Answer, Option<String>) {
    let (status, body) = match answer {
        Err(error) => return (Answer::Nothing(error), None),
        Ok(answer) => answer,
    };
    let code = || format!("{status} {}", body["metadata"]["errorCode"].as_str().unwrap_or("?"));
    let inner = if body["data"].is_object() { &body["data"] } else { &body };
    match (status, inner["newScore"].as_i64()) {
        (200, Some(score)) => {
            (Answer::Awarded { score }, inner["newActionToken"].as_str().map(str::to_owned))
        }
        (400..500, _) => (Answer::Refused(code()), None),
        _ => (Answer::Failed(code()), None),
    }
}
