//! The rules of the API as a small model, which predicts the outcome of each request.

use std::collections::HashMap;

use super::RUNS;
use super::calls::{AdminAction, ProofChoice};
use super::state::Outcome::Refused;
use super::state::{
    ACTIONS, Action, Kind, Outcome, Proof, Request, RequestKind, Session, Token, TokenRef, User,
};

const FOREIGN: Outcome = Refused(401, "INVALID_TOKEN");
const MALFORMED: Outcome = Refused(400, "VALIDATION_ERROR");
const NO_ACTION: Outcome = Refused(400, "INVALID_ACTION");
const NO_SESSION: Outcome = Refused(404, "TOKEN_NOT_FOUND");
const OTHER_SESSION: Outcome = Refused(409, "SESSION_MISMATCH");
const UNPROVEN: Outcome = Refused(422, "PROOF_INVALID");

/// The error is a refusal, which ends the checks.
type Prediction = Result<Outcome, Outcome>;

fn require(condition: bool, refusal: Outcome) -> Result<(), Outcome> {
    if condition { Ok(()) } else { Err(refusal) }
}

#[derive(Default)]
pub struct Model {
    pub users: Vec<User>,
    pub tokens: Vec<Token>,
    /// Session ids. The number of a session is its index.
    pub sessions: Vec<String>,
    /// First responses by user and idempotency key: request digest, status and body.
    responses: HashMap<(usize, u8), (String, u16, String)>,
    events: usize,
}

impl Model {
    /// Users with these names, without awards.
    pub fn new(names: impl Iterator<Item = String>) -> Self {
        Self { users: names.map(|name| User { name, ..User::default() }).collect(), ..Self::default() }
    }

    /// Applies a request to the model and returns the expected outcome.
    pub fn apply(&mut self, request: &Request) -> Outcome {
        let user = request.user;
        let prediction = match request.kind {
            RequestKind::Init { action } => self.init(user, action),
            RequestKind::Finalize { token, proof } => self.finalize(request, token, proof),
            RequestKind::Prove { action, anti_spam, proof, session } => {
                self.prove(request, action, anti_spam, proof, session)
            }
            RequestKind::Redeem { token, session } => self.redeem(request, token, session),
            RequestKind::Start => self.check_not_banned(user).map(|()| Outcome::Started),
            RequestKind::GetSession => self.current_session(user).map(|_| Outcome::SessionRead),
            RequestKind::End => self.end(user),
            RequestKind::Update { token, action, points } => self.update(request, token, action, points),
            RequestKind::Admin(action) => self.run_admin_action(user, action),
        };
        prediction.unwrap_or_else(|refusal| refusal)
    }

    /// Stores a first response: of an award, of a proven token, and of a proof that failed.
    pub fn store_response(&mut self, request: &Request, outcome: &Outcome, status: u16, text: &str) {
        let is_stored = matches!(outcome, Outcome::Awarded { .. } | Outcome::Proven) || *outcome == UNPROVEN;
        if let (Some(key), true) = (request.key, is_stored) {
            self.responses.insert((request.user, key), (digest(request), status, text.to_owned()));
        }
    }

    fn init(&mut self, user: usize, action: usize) -> Prediction {
        require(action < ACTIONS.len(), NO_ACTION)?;
        self.check_not_banned(user)?;
        self.check_daily_cap(user, action).map(|()| Outcome::Issued)
    }

    fn finalize(&mut self, request: &Request, token: TokenRef, proof: ProofChoice) -> Prediction {
        let (token, action) = self.own_anti_spam_token(request.user, token)?;
        let is_valid = self.is_proof_valid(action, proof, Some(token))?;
        self.check_idempotency_key(request)?;
        self.check_not_banned(request.user)?;
        self.check_unused(token)?;
        self.check_daily_cap(request.user, action)?;
        self.check_elapsed_interval(request.user, action)?;
        self.check_attempts(request.user, action)?;
        self.tokens[token].used = true;
        require(is_valid, UNPROVEN)?;
        Ok(self.award(request.user, action))
    }

    fn prove(
        &mut self,
        request: &Request,
        action: Option<usize>,
        anti_spam: Option<TokenRef>,
        proof: ProofChoice,
        session: Option<usize>,
    ) -> Prediction {
        let user = request.user;
        let anti_spam = anti_spam.filter(|token| !matches!(token, TokenRef::Empty));
        require(action.is_some() || anti_spam.is_some(), MALFORMED)?;
        let anti_spam = anti_spam.map(|token| self.own_anti_spam_token(user, token)).transpose()?;
        let proven_action = anti_spam.map(|it| it.1).or(action).unwrap_or(ACTIONS.len());
        let is_same = action.is_none_or(|action| action == proven_action);
        require(proven_action < ACTIONS.len() && is_same, NO_ACTION)?;
        let token = anti_spam.map(|it| it.0);
        require(token.is_some() || ACTIONS[proven_action].proof == Proof::None, MALFORMED)?;
        let is_valid = self.is_proof_valid(proven_action, proof, token)?;
        self.check_idempotency_key(request)?;
        self.check_not_banned(user)?;
        self.check_session(user, session)?;
        token.map_or(Ok(()), |token| self.check_unused(token))?;
        self.check_daily_cap(user, proven_action)?;
        token.into_iter().for_each(|token| self.tokens[token].used = true);
        require(is_valid, UNPROVEN).map(|()| Outcome::Proven)
    }

    fn redeem(&mut self, request: &Request, token: TokenRef, session: Option<usize>) -> Prediction {
        self.check_act_format(token)?;
        self.check_idempotency_key(request)?;
        self.check_not_banned(request.user)?;
        let token = self.own_act_token(request.user, token)?;
        let Kind::Proven { action, session: bound } = self.tokens[token].kind else { return Err(FOREIGN) };
        require(session.is_none() || session == bound, OTHER_SESSION)?;
        self.check_session(request.user, bound)?;
        self.check_daily_cap(request.user, action)?;
        self.check_elapsed_interval(request.user, action)?;
        self.check_attempts(request.user, action)?;
        self.tokens[token].used = true;
        if let (Some(_), Some(live)) = (bound, &mut self.users[request.user].session) {
            live.actions += 1;
        }
        Ok(self.award(request.user, action))
    }

    fn update(&mut self, request: &Request, token: TokenRef, action: usize, points: i64) -> Prediction {
        self.check_act_format(token)?;
        require(ACTIONS.get(action).is_some_and(|action| action.in_game), NO_ACTION)?;
        require(ACTIONS[action].points as i64 == points, Refused(400, "INVALID_POINTS"))?;
        self.check_idempotency_key(request)?;
        self.check_not_banned(request.user)?;
        let live = self.current_session(request.user)?.number;
        let token = self.own_act_token(request.user, token)?;
        let Kind::Game { session } = self.tokens[token].kind else { return Err(FOREIGN) };
        require(session == live, OTHER_SESSION)?;
        self.check_daily_cap(request.user, action)?;
        self.check_attempts(request.user, action)?;
        self.tokens[token].used = true;
        if let Some(live) = &mut self.users[request.user].session {
            live.actions += 1;
        }
        Ok(self.award(request.user, action))
    }

    fn end(&mut self, user: usize) -> Prediction {
        let actions = self.current_session(user)?.actions;
        self.users[user].session = None;
        Ok(Outcome::Ended { score: self.users[user].total, actions })
    }

    fn run_admin_action(&mut self, user: usize, action: AdminAction) -> Prediction {
        let now = self.next_event();
        let state = &mut self.users[user];
        match action {
            AdminAction::Ban => state.banned = true,
            AdminAction::Unban => state.banned = false,
            AdminAction::Quarantine => state.quarantined = true,
            AdminAction::Approve => {
                (state.quarantined, state.board_score, state.board_score_since) =
                    (false, state.total, state.total_since);
            }
            AdminAction::Void => {
                require(state.quarantined, MALFORMED)?;
                (state.quarantined, state.total, state.total_since) =
                    (false, state.board_score, state.board_score_since);
                return Ok(Outcome::Adjusted { score: state.total });
            }
            AdminAction::Adjust(points) => {
                require(!state.quarantined && points != 0, MALFORMED)?;
                state.total = state.total.checked_add_signed(points).ok_or(MALFORMED)?;
                state.total_since = now;
                (state.board_score, state.board_score_since) = (state.total, now);
                return Ok(Outcome::Adjusted { score: state.total });
            }
        }
        Ok(Outcome::Restricted)
    }

    fn award(&mut self, user: usize, action: usize) -> Outcome {
        let now = self.next_event();
        let Action { name, points, daily, proof, .. } = ACTIONS[action];
        let state = &mut self.users[user];
        state.has_daily_award |= daily;
        state.has_elapsed_award |= proof == Proof::Elapsed;
        state.runs += u32::from(name == "free_run");
        state.total += points;
        if points > 0 {
            state.total_since = now;
        }
        if points > 0 && !state.quarantined {
            (state.board_score, state.board_score_since) = (state.total, now);
        }
        let score = state.total;
        Outcome::Awarded { score, rank: (score > 0).then(|| self.rank(score)), points }
    }

    fn next_event(&mut self) -> usize {
        self.events += 1;
        self.events
    }

    fn check_not_banned(&self, user: usize) -> Result<(), Outcome> {
        require(!self.users[user].banned, Refused(403, "FORBIDDEN"))
    }

    fn current_session(&self, user: usize) -> Result<&Session, Outcome> {
        self.users[user].session.as_ref().ok_or(NO_SESSION)
    }

    /// A named session must be the current one.
    fn check_session(&self, user: usize, named: Option<usize>) -> Result<(), Outcome> {
        named.map_or(Ok(()), |named| require(self.current_session(user)?.number == named, OTHER_SESSION))
    }

    fn check_unused(&self, token: usize) -> Result<(), Outcome> {
        require(!self.tokens[token].used, Refused(409, "TOKEN_ALREADY_USED"))
    }

    fn check_daily_cap(&self, user: usize, action: usize) -> Result<(), Outcome> {
        let reached = ACTIONS[action].daily && self.users[user].has_daily_award;
        require(!reached, Refused(429, "ACTION_LIMIT_REACHED"))
    }

    /// Only one board counts the action, and only so many awards of it.
    fn check_attempts(&self, user: usize, action: usize) -> Result<(), Outcome> {
        let is_full = ACTIONS[action].name == "free_run" && self.users[user].runs >= RUNS;
        require(!is_full, Refused(429, "ACTION_LIMIT_REACHED"))
    }

    /// Two spans of `elapsed` must not overlap. Checked when a token is redeemed, not when it is issued.
    fn check_elapsed_interval(&self, user: usize, action: usize) -> Result<(), Outcome> {
        let overlaps = ACTIONS[action].proof == Proof::Elapsed && self.users[user].has_elapsed_award;
        require(!overlaps, Refused(429, "ACTION_LIMIT_REACHED"))
    }

    /// True if the proof is valid. A proof of another kind than the action's is malformed, and does not spend the token.
    fn is_proof_valid(
        &self,
        action: usize,
        proof: ProofChoice,
        token: Option<usize>,
    ) -> Result<bool, Outcome> {
        match (ACTIONS[action].proof, proof) {
            (Proof::None, _) => Ok(true),
            (Proof::Elapsed, _) => Ok(token.is_some_and(|token| self.tokens[token].is_backdated)),
            (_, ProofChoice::Valid) => Ok(true),
            (_, ProofChoice::Invalid) => Ok(false),
            (_, ProofChoice::OtherKind | ProofChoice::Missing) => Err(MALFORMED),
        }
    }

    fn check_idempotency_key(&self, request: &Request) -> Result<(), Outcome> {
        let response = request.key.and_then(|key| self.responses.get(&(request.user, key)));
        match response {
            None => Ok(()),
            Some((first, status, text)) if *first == digest(request) => {
                Err(Outcome::Replayed(*status, text.clone()))
            }
            Some(_) => Err(Refused(409, "IDEMPOTENCY_MISMATCH")),
        }
    }

    /// The index and the action of an anti-spam token, which must be this user's. Its signature names the user, so this is the first check.
    fn own_anti_spam_token(&self, user: usize, token: TokenRef) -> Result<(usize, usize), Outcome> {
        let TokenRef::Issued(index) = token else { return Err(FOREIGN) };
        match &self.tokens[index] {
            Token { kind: Kind::AntiSpam { action }, owner, .. } if *owner == user => Ok((index, *action)),
            _ => Err(FOREIGN),
        }
    }

    fn check_act_format(&self, token: TokenRef) -> Result<(), Outcome> {
        let is_valid = match token {
            TokenRef::Issued(index) => self.tokens[index].text.starts_with("act_"),
            TokenRef::Random => true,
            TokenRef::Malformed | TokenRef::Empty => false,
        };
        require(is_valid, FOREIGN)
    }

    /// The index of an unused `act_` token of this user. A used token is refused as used, because Redis no longer has its owner.
    fn own_act_token(&self, user: usize, token: TokenRef) -> Result<usize, Outcome> {
        let TokenRef::Issued(index) = token else { return Err(FOREIGN) };
        self.check_unused(index)?;
        require(self.tokens[index].owner == user, FOREIGN).map(|()| index)
    }

    fn on_board(&self) -> impl Iterator<Item = &User> {
        self.users.iter().filter(|user| !user.banned && user.board_score > 0)
    }

    fn rank(&self, score: u64) -> u64 {
        1 + self.on_board().filter(|user| user.board_score > score).count() as u64
    }

    /// The public score and rank.
    pub fn standing(&self, user: usize) -> (u64, Option<u64>) {
        let state = &self.users[user];
        let score = state.board_score;
        if state.banned || score == 0 { (0, None) } else { (score, Some(self.rank(score))) }
    }

    /// The top list as (username, score, rank). Of equal scores, the one reached first comes first.
    pub fn top(&self) -> Vec<(String, u64, u64)> {
        let mut all: Vec<_> = self.on_board().collect();
        all.sort_by_key(|user| (std::cmp::Reverse(user.board_score), user.board_score_since));
        all.iter()
            .take(10)
            .map(|user| (user.name.clone(), user.board_score, self.rank(user.board_score)))
            .collect()
    }
}

/// An idempotency key is bound to the path and the body of its first request.
fn digest(request: &Request) -> String {
    format!("{} {:?}", request.path, request.body)
}
