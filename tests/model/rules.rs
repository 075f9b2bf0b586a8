//! The rules of the API as a small model: what each request may do, and its outcome.

use std::collections::HashMap;

use super::calls::{Given, Operation};
use super::state::Outcome::Refused;
use super::state::{ACTIONS, Action, Ask, Kind, Outcome, Proof, Request, Session, Shown, Token, User};

const FOREIGN: Outcome = Refused(401, "INVALID_TOKEN");
const MALFORMED: Outcome = Refused(400, "VALIDATION_ERROR");
const NO_ACTION: Outcome = Refused(400, "INVALID_ACTION");
const NO_SESSION: Outcome = Refused(404, "TOKEN_NOT_FOUND");
const OTHER_SESSION: Outcome = Refused(409, "SESSION_MISMATCH");
const UNPROVEN: Outcome = Refused(422, "PROOF_INVALID");

/// A refusal stands on the left, as it ends the checks.
type Judged = Result<Outcome, Outcome>;

fn require(holds: bool, refusal: Outcome) -> Result<(), Outcome> {
    if holds { Ok(()) } else { Err(refusal) }
}

#[derive(Default)]
pub struct Model {
    pub users: Vec<User>,
    pub tokens: Vec<Token>,
    /// Session numbers are places in here.
    pub sessions: Vec<String>,
    /// First answers, by user and key.
    kept: HashMap<(usize, u8), (String, u16, String)>,
    events: usize,
}

impl Model {
    /// Users by name; nothing has happened.
    pub fn new(names: impl Iterator<Item = String>) -> Self {
        Self { users: names.map(|name| User { name, ..User::default() }).collect(), ..Self::default() }
    }

    pub fn judge(&mut self, request: &Request) -> Outcome {
        let who = request.who;
        let judged = match request.ask {
            Ask::Init { action } => self.init(who, action),
            Ask::Finalize { token, proof } => self.finalize(request, token, proof),
            Ask::Prove { action, asked, proof, session } => {
                self.prove(request, action, asked, proof, session)
            }
            Ask::Redeem { token, session } => self.redeem(request, token, session),
            Ask::Start => self.admit(who).map(|()| Outcome::Started),
            Ask::Look => self.live(who).map(|_| Outcome::Looked),
            Ask::End => self.end(who),
            Ask::Update { token, action, points } => self.update(request, token, action, points),
            Ask::Operate(operation) => self.operate(who, operation),
        };
        judged.unwrap_or_else(|refused| refused)
    }

    /// Keeps a first answer: of an award, of a proven token, and of a proof that failed.
    pub fn keep(&mut self, request: &Request, outcome: &Outcome, status: u16, text: &str) {
        let is_first = matches!(outcome, Outcome::Awarded { .. } | Outcome::Proven) || *outcome == UNPROVEN;
        if let (Some(key), true) = (request.key, is_first) {
            self.kept.insert((request.who, key), (digest(request), status, text.to_owned()));
        }
    }

    fn init(&mut self, who: usize, action: usize) -> Judged {
        require(action < ACTIONS.len(), NO_ACTION)?;
        self.admit(who)?;
        self.within_limits(who, action).map(|()| Outcome::Issued)
    }

    fn finalize(&mut self, request: &Request, token: Shown, proof: Given) -> Judged {
        let (token, action) = self.anti_spam(request.who, token)?;
        let holds = self.holds(action, proof, Some(token))?;
        self.first_under_key(request)?;
        self.admit(request.who)?;
        self.unused(token)?;
        self.within_limits(request.who, action)?;
        self.spans_apart(request.who, action)?;
        self.tokens[token].used = true;
        require(holds, UNPROVEN)?;
        Ok(self.award(request.who, action))
    }

    fn prove(
        &mut self,
        request: &Request,
        action: Option<usize>,
        asked: Option<Shown>,
        proof: Given,
        session: Option<usize>,
    ) -> Judged {
        let who = request.who;
        let asked = asked.filter(|it| !matches!(it, Shown::Empty));
        require(action.is_some() || asked.is_some(), MALFORMED)?;
        let asked = asked.map(|it| self.anti_spam(who, it)).transpose()?;
        let for_action = asked.map(|it| it.1).or(action).unwrap_or(ACTIONS.len());
        require(for_action < ACTIONS.len() && action.is_none_or(|it| it == for_action), NO_ACTION)?;
        let token = asked.map(|it| it.0);
        require(token.is_some() || ACTIONS[for_action].proof == Proof::None, MALFORMED)?;
        let holds = self.holds(for_action, proof, token)?;
        self.first_under_key(request)?;
        self.admit(who)?;
        self.lives(who, session)?;
        token.map_or(Ok(()), |it| self.unused(it))?;
        self.within_limits(who, for_action)?;
        token.into_iter().for_each(|it| self.tokens[it].used = true);
        require(holds, UNPROVEN).map(|()| Outcome::Proven)
    }

    fn redeem(&mut self, request: &Request, token: Shown, session: Option<usize>) -> Judged {
        self.act_shaped(token)?;
        self.first_under_key(request)?;
        self.admit(request.who)?;
        let token = self.own(request.who, token)?;
        let Kind::Proven { action, session: bound } = self.tokens[token].kind else { return Err(FOREIGN) };
        require(session.is_none() || session == bound, OTHER_SESSION)?;
        self.lives(request.who, bound)?;
        self.within_limits(request.who, action)?;
        self.spans_apart(request.who, action)?;
        self.tokens[token].used = true;
        if let (Some(_), Some(live)) = (bound, &mut self.users[request.who].session) {
            live.actions += 1;
        }
        Ok(self.award(request.who, action))
    }

    fn update(&mut self, request: &Request, token: Shown, action: usize, points: i64) -> Judged {
        self.act_shaped(token)?;
        require(ACTIONS.get(action).is_some_and(|it| it.in_game), NO_ACTION)?;
        require(ACTIONS[action].points as i64 == points, Refused(400, "INVALID_POINTS"))?;
        self.first_under_key(request)?;
        self.admit(request.who)?;
        let live = self.live(request.who)?.number;
        let token = self.own(request.who, token)?;
        let Kind::Game { session } = self.tokens[token].kind else { return Err(FOREIGN) };
        require(session == live, OTHER_SESSION)?;
        self.within_limits(request.who, action)?;
        self.tokens[token].used = true;
        if let Some(live) = &mut self.users[request.who].session {
            live.actions += 1;
        }
        Ok(self.award(request.who, action))
    }

    fn end(&mut self, who: usize) -> Judged {
        let actions = self.live(who)?.actions;
        self.users[who].session = None;
        Ok(Outcome::Ended { score: self.users[who].total, actions })
    }

    fn operate(&mut self, who: usize, operation: Operation) -> Judged {
        let now = self.next_event();
        let user = &mut self.users[who];
        match operation {
            Operation::Ban => user.banned = true,
            Operation::Unban => user.banned = false,
            Operation::Quarantine => user.quarantined = true,
            Operation::Approve => {
                (user.quarantined, user.shown, user.shown_since) = (false, user.total, user.total_since);
            }
            Operation::Void => {
                require(user.quarantined, MALFORMED)?;
                (user.quarantined, user.total, user.total_since) = (false, user.shown, user.shown_since);
                return Ok(Outcome::Adjusted { score: user.total });
            }
            Operation::Adjust(by) => {
                require(!user.quarantined && by != 0, MALFORMED)?;
                user.total = user.total.checked_add_signed(by).ok_or(MALFORMED)?;
                user.total_since = now;
                (user.shown, user.shown_since) = (user.total, now);
                return Ok(Outcome::Adjusted { score: user.total });
            }
        }
        Ok(Outcome::Restricted)
    }

    fn award(&mut self, who: usize, action: usize) -> Outcome {
        let now = self.next_event();
        let Action { points, daily, proof, .. } = ACTIONS[action];
        let user = &mut self.users[who];
        user.had_daily |= daily;
        user.had_elapsed |= proof == Proof::Elapsed;
        user.total += points;
        user.total_since = now;
        if !user.quarantined {
            (user.shown, user.shown_since) = (user.total, now);
        }
        let score = user.total;
        Outcome::Awarded { score, rank: self.rank(score), points }
    }

    fn next_event(&mut self) -> usize {
        self.events += 1;
        self.events
    }

    fn admit(&self, who: usize) -> Result<(), Outcome> {
        require(!self.users[who].banned, Refused(403, "FORBIDDEN"))
    }

    fn live(&self, who: usize) -> Result<&Session, Outcome> {
        self.users[who].session.as_ref().ok_or(NO_SESSION)
    }

    /// The session that is named, if one is, has to be the live one.
    fn lives(&self, who: usize, named: Option<usize>) -> Result<(), Outcome> {
        named.map_or(Ok(()), |it| require(self.live(who)?.number == it, OTHER_SESSION))
    }

    fn unused(&self, token: usize) -> Result<(), Outcome> {
        require(!self.tokens[token].used, Refused(409, "TOKEN_ALREADY_USED"))
    }

    fn within_limits(&self, who: usize, action: usize) -> Result<(), Outcome> {
        let reached = ACTIONS[action].daily && self.users[who].had_daily;
        require(!reached, Refused(429, "ACTION_LIMIT_REACHED"))
    }

    /// Asked when a token is redeemed, and not when it is asked for: two spans of `elapsed` do not overlap.
    fn spans_apart(&self, who: usize, action: usize) -> Result<(), Outcome> {
        let overlap = ACTIONS[action].proof == Proof::Elapsed && self.users[who].had_elapsed;
        require(!overlap, Refused(429, "ACTION_LIMIT_REACHED"))
    }

    /// Whether a proof holds; one of another shape than its action's is no try.
    fn holds(&self, action: usize, proof: Given, token: Option<usize>) -> Result<bool, Outcome> {
        match (ACTIONS[action].proof, proof) {
            (Proof::None, _) => Ok(true),
            (Proof::Elapsed, _) => Ok(token.is_some_and(|it| self.tokens[it].aged)),
            (_, Given::Right) => Ok(true),
            (_, Given::Wrong) => Ok(false),
            (_, Given::OtherKind | Given::Nothing) => Err(MALFORMED),
        }
    }

    fn first_under_key(&self, request: &Request) -> Result<(), Outcome> {
        let kept = request.key.and_then(|it| self.kept.get(&(request.who, it)));
        match kept {
            None => Ok(()),
            Some((first, status, text)) if *first == digest(request) => {
                Err(Outcome::Again(*status, text.clone()))
            }
            Some(_) => Err(Refused(409, "IDEMPOTENCY_MISMATCH")),
        }
    }

    /// An anti-spam token of this user, and its action. Its signature says whose it is, before anything else is looked at.
    fn anti_spam(&self, who: usize, token: Shown) -> Result<(usize, usize), Outcome> {
        let Shown::Known(place) = token else { return Err(FOREIGN) };
        match &self.tokens[place] {
            Token { kind: Kind::AntiSpam { action }, owner, .. } if *owner == who => Ok((place, *action)),
            _ => Err(FOREIGN),
        }
    }

    fn act_shaped(&self, token: Shown) -> Result<(), Outcome> {
        let is = match token {
            Shown::Known(place) => self.tokens[place].text.starts_with("act_"),
            Shown::MadeUp => true,
            Shown::Malformed | Shown::Empty => false,
        };
        require(is, FOREIGN)
    }

    /// An `act_` token of this user that was not used. Of a used one it is no longer known whose it was.
    fn own(&self, who: usize, token: Shown) -> Result<usize, Outcome> {
        let Shown::Known(place) = token else { return Err(FOREIGN) };
        self.unused(place)?;
        require(self.tokens[place].owner == who, FOREIGN).map(|()| place)
    }

    fn on_board(&self) -> impl Iterator<Item = &User> {
        self.users.iter().filter(|it| !it.banned && it.shown > 0)
    }

    fn rank(&self, score: u64) -> u64 {
        1 + self.on_board().filter(|it| it.shown > score).count() as u64
    }

    /// Score and rank as others see them.
    pub fn standing(&self, who: usize) -> (u64, Option<u64>) {
        let user = &self.users[who];
        if user.banned || user.shown == 0 { (0, None) } else { (user.shown, Some(self.rank(user.shown))) }
    }

    /// The top list as (username, score, rank). Of equal scores, the one reached first comes first.
    pub fn top(&self) -> Vec<(String, u64, u64)> {
        let mut all: Vec<_> = self.on_board().collect();
        all.sort_by_key(|it| (std::cmp::Reverse(it.shown), it.shown_since));
        all.iter().take(10).map(|it| (it.name.clone(), it.shown, self.rank(it.shown))).collect()
    }
}

/// A key is bound to the flow and the body of its first request.
fn digest(request: &Request) -> String {
    format!("{} {:?}", request.path, request.body)
}
