//! Sends requests to a node and compares the answers with the model.

use proptest::prop_assert_eq;
use proptest::test_runner::{TestCaseError, TestCaseResult};
use reqwest::Method;
use serde_json::{Value, json};

use super::LEAST_MS;
use super::calls::{Call, Given};
use super::request::id;
use super::rules::Model;
use super::state::{ACTIONS, Ask, Kind, Outcome, Proof, Request, Session, Shown, Token};
use crate::harness::{Player, TestNode, TestResponse, TestStores, ledger_mismatches, mismatches, rows};

/// A sequence as it is played: the model, and who is who.
pub struct Play<'a> {
    pub stores: &'a TestStores,
    pub nodes: &'a [TestNode; 2],
    pub root: &'a Player,
    pub players: Vec<Player>,
    pub model: Model,
    /// Requests with a key, to be repeated.
    pub keyed: Vec<Request>,
}

impl<'a> Play<'a> {
    pub fn new(
        stores: &'a TestStores,
        nodes: &'a [TestNode; 2],
        root: &'a Player,
        players: Vec<Player>,
    ) -> Self {
        let model = Model::new(players.iter().map(|it| it.identity.username.clone()));
        Self { stores, nodes, root, players, model, keyed: Vec::new() }
    }

    pub async fn call(&mut self, call: &Call) -> TestCaseResult {
        let request = self.request(call);
        self.wait_for(&request).await;
        let wanted = self.model.judge(&request);
        let answer = self.send(&self.nodes[call.node], &request).await;
        self.compare(&request, &wanted, &answer)
            .map_err(|why| TestCaseError::fail(format!("{call:?}\n{request:?}\n{}\n{why}", answer.text)))?;
        self.model.keep(&request, &wanted, answer.status, &answer.text);
        self.learn(&request, &wanted, &answer);
        if request.key.is_some() {
            self.keyed.push(request);
        }
        Ok(())
    }

    /// Whoever gives the right proof of an action that takes time has waited: its token is made older.
    async fn wait_for(&mut self, request: &Request) {
        let (Ask::Finalize { token: Shown::Known(place), proof: Given::Right }
        | Ask::Prove { asked: Some(Shown::Known(place)), proof: Given::Right, .. }) = request.ask
        else {
            return;
        };
        let token = &mut self.model.tokens[place];
        if !matches!(token.kind, Kind::AntiSpam { action } if ACTIONS[action].proof == Proof::Elapsed) {
            return;
        }
        let (mut redis_client, key) =
            (self.stores.redis_client().await, format!("token:{}", id(&token.text)));
        let Some(kept) = redis_client.query::<Option<String>>(&format!("GET {key}")).await else { return };
        let words: Vec<&str> = kept.split(' ').collect();
        let place: usize = words[..3].iter().map(|it| it.len() + 1).sum();
        let issued_ms = words[3].parse::<i64>().unwrap() - LEAST_MS;
        let _: u64 = redis_client.query(&format!("SETRANGE {key} {place} {issued_ms}")).await;
        token.aged = true;
    }

    async fn send(&self, node: &TestNode, request: &Request) -> TestResponse {
        let caller = match request.ask {
            Ask::Operate(_) => self.root,
            _ => &self.players[request.who],
        };
        let Some(body) = &request.body else {
            let bearer = format!("Bearer {}", caller.token);
            return node.send(Method::GET, &request.path, &[("authorization", &bearer)], Vec::new()).await;
        };
        let key = request.key.map(|it| format!("key-{it}"));
        let headers: Vec<_> = key.iter().map(|it| ("idempotency-key", it.as_str())).collect();
        node.post_with(&request.path, &caller.token, &headers, body).await
    }

    fn compare(&self, request: &Request, wanted: &Outcome, answer: &TestResponse) -> TestCaseResult {
        let in_game = request.path.starts_with("/api/score/") || request.path.starts_with("/api/game/");
        let told = if in_game { &answer.body["data"] } else { &answer.body };
        let replayed = answer.header("idempotent-replayed") == "true";
        prop_assert_eq!(replayed, matches!(wanted, Outcome::Again(..)), "wanted {:?}", wanted);
        match wanted {
            Outcome::Refused(status, code) => {
                prop_assert_eq!((answer.status, answer.code()), (*status, *code));
                return Ok(());
            }
            Outcome::Again(status, text) => prop_assert_eq!((answer.status, &answer.text), (*status, text)),
            Outcome::Proven => prop_assert_eq!(answer.status, 201),
            _ => prop_assert_eq!(answer.status, 200, "wanted {:?}", wanted),
        }
        match wanted {
            Outcome::Awarded { score, rank, points } => {
                prop_assert_eq!((&told["newScore"], &told["rank"]), (&json!(score), &json!(rank)));
                if in_game {
                    prop_assert_eq!(&told["pointsEarned"], points);
                } else {
                    prop_assert_eq!(rows(&told["leaderboard"]), self.model.top());
                }
            }
            Outcome::Adjusted { score } => prop_assert_eq!(&answer.body["data"]["newScore"], score),
            Outcome::Ended { score, actions } => {
                prop_assert_eq!(
                    (&told["finalScore"], &told["actionsCompleted"]),
                    (&json!(score), &json!(actions))
                );
            }
            Outcome::Looked => {
                let session = self.model.users[request.who].session.as_ref().unwrap();
                prop_assert_eq!(&told["actionsCompleted"], session.actions);
                prop_assert_eq!(&told["actionToken"], &self.model.tokens[session.token].text);
                prop_assert_eq!(&told["sessionId"], &self.model.sessions[session.number]);
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes in what no model can foresee: tokens and sessions.
    fn learn(&mut self, request: &Request, wanted: &Outcome, answer: &TestResponse) {
        let (who, told) = (request.who, &answer.body);
        match (wanted, request.ask) {
            (Outcome::Issued, Ask::Init { action }) => {
                let kind = Kind::AntiSpam { action };
                self.keep_token(who, kind, &told["antiSpamToken"], told["challenge"].clone());
            }
            (Outcome::Proven, _) => {
                let action = ACTIONS.iter().position(|it| told["actionType"] == it.name).unwrap();
                let session = self.model.users[who].session.as_ref().map(|it| it.number);
                self.keep_token(who, Kind::Proven { action, session }, &told["actionToken"], Value::Null);
            }
            (Outcome::Started, _) => {
                let number = self.model.sessions.len();
                self.model.sessions.push(told["data"]["sessionId"].as_str().unwrap().to_owned());
                let kind = Kind::Game { session: number };
                let token = self.keep_token(who, kind, &told["data"]["actionToken"], Value::Null);
                self.model.users[who].newest_session = Some(number);
                self.model.users[who].session = Some(Session { number, actions: 0, token });
            }
            (Outcome::Awarded { .. }, Ask::Update { .. }) => {
                let number = self.model.users[who].newest_session.unwrap();
                let kind = Kind::Game { session: number };
                let token = self.keep_token(who, kind, &told["data"]["newActionToken"], Value::Null);
                self.model.users[who].session.as_mut().unwrap().token = token;
            }
            _ => {}
        }
    }

    fn keep_token(&mut self, owner: usize, kind: Kind, text: &Value, challenge: Value) -> usize {
        let text = text.as_str().unwrap().to_owned();
        self.model.tokens.push(Token { text, owner, kind, used: false, aged: false, challenge });
        self.model.tokens.len() - 1
    }

    /// Where everybody stands at last: on both boards, in Redis and in the ledger.
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
            prop_assert_eq!(board, self.model.top(), "the board at the end");
        }
        for (who, player) in self.players.iter().enumerate() {
            let path = format!("/api/scoreboard/user/{}", player.identity.user);
            let bearer = format!("Bearer {}", player.token);
            let told =
                self.nodes[who % 2].send(Method::GET, &path, &[("authorization", &bearer)], Vec::new()).await;
            let (score, rank) = self.model.standing(who);
            let data = &told.body["data"];
            prop_assert_eq!((&data["score"], &data["rank"]), (&json!(score), &json!(rank)), "user {}", who);
        }
        let ids: Vec<_> = self.players.iter().map(|it| it.identity.user).collect();
        let own = self.nodes[0].app.store.totals(&ids).await.unwrap();
        let own: Vec<u64> = own.iter().map(|it| it.own.unwrap_or(0)).collect();
        let wanted: Vec<u64> = self.model.users.iter().map(|it| it.total).collect();
        prop_assert_eq!(own, wanted, "totals");
        self.nodes[0].wait_for_ledger().await;
        prop_assert_eq!(mismatches(&self.nodes[0].app).await, []);
        prop_assert_eq!(ledger_mismatches(&self.nodes[0].app).await, []);
        Ok(())
    }
}
