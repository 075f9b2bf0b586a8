//! What players and admins do in a batch, and what the model remembers of it.

use laurel::action::ProofResult;
use laurel::admin::{Restriction, adjust, find_user, restrict, void};
use laurel::app::App;
use rand::RngExt;
use rand::rngs::StdRng;
use uuid::Uuid;

use crate::model::decision;
use crate::scripts::{award_result, issue, number};

pub const ACTIONS: [&str; 3] = ["watch_ad", "solve_puzzle", "complete_level"];
pub const COUNTRIES: [&str; 3] = ["DE", "FR", "US"];
pub const MODES: [&str; 2] = ["ranked", "casual"];
const LARGEST_VALUE: u64 = (1 << 53) - 1;

#[derive(Clone, Debug)]
pub enum Move {
    Award { action: &'static str, points: u64, proof: ProofResult },
    Restrict(Restriction),
    Void,
    Adjust(i64),
}

impl Move {
    /// Mostly awards. Small numbers make ties.
    pub fn random(random: &mut StdRng) -> Self {
        match random.random_range(0..100) {
            0 => Self::Restrict(Restriction::Ban),
            1..5 => Self::Restrict(Restriction::Unban),
            5 => Self::Restrict(Restriction::Quarantine),
            6..8 => Self::Restrict(Restriction::Approve),
            8 => Self::Void,
            9..11 => Self::Adjust(pick(random, &[-30, -5, 5, 7])),
            _ => Self::Award {
                action: pick(random, &ACTIONS),
                points: pick(random, &[0, 0, 5, 5, 10, 20]),
                proof: random_proof(random),
            },
        }
    }
}

fn pick<T: Copy>(random: &mut StdRng, options: &[T]) -> T {
    options[random.random_range(0..options.len())]
}

fn random_proof(random: &mut StdRng) -> ProofResult {
    let mut proof = ProofResult::default();
    proof.award.value = match random.random_range(0..100) {
        0 => Some(LARGEST_VALUE),
        1..20 => None,
        _ => Some(random.random_range(0..6)),
    };
    proof.award.subscore = random.random_bool(0.5).then(|| random.random_range(0..3));
    for (tag, values) in [("country", &COUNTRIES[..]), ("mode", &MODES)] {
        if random.random_bool(0.8) {
            proof.award.tags.insert(tag.to_owned(), pick(random, values).to_owned());
        }
    }
    proof
}

/// An entry of the ledger that may count on boards.
pub struct Fact {
    /// For an adjustment, it is read from the ledger after the batch.
    pub hlc_us: i64,
    /// The ledger's event, until `hlc_us` is read.
    pub event: Option<Uuid>,
    pub points: i64,
    /// The action and what its proof established; `None`: an adjustment.
    pub award: Option<(&'static str, ProofResult)>,
    /// Made in a quarantine that was not decided yet.
    pub is_held: bool,
    pub is_voided: bool,
}

pub struct ModelPlayer {
    pub id: Uuid,
    pub is_banned: bool,
    pub is_quarantined: bool,
    /// In the order in which they happened.
    pub facts: Vec<Fact>,
}

impl ModelPlayer {
    pub fn new(id: Uuid) -> Self {
        Self { id, is_banned: false, is_quarantined: false, facts: Vec::new() }
    }

    /// Makes moves, one after the other.
    pub async fn play(&mut self, app: &App, moves: Vec<Move>) {
        for next in moves {
            match next {
                Move::Award { action, points, proof } => self.award(app, action, points, proof).await,
                Move::Restrict(restriction) => self.restrict(app, restriction).await,
                Move::Void => self.void(app).await,
                Move::Adjust(points) => self.adjust(app, points).await,
            }
        }
    }

    async fn award(&mut self, app: &App, action: &'static str, points: u64, proof: ProofResult) {
        if self.is_banned {
            let (issued, _) = app.store.issue(&issue(self.id, Uuid::new_v4())).await.unwrap();
            assert!(issued.is_err(), "{issued:?}");
            return;
        }
        let reply = award_result(&app.store, self.id, action, points, &proof).await;
        let hlc_us = reply.outcome.unwrap().receipt_data.hlc_us;
        self.facts.push(Fact {
            event: None,
            hlc_us,
            points: points as i64,
            award: Some((action, proof)),
            is_held: self.is_quarantined,
            is_voided: false,
        });
    }

    async fn restrict(&mut self, app: &App, restriction: Restriction) {
        restrict(&app.admin, self.id, restriction, None, &decision()).await.unwrap();
        match restriction {
            Restriction::Ban => self.is_banned = true,
            Restriction::Unban => self.is_banned = false,
            Restriction::Quarantine => self.is_quarantined = true,
            Restriction::Approve => {
                self.is_quarantined = false;
                self.facts.iter_mut().for_each(|fact| fact.is_held = false);
            }
        }
    }

    async fn void(&mut self, app: &App) {
        let outcome = void(&app.admin, self.id, None, &decision()).await;
        assert_eq!(outcome.is_ok(), self.is_quarantined, "{outcome:?}");
        self.is_quarantined = false;
        for fact in self.facts.iter_mut().filter(|fact| fact.is_held) {
            (fact.is_held, fact.is_voided) = (false, true);
        }
    }

    async fn adjust(&mut self, app: &App, points: i64) {
        let user = find_user(&app.admin, &number(self.id).to_string()).await.unwrap();
        let outcome = adjust(&app.admin, &user, points, None, &decision()).await;
        let total: i64 = self.facts.iter().filter(|fact| !fact.is_voided).map(|fact| fact.points).sum();
        assert_eq!(outcome.is_ok(), !self.is_quarantined && total + points >= 0, "{outcome:?}");
        if let Ok(adjustment) = outcome {
            self.facts.push(Fact {
                event: Some(adjustment.event_id),
                hlc_us: 0,
                points,
                award: None,
                is_held: false,
                is_voided: false,
            });
        }
    }
}
