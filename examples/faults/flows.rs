//! The three doors, as a client sees them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use laurel::token::ActToken;
use serde_json::{Value, json};
use uuid::Uuid;

use super::dice::Dice;
use super::history::Answer;

/// A player's login.
pub struct Player {
    pub user: Uuid,
    pub login: String,
}

impl Player {
    /// Whose login a JWT is, as it says itself.
    pub fn of(login: &str) -> Self {
        let user = claims(login).unwrap()["sub"].as_str().unwrap().parse().unwrap();
        Self { user, login: login.to_owned() }
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
pub enum Flow {
    Actions,
    Tokens,
    Game,
}

impl Flow {
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
    let response = request.send().await.map_err(|it| format!("{it:?}"))?;
    let status = response.status().as_u16();
    let body = response.json().await.map_err(|it| format!("status {status}, then {it:?}"))?;
    Ok((status, body))
}

/// Gets a token. At the game door one that the last update gave comes first, else a session is started.
pub async fn ticket(
    client: &reqwest::Client,
    base: &str,
    player: &Player,
    flow: Flow,
    action: usize,
    next: Option<String>,
) -> Result<Ticket, String> {
    let (kind, points, _) = ACTIONS[action];
    let (path, asked) = match flow {
        Flow::Actions => ("/api/v1/actions/init", json!({ "actionType": kind })),
        Flow::Tokens => ("/api/v1/action-tokens", json!({ "actionType": kind })),
        Flow::Game => ("/api/game/start", json!({})),
    };
    let token = match next {
        Some(token) => token,
        None => {
            let (status, it) = post(client, base, path, player, "", &asked).await?;
            let token = [&it["antiSpamToken"], &it["actionToken"], &it["data"]["actionToken"]];
            let token = token.into_iter().find_map(Value::as_str);
            token.ok_or_else(|| format!("{path}: {status} {it}"))?.to_owned()
        }
    };
    let (path, body) = match flow {
        Flow::Actions => ("/api/v1/actions/finalize", json!({ "antiSpamToken": token })),
        Flow::Tokens => ("/api/v1/scores", json!({ "actionToken": token })),
        Flow::Game => {
            ("/api/score/update", json!({ "actionToken": token, "actionType": kind, "points": points }))
        }
    };
    let id = event_id(&token).ok_or_else(|| format!("no token: {token}"))?;
    Ok(Ticket { id, path, body })
}

/// The event that a token stands for: an `act_` token is made of it, an anti-spam token names it as its `jti`.
fn event_id(token: &str) -> Option<Uuid> {
    match ActToken::parse(token) {
        Ok(token) => Some(token.attempt_id()),
        Err(_) => claims(token)?["jti"].as_str()?.parse().ok(),
    }
}

/// What a JWT says.
fn claims(jwt: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?).ok()
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
            (Answer::AwardReply { score }, inner["newActionToken"].as_str().map(str::to_owned))
        }
        (400..500, _) => (Answer::Refused(code()), None),
        _ => (Answer::Failed(code()), None),
    }
}
