//! A player in a game session: each update is an award, one entry of the outbox, and brings the token of the next.

use serde_json::Value;

use crate::http::{self, Connection};

pub struct Session {
    connection: Connection,
    login: String,
    token: String,
}

impl Session {
    /// Starts one, on a connection of its own.
    pub async fn start(address: &str, login: &str) -> Self {
        let mut connection = Connection::open(address).await;
        let token = start(&mut connection, login).await;
        Self { connection, login: login.to_owned(), token }
    }

    /// One award. Returns whether it was acknowledged; after one that was not a new session begins.
    pub async fn win(&mut self, action: &str) -> bool {
        let body = format!(r#"{{"actionToken":"{}","actionType":"{action}","points":10}}"#, self.token);
        match self.connection.try_post("/api/score/update", &self.login, &body).await {
            Ok(answer) => {
                let answer: Value = serde_json::from_str(&answer).unwrap();
                self.token = http::field(&answer["data"].to_string(), "newActionToken").unwrap();
                true
            }
            Err(_) => {
                self.token = start(&mut self.connection, &self.login).await;
                false
            }
        }
    }
}

async fn start(connection: &mut Connection, login: &str) -> String {
    let answer = connection.post("/api/game/start", login, "{}").await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    http::field(&answer["data"].to_string(), "actionToken").unwrap()
}
