//! The player who leads: each award changes the board.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::http::Connection;
use crate::server::Server;
use crate::session::Session;

pub struct Leader {
    login: String,
}

impl Leader {
    /// Who leads a seeded board, by the user that the logins name.
    pub async fn find(home: &Server) -> Self {
        let first = &board(&home.address).await["leaderboard"][0]["userId"];
        let login = home.logins().into_iter().find(|it| user(it) == *first);
        Self { login: login.expect("the leader has a login") }
    }

    pub fn login(&self) -> &String {
        &self.login
    }

    /// A session of theirs at a node.
    pub async fn play(&self, address: &str) -> Session {
        Session::start(address, &self.login).await
    }
}

/// The rows that a node shows, as JSON.
pub async fn rows(address: &str) -> String {
    board(address).await["leaderboard"].to_string()
}

/// The version of the board that a node shows.
pub async fn version(address: &str) -> u64 {
    board(address).await["version"].as_u64().unwrap()
}

async fn board(address: &str) -> Value {
    let answer = Connection::open(address).await.get("/api/v1/scores/leaderboard").await;
    serde_json::from_str(&answer).unwrap()
}

fn user(login: &str) -> Value {
    let claims = URL_SAFE_NO_PAD.decode(login.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["sub"].take()
}
