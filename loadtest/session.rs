//! A player in a game session: each update is an award, one entry of the outbox, and brings the token of the next.

use serde_json::Value;

use crate::http::{self, Connection};

pub struct Session {
    connection: Connection,
    login: String,
    /// None: no session could be begun yet.
    token: Option<String>,
}

impl Session {
    /// Starts one, on a connection of its own.
    pub async fn start(address: &str, login: &str) -> Self {
        let mut connection = Connection::open(address).await;
        let token = start(&mut connection, login).await.unwrap();
        Self { connection, login: login.to_owned(), token: Some(token) }
    }

    /// One award. Returns whether it was acknowledged; after one that was not a new session begins.
    pub async fn win(&mut self, action: &str) -> bool {
        if let Some(token) = self.token.take()
            && let Ok(next) = self.update(action, &token).await
        {
            self.token = Some(next);
            return true;
        }
        self.token = start(&mut self.connection, &self.login).await.ok();
        false
    }

    async fn update(&mut self, action: &str, token: &str) -> Result<String, String> {
        let body = format!(r#"{{"actionToken":"{token}","actionType":"{action}","points":10}}"#);
        let answer = self.connection.try_post("/api/score/update", &self.login, &body).await?;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        Ok(http::field(&answer["data"].to_string(), "newActionToken").unwrap())
    }
}

async fn start(connection: &mut Connection, login: &str) -> Result<String, String> {
    let answer = connection.try_post("/api/game/start", login, "{}").await?;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    Ok(http::field(&answer["data"].to_string(), "actionToken").unwrap())
}
