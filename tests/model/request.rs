//! Turns a call into a request: its token, its proof, and what is forged.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::calls::{Call, Deed, Forgery, Given, Named, Operation, Pick};
use super::play::Play;
use super::state::{ACTIONS, Ask, Kind, Proof, Request, Shown, Token};

impl Play<'_> {
    pub fn request(&self, call: &Call) -> Request {
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
            Deed::Prove { action, asked, proof, session, key } => {
                let asked = asked.map(|it| self.pick(who, it, |it| matches!(it, Kind::AntiSpam { .. })));
                let shown = asked.as_ref().map(|it| it.1);
                let (named, session) = self.named(who, session);
                let body = json!({
                    "actionType": action.map(name), "antiSpamToken": asked.map(|it| it.0), "sessionId": named,
                    "proof": self.proof(shown.unwrap_or(Shown::Empty), proof),
                });
                ask("/api/v1/action-tokens", body, Ask::Prove { action, asked: shown, proof, session }, key)
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
            Pick::Own(nth) => {
                let own = |it: &&Token| it.owner == who && fits(&it.kind);
                let count = tokens.iter().filter(own).count();
                let place = (0..tokens.len()).filter(|it| own(&&tokens[*it])).nth(nth % count.max(1));
                match place {
                    Some(place) => return (tokens[place].text.clone(), Shown::Known(place)),
                    None => Forgery::MadeUp,
                }
            }
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
        let key = EncodingKey::from_secret(self.stores.config.auth.jwt_secret.expose().as_bytes());
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
                json!({ "quizResult": crate::http::proofs::quiz_answer(challenge["question"].as_str().unwrap()) })
            }
            (Proof::Quiz, Given::Wrong) => json!({ "quizResult": "Atlantis" }),
            (Proof::Quiz, Given::OtherKind) => json!({ "nonce": "1" }),
            (Proof::Hashcash, Given::Right) => json!({ "nonce": work(challenge, true) }),
            (Proof::Hashcash, Given::Wrong) => json!({ "nonce": work(challenge, false) }),
            (Proof::Hashcash, Given::OtherKind) => json!({ "quizResult": "Paris" }),
            (Proof::None | Proof::Elapsed, _) | (_, Given::Nothing) => Value::Null,
        }
    }
}

fn name(action: usize) -> &'static str {
    ACTIONS.get(action).map_or("print_money", |it| it.name)
}

fn operate(operation: Operation) -> (&'static str, Value) {
    let deed = match operation {
        Operation::Ban => "ban",
        Operation::Unban => "unban",
        Operation::Quarantine => "quarantine",
        Operation::Approve => "approve",
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

/// What Redis knows an anti-spam token by.
pub fn id(jwt: &str) -> String {
    claims(jwt)["jti"].as_str().unwrap().to_owned()
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
