//! Requests of the three APIs, as a client sends them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use laurel::token::ActToken;
use serde_json::{Value, json};
use uuid::Uuid;

use super::history::Response;
use super::random::Random;

pub struct Player {
    pub user: Uuid,
    pub login: String,
}

impl Player {
    /// The player of a login: its claim `sub`.
    pub fn of(login: &str) -> Self {
        let user = claims(login).unwrap()["sub"].as_str().unwrap().parse().unwrap();
        Self { user, login: login.to_owned() }
    }
}

/// Actions of the suite's catalogue: type, points, whether the ledger acknowledges them.
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
    pub fn any(random: &mut Random) -> Self {
        [Self::Actions, Self::Actions, Self::Tokens, Self::Game][random.below(4)]
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Actions => "finalize",
            Self::Tokens => "scores",
            Self::Game => "update",
        }
    }
}

/// A token, and the request that redeems it.
pub struct IssuedToken {
    pub event_id: Uuid,
    pub path: &'static str,
    pub body: Value,
}

/// Sends a request. Without a key it has no `Idempotency-Key`.
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
    let response = request.send().await.map_err(|error| format!("{error:?}"))?;
    let status = response.status().as_u16();
    let body = response.json().await.map_err(|error| format!("status {status}, then {error:?}"))?;
    Ok((status, body))
}

/// Gets a token. In the game API it is the one of the last update, if there is one; otherwise a session is started.
pub async fn get_token(
    client: &reqwest::Client,
    base: &str,
    player: &Player,
    flow: Flow,
    action: usize,
    next: Option<String>,
) -> Result<IssuedToken, String> {
    let (kind, points, _) = ACTIONS[action];
    let (path, body) = match flow {
        Flow::Actions => ("/api/v1/actions/init", json!({ "actionType": kind })),
        Flow::Tokens => ("/api/v1/action-tokens", json!({ "actionType": kind })),
        Flow::Game => ("/api/game/start", json!({})),
    };
    let token = match next {
        Some(token) => token,
        None => {
            let (status, response) = post(client, base, path, player, "", &body).await?;
            let tokens =
                [&response["antiSpamToken"], &response["actionToken"], &response["data"]["actionToken"]];
            let token = tokens.into_iter().find_map(Value::as_str);
            token.ok_or_else(|| format!("{path}: {status} {response}"))?.to_owned()
        }
    };
    let (path, body) = match flow {
        Flow::Actions => ("/api/v1/actions/finalize", json!({ "antiSpamToken": token })),
        Flow::Tokens => ("/api/v1/scores", json!({ "actionToken": token })),
        Flow::Game => {
            ("/api/score/update", json!({ "actionToken": token, "actionType": kind, "points": points }))
        }
    };
    let event_id = event_id(&token).ok_or_else(|| format!("not a token: {token}"))?;
    Ok(IssuedToken { event_id, path, body })
}

/// The event of a token: an `act_` token contains it, an anti-spam token has it as its claim `jti`.
fn event_id(token: &str) -> Option<Uuid> {
    match ActToken::parse(token) {
        Ok(token) => Some(token.attempt_id()),
        Err(_) => claims(token)?["jti"].as_str()?.parse().ok(),
    }
}

/// The claims of a JWT.
fn claims(jwt: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?).ok()
}

/// Reads a response, and the next game token, if there is one.
pub fn read(response: Result<(u16, Value), String>) -> (Response, Option<String>) {
    let (status, body) = match response {
        Err(error) => return (Response::Missing(error), None),
        Ok(response) => response,
    };
    let code = || format!("{status} {}", body["metadata"]["errorCode"].as_str().unwrap_or("?"));
    let inner = if body["data"].is_object() { &body["data"] } else { &body };
    match (status, inner["newScore"].as_i64()) {
        (200, Some(score)) => {
            (Response::Awarded { score }, inner["newActionToken"].as_str().map(str::to_owned))
        }
        (400..500, _) => (Response::Refused(code()), None),
        _ => (Response::Failed(code()), None),
    }
}
