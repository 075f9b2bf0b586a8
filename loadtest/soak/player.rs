//! A player of the mixed load: some awards by the actions API, some in game sessions that begin and end, and reads between them.

use serde_json::Value;

use crate::http::{self, Connection};

/// Updates of a game session before the next one.
const UPDATES: u32 = 10;

pub struct Player {
    connection: Connection,
    login: String,
    user: String,
    awards: u32,
    looks: u32,
    /// The next game token, if a session goes on.
    token: Option<String>,
}

impl Player {
    /// Players do not go the same way at the same time: each begins at another step of it.
    pub async fn come(address: &str, login: String, place: usize) -> Self {
        let user = user(&login);
        let step = place as u32 % (2 * UPDATES);
        let connection = Connection::open(address).await;
        Self { connection, login, user, awards: step, looks: step / 2, token: None }
    }

    /// One award: by turns ten by the actions API and a game session of ten. Returns whether it was made.
    pub async fn win(&mut self) -> bool {
        self.awards += 1;
        if (self.awards / UPDATES).is_multiple_of(2) {
            self.act().await.is_ok()
        } else {
            let last = self.awards % UPDATES == UPDATES - 1;
            self.update(last).await.is_ok()
        }
    }

    /// Own rank, or the board.
    pub async fn look(&mut self) -> bool {
        self.looks += 1;
        let answer = if self.looks.is_multiple_of(2) {
            let path = format!("/api/scoreboard/user/{}", self.user);
            self.connection.get_as(&path, &self.login).await
        } else {
            self.connection.get("/api/v1/scores/leaderboard").await
        };
        !answer.is_empty()
    }

    async fn act(&mut self) -> Result<(), String> {
        let begin = r#"{"actionType":"watch_ad"}"#;
        let issued = self.connection.try_post("/api/v1/actions/init", &self.login, begin).await?;
        let token = http::field(&issued, "antiSpamToken").ok_or(issued)?;
        let body = format!(r#"{{"antiSpamToken":"{token}"}}"#);
        self.connection.try_post("/api/v1/actions/finalize", &self.login, &body).await.map(drop)
    }

    async fn update(&mut self, last: bool) -> Result<(), String> {
        let token = match self.token.take() {
            Some(token) => token,
            None => {
                let answer = self.connection.try_post("/api/game/start", &self.login, "{}").await?;
                data(&answer, "actionToken")?
            }
        };
        let body = format!(r#"{{"actionToken":"{token}","actionType":"watch_ad","points":10}}"#);
        let answer = self.connection.try_post("/api/score/update", &self.login, &body).await?;
        if last {
            self.connection.try_post("/api/game/end", &self.login, "{}").await?;
        } else {
            self.token = Some(data(&answer, "newActionToken")?);
        }
        Ok(())
    }
}

fn data(answer: &str, name: &str) -> Result<String, String> {
    let value: Value = serde_json::from_str(answer).map_err(|error| error.to_string())?;
    http::field(&value["data"].to_string(), name).ok_or_else(|| answer.to_owned())
}

/// Whose a login is, by its claims.
fn user(login: &str) -> String {
    use base64::Engine;
    let claims = login.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    http::field(std::str::from_utf8(&claims).unwrap(), "sub").unwrap()
}
