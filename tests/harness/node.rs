//! A node in this process, and a client that sends HTTP requests to it.

use std::sync::Arc;

use laurel::account::Identity;
use laurel::app::App;
use laurel::ledger::SeedOptions;
use laurel::serve::Node;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::eventually;

pub struct TestNode {
    pub base: String,
    /// The URL of the admin listener, if there is one.
    pub admin_base: Option<String>,
    pub app: Arc<App>,
    node: Option<Node>,
    client: reqwest::Client,
}

/// A player who is logged in.
#[derive(Clone, Debug)]
pub struct Player {
    pub token: String,
    pub identity: Identity,
}

/// A response of a node.
#[derive(Debug)]
pub struct TestResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl TestResponse {
    /// The error code; empty if there is none.
    pub fn code(&self) -> &str {
        self.body["metadata"]["errorCode"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    #[track_caller]
    pub fn assert_refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
        assert_eq!(self.body["data"], Value::Null);
        assert_eq!(self.body["statusCode"], status);
        assert!(self.body["metadata"]["timestamp"].as_str().unwrap().ends_with('Z'));
        assert!(!self.body["message"].as_str().unwrap().is_empty());
    }

    /// The fields of a validation error.
    pub fn fields(&self) -> Vec<&str> {
        let fields = self.body["metadata"]["fields"].as_array();
        fields.into_iter().flatten().map(|field| field["field"].as_str().unwrap()).collect()
    }
}

impl TestNode {
    pub fn new(node: Node) -> Self {
        let base = format!("http://{}", node.address);
        let admin_base = node.admin_address.map(|address| format!("http://{address}"));
        Self { base, admin_base, app: node.app.clone(), node: Some(node), client: reqwest::Client::new() }
    }

    pub async fn stop(mut self) {
        self.node.take().unwrap().stop().await;
    }

    /// Sends a request.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> TestResponse {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{text}");
        let body = serde_json::from_str(&text).unwrap_or_default();
        TestResponse { status: status.as_u16(), headers, text, body }
    }

    pub async fn get(&self, path: &str) -> TestResponse {
        self.get_with(path, "", &[]).await
    }

    /// Sends a GET request with a player's login.
    pub async fn get_as(&self, player: &Player, path: &str) -> TestResponse {
        self.get_with(path, &player.token, &[]).await
    }

    /// Sends a GET request; an empty token sends no login.
    pub async fn get_with(&self, path: &str, token: &str, headers: &[(&str, &str)]) -> TestResponse {
        let bearer = format!("Bearer {token}");
        let mut all = headers.to_vec();
        if !token.is_empty() {
            all.push(("authorization", &bearer));
        }
        self.send(Method::GET, path, &all, Vec::new()).await
    }

    pub async fn post(&self, path: &str, token: &str, body: &Value) -> TestResponse {
        self.post_with(path, token, &[], body).await
    }

    pub async fn post_with(
        &self,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> TestResponse {
        let bearer = format!("Bearer {token}");
        let mut all_headers = vec![("content-type", "application/json")];
        if !token.is_empty() {
            all_headers.push(("authorization", &bearer));
        }
        all_headers.extend(headers);
        self.send(Method::POST, path, &all_headers, body.to_string().into_bytes()).await
    }

    /// Registers a player.
    pub async fn register(&self, username: &str) -> Player {
        let body = json!({ "username": username, "email": format!("{username}@example.com"), "password": "correct horse" });
        let response = self.post("/api/auth/register", "", &body).await;
        assert_eq!(response.status, 201, "{}", response.text);
        self.player(response.body["data"]["token"].as_str().unwrap())
    }

    /// Logs in a registered player.
    pub async fn login(&self, username: &str) -> Player {
        let body = json!({ "username": username, "password": "correct horse" });
        let response = self.post("/api/auth/login", "", &body).await;
        assert_eq!(response.status, 200, "{}", response.text);
        self.player(response.body["data"]["token"].as_str().unwrap())
    }

    /// Creates many players, without hashing passwords.
    pub async fn create_players(&self, count: u64) -> Vec<Player> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let options = SeedOptions { users: count, max_score: 0, tokens: Some(file.path().to_owned()) };
        laurel::ledger::seed(&self.app.ledger, &self.app.accounts.logins, &options, |_| ()).await.unwrap();
        let tokens = std::fs::read_to_string(file.path()).unwrap();
        tokens.lines().map(|token| self.player(token)).collect()
    }

    /// The player of a login token.
    fn player(&self, token: &str) -> Player {
        let identity = self.app.accounts.logins.read(token, self.app.clock.now_s()).unwrap();
        Player { token: token.to_owned(), identity }
    }

    pub async fn init(&self, player: &Player, action: &str) -> TestResponse {
        self.post("/api/v1/actions/init", &player.token, &json!({ "actionType": action })).await
    }

    /// Issues a token for an action.
    pub async fn issue_token(&self, player: &Player, action: &str) -> String {
        let response = self.init(player, action).await;
        assert_eq!(response.status, 200, "{}", response.text);
        response.body["antiSpamToken"].as_str().unwrap().to_owned()
    }

    pub async fn finalize(&self, player: &Player, token: &str, proof: Value) -> TestResponse {
        let body = json!({ "antiSpamToken": token, "proof": proof });
        self.post("/api/v1/actions/finalize", &player.token, &body).await
    }

    /// Issues a token and redeems it.
    pub async fn award(&self, player: &Player, action: &str) -> TestResponse {
        let token = self.issue_token(player, action).await;
        let response = self.finalize(player, &token, Value::Null).await;
        assert_eq!(response.status, 200, "{}", response.text);
        response
    }

    /// Exchanges a proof for a verified token (`act_…`).
    pub async fn prove(&self, player: &Player, body: &Value) -> TestResponse {
        self.post("/api/v1/action-tokens", &player.token, body).await
    }

    /// Redeems a verified token.
    pub async fn redeem(&self, player: &Player, body: &Value) -> TestResponse {
        self.post("/api/v1/scores", &player.token, body).await
    }

    pub async fn start_game(&self, player: &Player) -> TestResponse {
        self.post("/api/game/start", &player.token, &json!({})).await
    }

    pub async fn update_score(&self, player: &Player, body: &Value) -> TestResponse {
        self.post("/api/score/update", &player.token, body).await
    }

    pub async fn end_game(&self, player: &Player) -> TestResponse {
        self.post("/api/game/end", &player.token, &json!({})).await
    }

    /// The sum of a metric over all series with these labels.
    pub fn metric(&self, name: &str, labels: &str) -> u64 {
        let text = self.app.metrics.text();
        let series = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
        let values = series.filter(|it| it.contains(labels)).map(|it| it.rsplit(' ').next().unwrap());
        values.map(|it| it.parse::<u64>().unwrap()).sum()
    }

    /// Waits until the outbox is empty.
    pub async fn wait_for_ledger(&self) {
        super::eventually("the outbox to be empty", async || {
            (self.app.store.poll(0, i64::MAX).await.ok()?.outbox == 0).then_some(())
        })
        .await;
    }

    /// Waits until every board with a current period is loaded.
    pub async fn wait_for_boards(&self) {
        eventually("the boards to be loaded", async || {
            let boards = self.get("/api/v1/boards").await.body["boards"].take();
            let is_loaded =
                |board: &Value| board["period"].is_null() || board["period"]["players"].is_number();
            boards.as_array()?.iter().all(is_loaded).then_some(())
        })
        .await;
    }

    /// The rows of the board: username, score and rank.
    pub async fn board(&self) -> Vec<(String, u64, u64)> {
        let response = self.get("/api/v1/scores/leaderboard").await;
        rows(&response.body["leaderboard"])
    }
}

/// The rows of a board in JSON: username, score and rank.
pub fn rows(board: &Value) -> Vec<(String, u64, u64)> {
    let row = |entry: &Value| {
        (
            entry["username"].as_str().unwrap().to_owned(),
            entry["score"].as_u64().unwrap(),
            entry["rank"].as_u64().unwrap(),
        )
    };
    board.as_array().unwrap().iter().map(row).collect()
}
