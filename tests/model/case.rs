//! Sends requests to the nodes and compares the responses with the model.

use proptest::prop_assert_eq;
use proptest::test_runner::{TestCaseError, TestCaseResult};
use reqwest::Method;
use serde_json::{Value, json};

use super::MIN_ELAPSED_MS;
use super::calls::{Call, ProofChoice};
use super::request::token_id;
use super::rules::Model;
use super::state::{ACTIONS, Kind, Outcome, Proof, Request, RequestKind, Session, Token, TokenRef};
use crate::harness::{
    Player, TestNode, TestResponse, TestStores, ledger_mismatches, mismatches, rows, wait_until_boards_follow,
};

/// A running sequence: the nodes, their players, and the model.
pub struct Case<'a> {
    pub stores: &'a TestStores,
    pub nodes: &'a [TestNode; 2],
    pub root: &'a Player,
    pub players: Vec<Player>,
    pub model: Model,
    /// Requests with an idempotency key, for repetitions.
    pub keyed: Vec<Request>,
}

impl<'a> Case<'a> {
    pub fn new(
        stores: &'a TestStores,
        nodes: &'a [TestNode; 2],
        root: &'a Player,
        players: Vec<Player>,
    ) -> Self {
        let model = Model::new(players.iter().map(|player| player.identity.username.clone()));
        Self { stores, nodes, root, players, model, keyed: Vec::new() }
    }

    /// Runs one call and compares its response with the model.
    pub async fn run(&mut self, call: &Call) -> TestCaseResult {
        let request = self.build_request(call);
        self.backdate_token(&request).await;
        let expected = self.model.apply(&request);
        let answer = self.send(&self.nodes[call.node], &request).await;
        self.compare(&request, &expected, &answer)
            .map_err(|why| TestCaseError::fail(format!("{call:?}\n{request:?}\n{}\n{why}", answer.text)))?;
        self.model.store_response(&request, &expected, answer.status, &answer.text);
        self.record(&request, &expected, &answer);
        if request.key.is_some() {
            self.keyed.push(request);
        }
        Ok(())
    }

    /// Backdates the token of an `elapsed` action in Redis if the call has a valid proof: the player has waited.
    async fn backdate_token(&mut self, request: &Request) {
        let (RequestKind::Finalize { token: TokenRef::Issued(index), proof: ProofChoice::Valid }
        | RequestKind::Prove {
            anti_spam: Some(TokenRef::Issued(index)), proof: ProofChoice::Valid, ..
        }) = request.kind
        else {
            return;
        };
        let token = &mut self.model.tokens[index];
        if !matches!(token.kind, Kind::AntiSpam { action } if ACTIONS[action].proof == Proof::Elapsed) {
            return;
        }
        let (mut redis_client, key) =
            (self.stores.redis_client().await, format!("token:{}", token_id(&token.text)));
        let Some(value) = redis_client.query::<Option<String>>(&format!("GET {key}")).await else { return };
        let words: Vec<&str> = value.split(' ').collect();
        let offset: usize = words[..3].iter().map(|word| word.len() + 1).sum();
        let issued_ms = words[3].parse::<i64>().unwrap() - MIN_ELAPSED_MS;
        let _: u64 = redis_client.query(&format!("SETRANGE {key} {offset} {issued_ms}")).await;
        token.is_backdated = true;
    }

    async fn send(&self, node: &TestNode, request: &Request) -> TestResponse {
        let caller = match request.kind {
            RequestKind::Admin(_) => self.root,
            _ => &self.players[request.user],
        };
        let Some(body) = &request.body else {
            let bearer = format!("Bearer {}", caller.token);
            return node.send(Method::GET, &request.path, &[("authorization", &bearer)], Vec::new()).await;
        };
        let key = request.key.map(|key| format!("key-{key}"));
        let headers: Vec<_> = key.iter().map(|key| ("idempotency-key", key.as_str())).collect();
        node.post_with(&request.path, &caller.token, &headers, body).await
    }

    fn compare(&self, request: &Request, expected: &Outcome, answer: &TestResponse) -> TestCaseResult {
        let in_game = request.path.starts_with("/api/score/") || request.path.starts_with("/api/game/");
        let data = if in_game { &answer.body["data"] } else { &answer.body };
        let replayed = answer.header("idempotent-replayed") == "true";
        prop_assert_eq!(replayed, matches!(expected, Outcome::Replayed(..)), "expected {:?}", expected);
        match expected {
            Outcome::Refused(status, code) => {
                prop_assert_eq!((answer.status, answer.code()), (*status, *code));
                return Ok(());
            }
            Outcome::Replayed(status, text) => {
                prop_assert_eq!((answer.status, &answer.text), (*status, text))
            }
            Outcome::Proven => prop_assert_eq!(answer.status, 201),
            _ => prop_assert_eq!(answer.status, 200, "expected {:?}", expected),
        }
        match expected {
            Outcome::Awarded { score, rank, points } => {
                prop_assert_eq!((&data["newScore"], &data["rank"]), (&json!(score), &json!(rank)));
                if in_game {
                    prop_assert_eq!(&data["pointsEarned"], points);
                } else {
                    prop_assert_eq!(rows(&data["leaderboard"]), self.model.top());
                }
            }
            Outcome::Adjusted { score } => prop_assert_eq!(&answer.body["data"]["newScore"], score),
            Outcome::Ended { score, actions } => {
                prop_assert_eq!(
                    (&data["finalScore"], &data["actionsCompleted"]),
                    (&json!(score), &json!(actions))
                );
            }
            Outcome::SessionRead => {
                let session = self.model.users[request.user].session.as_ref().unwrap();
                prop_assert_eq!(&data["actionsCompleted"], session.actions);
                prop_assert_eq!(&data["actionToken"], &self.model.tokens[session.token].text);
                prop_assert_eq!(&data["sessionId"], &self.model.sessions[session.number]);
            }
            _ => {}
        }
        Ok(())
    }

    /// Records the values that the model cannot predict: tokens and sessions.
    fn record(&mut self, request: &Request, expected: &Outcome, answer: &TestResponse) {
        let (user, body) = (request.user, &answer.body);
        match (expected, request.kind) {
            (Outcome::Issued, RequestKind::Init { action }) => {
                let kind = Kind::AntiSpam { action };
                self.add_token(user, kind, &body["antiSpamToken"], body["challenge"].clone());
            }
            (Outcome::Proven, _) => {
                let action = ACTIONS.iter().position(|action| body["actionType"] == action.name).unwrap();
                let session = self.model.users[user].session.as_ref().map(|session| session.number);
                self.add_token(user, Kind::Proven { action, session }, &body["actionToken"], Value::Null);
            }
            (Outcome::Started, _) => {
                let number = self.model.sessions.len();
                self.model.sessions.push(body["data"]["sessionId"].as_str().unwrap().to_owned());
                let kind = Kind::Game { session: number };
                let token = self.add_token(user, kind, &body["data"]["actionToken"], Value::Null);
                self.model.users[user].newest_session = Some(number);
                self.model.users[user].session = Some(Session { number, actions: 0, token });
            }
            (Outcome::Awarded { .. }, RequestKind::Update { .. }) => {
                let number = self.model.users[user].newest_session.unwrap();
                let kind = Kind::Game { session: number };
                let token = self.add_token(user, kind, &body["data"]["newActionToken"], Value::Null);
                self.model.users[user].session.as_mut().unwrap().token = token;
            }
            _ => {}
        }
    }

    fn add_token(&mut self, owner: usize, kind: Kind, text: &Value, challenge: Value) -> usize {
        let text = text.as_str().unwrap().to_owned();
        self.model.tokens.push(Token { text, owner, kind, used: false, is_backdated: false, challenge });
        self.model.tokens.len() - 1
    }

    /// Compares the final state with the model: the boards of both nodes, Redis and the ledger.
    pub async fn finish(&self) -> TestCaseResult {
        for node in self.nodes {
            let mut board = node.board().await;
            for _ in 0..500 {
                if board == self.model.top() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                board = node.board().await;
            }
            prop_assert_eq!(board, self.model.top(), "the final board");
        }
        for (user, player) in self.players.iter().enumerate() {
            let path = format!("/api/scoreboard/user/{}", player.identity.user);
            let bearer = format!("Bearer {}", player.token);
            let answer = self.nodes[user % 2]
                .send(Method::GET, &path, &[("authorization", &bearer)], Vec::new())
                .await;
            let (score, rank) = self.model.standing(user);
            let data = &answer.body["data"];
            prop_assert_eq!((&data["score"], &data["rank"]), (&json!(score), &json!(rank)), "user {}", user);
        }
        let ids: Vec<_> = self.players.iter().map(|player| player.identity.user).collect();
        let own = self.nodes[0].app.store.totals(&ids).await.unwrap();
        let own: Vec<u64> = own.iter().map(|totals| totals.own.unwrap_or(0)).collect();
        let expected: Vec<u64> = self.model.users.iter().map(|user| user.total).collect();
        prop_assert_eq!(own, expected, "totals");
        self.nodes[0].wait_for_ledger().await;
        wait_until_boards_follow(&self.nodes[0].app).await;
        prop_assert_eq!(mismatches(&self.nodes[0].app).await, []);
        prop_assert_eq!(ledger_mismatches(&self.nodes[0].app).await, []);
        Ok(())
    }
}
