//! The player who leads: each award changes the board.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::http::Connection;
use crate::server::Server;
use crate::session::Session;

pub struct Leader {
    login: String,
    /// To the node with the stores.
    reader: Connection,
}

impl Leader {
    /// Who leads a seeded board, by the user that the logins name.
    pub async fn find(home: &Server) -> Self {
        let mut reader = Connection::open(&home.address).await;
        let first = board(&mut reader).await["leaderboard"][0]["userId"].clone();
        let login = home.logins().into_iter().find(|it| user(it) == first);
        Self { login: login.expect("the leader has a login"), reader }
    }

    pub fn login(&self) -> &String {
        &self.login
    }

    /// A session of theirs at a node.
    pub async fn play(&self, address: &str) -> Session {
        Session::start(address, &self.login).await
    }

    /// The present rows as JSON.
    pub async fn rows(&mut self) -> String {
        board(&mut self.reader).await["leaderboard"].to_string()
    }
}

/// The version of the board that a node shows.
pub async fn version(address: &str) -> u64 {
    let board = board(&mut Connection::open(address).await).await;
    board["version"].as_u64().unwrap()
}

async fn board(reader: &mut Connection) -> Value {
    serde_json::from_str(&reader.get("/api/v1/scores/leaderboard").await).unwrap()
}

fn user(login: &str) -> Value {
    let claims = URL_SAFE_NO_PAD.decode(login.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["sub"].take()
}
