//! Builds the request of a call: its token, its proof, and its forgeries.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::calls::{AdminAction, Call, CallKind, Forgery, ProofChoice, SessionChoice, TokenChoice};
use super::case::Case;
use super::state::{ACTIONS, Kind, Proof, Request, RequestKind, Token, TokenRef};

impl Case<'_> {
    pub fn build_request(&self, call: &Call) -> Request {
        let user = call.user;
        let post = |path: &str, body: Value, kind: RequestKind, key: Option<u8>| Request {
            user,
            path: path.to_owned(),
            body: Some(body),
            key,
            kind,
        };
        match call.kind {
            CallKind::Repeat { nth } if !self.keyed.is_empty() => self.keyed[nth % self.keyed.len()].clone(),
            CallKind::Repeat { .. } | CallKind::GetSession => Request {
                user,
                path: "/api/game/session".into(),
                body: None,
                key: None,
                kind: RequestKind::GetSession,
            },
            CallKind::Start => post("/api/game/start", json!({}), RequestKind::Start, None),
            CallKind::End => post("/api/game/end", json!({}), RequestKind::End, None),
            CallKind::Init { action } => post(
                "/api/v1/actions/init",
                json!({ "actionType": action_name(action) }),
                RequestKind::Init { action },
                None,
            ),
            CallKind::Finalize { token, proof, key } => {
                let (text, token) =
                    self.choose_token(user, token, |kind| matches!(kind, Kind::AntiSpam { .. }));
                let body = json!({ "antiSpamToken": text, "proof": self.proof(token, proof) });
                post("/api/v1/actions/finalize", body, RequestKind::Finalize { token, proof }, key)
            }
            CallKind::Prove { action, anti_spam, proof, session, key } => {
                let anti_spam = anti_spam.map(|choice| {
                    self.choose_token(user, choice, |kind| matches!(kind, Kind::AntiSpam { .. }))
                });
                let token = anti_spam.as_ref().map(|it| it.1);
                let (session_id, session) = self.choose_session(user, session);
                let body = json!({
                    "actionType": action.map(action_name), "antiSpamToken": anti_spam.map(|it| it.0), "sessionId": session_id,
                    "proof": self.proof(token.unwrap_or(TokenRef::Empty), proof),
                });
                post(
                    "/api/v1/action-tokens",
                    body,
                    RequestKind::Prove { action, anti_spam: token, proof, session },
                    key,
                )
            }
            CallKind::Redeem { token, session, key } => {
                let (text, token) =
                    self.choose_token(user, token, |kind| matches!(kind, Kind::Proven { .. }));
                let (session_id, session) = self.choose_session(user, session);
                let body = json!({ "actionToken": text, "sessionId": session_id });
                post("/api/v1/scores", body, RequestKind::Redeem { token, session }, key)
            }
            CallKind::Update { token, action, points_error, key } => {
                let (text, token) = self.choose_token(user, token, |kind| matches!(kind, Kind::Game { .. }));
                let points = ACTIONS.get(action).map_or(1, |action| action.points as i64) + points_error;
                let body =
                    json!({ "actionToken": text, "actionType": action_name(action), "points": points });
                post("/api/score/update", body, RequestKind::Update { token, action, points }, key)
            }
            CallKind::Admin(action) => {
                let (endpoint, body) = admin_request(action);
                let path = format!("/api/admin/users/{}/{endpoint}", self.players[user].identity.number);
                post(&path, body, RequestKind::Admin(action), None)
            }
        }
    }

    /// The id and the number of the session that a request names.
    fn choose_session(&self, user: usize, choice: SessionChoice) -> (Option<String>, Option<usize>) {
        match (choice, self.model.users[user].newest_session) {
            (SessionChoice::Newest, Some(number)) => {
                (Some(self.model.sessions[number].clone()), Some(number))
            }
            (SessionChoice::Unknown, _) => (Some("sess_aaaaaaaaaaaaaaaaaaaa".to_owned()), Some(usize::MAX)),
            _ => (None, None),
        }
    }

    /// The token of a request, as text and for the model. `is_kind` selects the tokens of the API.
    fn choose_token(
        &self,
        user: usize,
        choice: TokenChoice,
        is_kind: impl Fn(&Kind) -> bool,
    ) -> (String, TokenRef) {
        let tokens = &self.model.tokens;
        let newest =
            tokens.iter().rposition(|token| token.owner == user && is_kind(&token.kind) && !token.used);
        let forgery = match choice {
            TokenChoice::Newest => match newest {
                Some(index) => return (tokens[index].text.clone(), TokenRef::Issued(index)),
                None => Forgery::Random,
            },
            TokenChoice::Own(nth) => {
                let own = tokens
                    .iter()
                    .enumerate()
                    .filter(|(_, token)| token.owner == user && is_kind(&token.kind));
                let own: Vec<usize> = own.map(|(index, _)| index).collect();
                match own.get(nth % own.len().max(1)).copied() {
                    Some(index) => return (tokens[index].text.clone(), TokenRef::Issued(index)),
                    None => Forgery::Random,
                }
            }
            TokenChoice::Any(nth) if !tokens.is_empty() => {
                let index = nth % tokens.len();
                return (tokens[index].text.clone(), TokenRef::Issued(index));
            }
            TokenChoice::Any(_) => Forgery::Random,
            TokenChoice::Forged(forgery) => forgery,
        };
        let text = newest.map_or("a.b.c", |index| &tokens[index].text);
        match (forgery, text.starts_with("act_")) {
            (Forgery::Empty, _) => (String::new(), TokenRef::Empty),
            (Forgery::Random, _) => (laurel::token::ActToken::new().as_str().to_owned(), TokenRef::Random),
            (Forgery::Changed(index), true) => (change_character(text, 4 + index % 20), TokenRef::Random),
            (Forgery::Changed(index), false) => {
                (change_character(text, index % text.len()), TokenRef::Malformed)
            }
            (Forgery::LoginKey, _) => (self.sign_with_login_key(text), TokenRef::Malformed),
            (Forgery::Unsigned, _) => (remove_signature(text), TokenRef::Malformed),
        }
    }

    fn sign_with_login_key(&self, jwt: &str) -> String {
        let key = EncodingKey::from_secret(self.stores.config.auth.jwt_secret.expose().as_bytes());
        jsonwebtoken::encode(&Header::default(), &read_claims(jwt), &key).unwrap()
    }

    /// A proof for the challenge of a token.
    fn proof(&self, token: TokenRef, choice: ProofChoice) -> Value {
        let TokenRef::Issued(index) = token else { return Value::Null };
        let Token { kind: Kind::AntiSpam { action }, challenge, .. } = &self.model.tokens[index] else {
            return Value::Null;
        };
        match (ACTIONS[*action].proof, choice) {
            (Proof::Quiz, ProofChoice::Valid) => {
                json!({ "quizResult": crate::http::proofs::quiz_answer(challenge["question"].as_str().unwrap()) })
            }
            (Proof::Quiz, ProofChoice::Invalid) => json!({ "quizResult": "Atlantis" }),
            (Proof::Quiz, ProofChoice::OtherKind) => json!({ "nonce": "1" }),
            (Proof::Hashcash, ProofChoice::Valid) => json!({ "nonce": find_nonce(challenge, true) }),
            (Proof::Hashcash, ProofChoice::Invalid) => json!({ "nonce": find_nonce(challenge, false) }),
            (Proof::Hashcash, ProofChoice::OtherKind) => json!({ "quizResult": "Paris" }),
            (Proof::None | Proof::Elapsed, _) | (_, ProofChoice::Missing) => Value::Null,
        }
    }
}

fn action_name(action: usize) -> &'static str {
    ACTIONS.get(action).map_or("print_money", |action| action.name)
}

/// The endpoint and the body of an admin action.
fn admin_request(action: AdminAction) -> (&'static str, Value) {
    let endpoint = match action {
        AdminAction::Ban => "ban",
        AdminAction::Unban => "unban",
        AdminAction::Quarantine => "quarantine",
        AdminAction::Approve => "approve",
        AdminAction::Void => "void",
        AdminAction::Adjust(points) => return ("adjust", json!({ "points": points, "reason": "the model" })),
    };
    (endpoint, json!({ "reason": "the model" }))
}

/// Replaces one character by another of the same alphabet.
fn change_character(text: &str, index: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

/// The id of an anti-spam token, which its key in Redis has.
pub fn token_id(jwt: &str) -> String {
    read_claims(jwt)["jti"].as_str().unwrap().to_owned()
}

fn read_claims(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    payload.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}

fn remove_signature(jwt: &str) -> String {
    format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#),
        jwt.split('.').nth(1).unwrap_or_default()
    )
}

/// A nonce that is valid for the challenge, or one that is not.
fn find_nonce(challenge: &Value, is_valid: bool) -> String {
    let (prefix, bits) = (challenge["prefix"].as_str().unwrap(), challenge["bits"].as_u64().unwrap());
    let solves = |nonce: &u64| {
        let hash = digest(&SHA256, format!("{prefix}{nonce}").as_bytes());
        let first = u64::from_be_bytes(hash.as_ref()[..8].try_into().unwrap());
        u64::from(first.leading_zeros()) >= bits
    };
    (0..).find(|nonce| solves(nonce) == is_valid).unwrap().to_string()
}
