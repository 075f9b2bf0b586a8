//! Calls become requests, go to a node, and their answers are held against the model.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use proptest::test_runner::{TestCaseError, TestCaseResult};
use proptest::{prop_assert, prop_assert_eq};
use reqwest::Method;
use serde_json::{Value, json};

use super::calls::{Call, Deed, Forgery, Given, Named, Operation, Pick};
use super::rules::{ACTIONS, Ask, Kind, Model, Outcome, Proof, Request, Session, Shown, Token};
use crate::harness::{Answer, Player, TestNode, World, rows};

/// A sequence as it is played: the model, and who is who.
pub struct Play<'a> {
    pub world: &'a World,
    pub nodes: &'a [TestNode; 2],
    pub root: &'a Player,
    pub players: Vec<Player>,
    pub model: Model,
    /// Requests with a key, to be repeated.
    keyed: Vec<Request>,
}

impl<'a> Play<'a> {
    pub fn new(world: &'a World, nodes: &'a [TestNode; 2], root: &'a Player, players: Vec<Player>) -> Self {
        let model = Model::new(players.iter().map(|it| it.identity.username.clone()));
        Self { world, nodes, root, players, model, keyed: Vec::new() }
    }

    pub async fn call(&mut self, call: &Call) -> TestCaseResult {
        let request = self.request(call);
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

    fn request(&self, call: &Call) -> Request {
        let who = call.who;
        let ask = |path: &str, body: Value, ask: Ask, key: Option<u8>| Request {
            who,
            path: path.to_owned(),
            body: Some(body),
            key,
            ask,
        };
        match call.deed {
            Deed::Repeat { nth } if !self.keyed.is_empty() => self.keyed[nth % self.keyed.len()].clone(),
            Deed::Repeat { .. } | Deed::Look => {
                Request { who, path: "/api/game/session".into(), body: None, key: None, ask: Ask::Look }
            }
            Deed::Start => ask("/api/game/start", json!({}), Ask::Start, None),
            Deed::End => ask("/api/game/end", json!({}), Ask::End, None),
            Deed::Init { action } => {
                ask("/api/v1/actions/init", json!({ "actionType": name(action) }), Ask::Init { action }, None)
            }
            Deed::Finalize { token, proof, key } => {
                let (text, token) = self.pick(who, token, |it| matches!(it, Kind::AntiSpam { .. }));
                let body = json!({ "antiSpamToken": text, "proof": self.proof(token, proof) });
                ask("/api/v1/actions/finalize", body, Ask::Finalize { token, proof }, key)
            }
            Deed::Prove { action, asked, proof, session } => {
                let asked = asked.map(|it| self.pick(who, it, |it| matches!(it, Kind::AntiSpam { .. })));
                let shown = asked.as_ref().map(|it| it.1);
                let (named, session) = self.named(who, session);
                let body = json!({
                    "actionType": action.map(name), "antiSpamToken": asked.map(|it| it.0), "sessionId": named,
                    "proof": self.proof(shown.unwrap_or(Shown::Empty), proof),
                });
                ask("/api/v1/action-tokens", body, Ask::Prove { action, asked: shown, proof, session }, None)
            }
            Deed::Redeem { token, session, key } => {
                let (text, token) = self.pick(who, token, |it| matches!(it, Kind::Proven { .. }));
                let (named, session) = self.named(who, session);
                let body = json!({ "actionToken": text, "sessionId": named });
                ask("/api/v1/scores", body, Ask::Redeem { token, session }, key)
            }
            Deed::Update { token, action, points_off, key } => {
                let (text, token) = self.pick(who, token, |it| matches!(it, Kind::Game { .. }));
                let points = ACTIONS.get(action).map_or(1, |it| it.points as i64) + points_off;
                let body = json!({ "actionToken": text, "actionType": name(action), "points": points });
                ask("/api/score/update", body, Ask::Update { token, action, points }, key)
            }
            Deed::Operate(operation) => {
                let (deed, body) = operate(operation);
                let path = format!("/api/admin/users/{}/{deed}", self.players[who].identity.number);
                ask(&path, body, Ask::Operate(operation), None)
            }
        }
    }

    fn named(&self, who: usize, named: Named) -> (Option<String>, Option<usize>) {
        match (named, self.model.users[who].newest_session) {
            (Named::Newest, Some(number)) => (Some(self.model.sessions[number].clone()), Some(number)),
            (Named::Other, _) => (Some("sess_aaaaaaaaaaaaaaaaaaaa".to_owned()), Some(usize::MAX)),
            _ => (None, None),
        }
    }

    /// The token that is shown, as text and as the model knows it.
    fn pick(&self, who: usize, pick: Pick, fits: impl Fn(&Kind) -> bool) -> (String, Shown) {
        let tokens = &self.model.tokens;
        let mine = tokens.iter().rposition(|it| it.owner == who && fits(&it.kind) && !it.used);
        let forgery = match pick {
            Pick::Mine => match mine {
                Some(place) => return (tokens[place].text.clone(), Shown::Known(place)),
                None => Forgery::MadeUp,
            },
            Pick::Any(nth) if !tokens.is_empty() => {
                let place = nth % tokens.len();
                return (tokens[place].text.clone(), Shown::Known(place));
            }
            Pick::Any(_) => Forgery::MadeUp,
            Pick::Forged(forgery) => forgery,
        };
        let text = mine.map_or("a.b.c", |it| &tokens[it].text);
        match (forgery, text.starts_with("act_")) {
            (Forgery::Empty, _) => (String::new(), Shown::Empty),
            (Forgery::MadeUp, _) => (laurel::token::ActToken::new().as_str().to_owned(), Shown::MadeUp),
            (Forgery::Changed(place), true) => (changed(text, 4 + place % 20), Shown::MadeUp),
            (Forgery::Changed(place), false) => (changed(text, place % text.len()), Shown::Malformed),
            (Forgery::LoginKey, _) => (self.signed_with_login_key(text), Shown::Malformed),
            (Forgery::Unsigned, _) => (unsigned(text), Shown::Malformed),
        }
    }

    fn signed_with_login_key(&self, jwt: &str) -> String {
        let key = EncodingKey::from_secret(self.world.config.auth.jwt_secret.expose().as_bytes());
        jsonwebtoken::encode(&Header::default(), &claims(jwt), &key).unwrap()
    }

    /// The proof for what a token asks.
    fn proof(&self, token: Shown, given: Given) -> Value {
        let Shown::Known(place) = token else { return Value::Null };
        let Token { kind: Kind::AntiSpam { action }, challenge, .. } = &self.model.tokens[place] else {
            return Value::Null;
        };
        match (ACTIONS[*action].proof, given) {
            (Proof::Quiz, Given::Right) => {
                json!({ "quizResult": crate::http::proofs::answer(challenge["question"].as_str().unwrap()) })
            }
            (Proof::Quiz, Given::Wrong) => json!({ "quizResult": "Atlantis" }),
            (Proof::Quiz, Given::OtherKind) => json!({ "nonce": "1" }),
            (Proof::Hashcash, Given::Right) => json!({ "nonce": work(challenge, true) }),
            (Proof::Hashcash, Given::Wrong) => json!({ "nonce": work(challenge, false) }),
            (Proof::Hashcash, Given::OtherKind) => json!({ "quizResult": "Paris" }),
            (Proof::None | Proof::Elapsed, _) | (_, Given::Nothing) => Value::Null,
        }
    }

    async fn send(&self, node: &TestNode, request: &Request) -> Answer {
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

    fn compare(&self, request: &Request, wanted: &Outcome, answer: &Answer) -> TestCaseResult {
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
                    prop_assert_eq!(rows(&told["leaderboard"]), self.model.ten());
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
    fn learn(&mut self, request: &Request, wanted: &Outcome, answer: &Answer) {
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
        self.model.tokens.push(Token { text, owner, kind, used: false, challenge });
        self.model.tokens.len() - 1
    }

    /// Where everybody stands at last: on both boards, in Redis and in the ledger.
    pub async fn finish(&self) -> TestCaseResult {
        for node in self.nodes {
            let mut board = node.board().await;
            for _ in 0..500 {
                if board == self.model.ten() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                board = node.board().await;
            }
            prop_assert_eq!(board, self.model.ten(), "the board at the end");
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
        self.nodes[0].written().await;
        let verified = laurel::ledger::verify(&self.nodes[0].app).await.unwrap();
        prop_assert!(verified.differences.is_empty(), "{:?}", verified.differences);
        Ok(())
    }
}

fn name(action: usize) -> &'static str {
    ACTIONS.get(action).map_or("print_money", |it| it.name)
}

fn operate(operation: Operation) -> (&'static str, Value) {
    let deed = match operation {
        Operation::Ban => "ban",
        Operation::Unban => "unban",
        Operation::SetAside => "set-aside",
        Operation::Confirm => "confirm",
        Operation::Void => "void",
        Operation::Adjust(points) => return ("adjust", json!({ "points": points, "reason": "the model" })),
    };
    (deed, json!({ "reason": "the model" }))
}

/// Another character of the same alphabet in one place; never the same token.
fn changed(text: &str, place: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

fn claims(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).and_then(|it| URL_SAFE_NO_PAD.decode(it).ok());
    payload.and_then(|it| serde_json::from_slice(&it).ok()).unwrap_or_default()
}

fn unsigned(jwt: &str) -> String {
    format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#),
        jwt.split('.').nth(1).unwrap_or_default()
    )
}

/// A nonce that does the work that was asked for, or one that does not.
fn work(challenge: &Value, done: bool) -> String {
    let (prefix, bits) = (challenge["prefix"].as_str().unwrap(), challenge["bits"].as_u64().unwrap());
    let does = |nonce: &u64| {
        let hash = digest(&SHA256, format!("{prefix}{nonce}").as_bytes());
        let first = u64::from_be_bytes(hash.as_ref()[..8].try_into().unwrap());
        u64::from(first.leading_zeros()) >= bits
    };
    (0..).find(|it| does(it) == done).unwrap().to_string()
}
