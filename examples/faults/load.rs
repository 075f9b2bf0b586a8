//! Players, each with one award under way at a time: most ask again under an idempotency key until they have an answer, some never
//! do, some hand a token in on two nodes at once or again after it was used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::dice::Dice;
use super::flows::{self, ACTIONS, Flow, Player, Ticket};
use super::history::{Answer, Attempt, Event, History};

/// How long a player asks for an answer.
const PATIENCE: Duration = Duration::from_secs(45);

/// What players share.
pub struct Load {
    pub client: reqwest::Client,
    pub bases: Vec<String>,
    /// How long a player pauses after an award.
    pub pause: Duration,
    pub history: Arc<History>,
    pub stop: AtomicBool,
}

/// How a player hands a token in.
enum Habit {
    /// Under a key, again and again until there is an answer.
    Careful,
    /// Once.
    Careless,
    /// On two nodes at the same time.
    Racing,
    /// Carefully, and once more without a key when it was awarded.
    Greedy,
}

impl Habit {
    fn any(dice: &mut Dice) -> Self {
        match dice.below(20) {
            0..14 => Self::Careful,
            14..16 => Self::Careless,
            16..18 => Self::Racing,
            _ => Self::Greedy,
        }
    }
}

impl Load {
    /// Plays until the stop, and ends what was begun.
    pub async fn play(self: Arc<Self>, player: Arc<Player>, mut dice: Dice) {
        let mut next = None;
        while !self.stop.load(Ordering::Relaxed) {
            let (flow, action) = (Flow::any(&mut dice), dice.below(ACTIONS.len()));
            let known = if flow == Flow::Game { next.take() } else { None };
            let base = &self.bases[dice.below(self.bases.len())];
            let ticket = match flows::ticket(&self.client, base, &player, flow, action, known).await {
                Ok(ticket) => ticket,
                Err(why) => {
                    self.history.not_issued(why);
                    tokio::time::sleep(Duration::from_millis(dice.between(20, 200))).await;
                    continue;
                }
            };
            let (_, points, by_ledger) = ACTIONS[action];
            let event = Event {
                user: player.user,
                flow: flow.name(),
                points,
                by_ledger,
                late: false,
                attempts: Vec::new(),
            };
            self.history.issued(ticket.id, event);
            let given = self.hand_in(&player, &ticket, &mut dice).await;
            if flow == Flow::Game {
                next = given;
            }
            tokio::time::sleep(self.pause).await;
        }
    }

    async fn hand_in(&self, player: &Player, ticket: &Ticket, dice: &mut Dice) -> Option<String> {
        match Habit::any(dice) {
            Habit::Careful => self.ask_until_answered(player, ticket, dice).await,
            Habit::Careless => self.ask(player, ticket, dice.below(self.bases.len()), "").await.1,
            Habit::Racing => {
                let first = dice.below(self.bases.len());
                let second = (first + 1) % self.bases.len();
                let (one, two) =
                    tokio::join!(self.ask(player, ticket, first, ""), self.ask(player, ticket, second, ""));
                one.1.or(two.1)
            }
            Habit::Greedy => {
                let next = self.ask_until_answered(player, ticket, dice).await;
                let again = self.ask(player, ticket, dice.below(self.bases.len()), "").await;
                next.or(again.1)
            }
        }
    }

    async fn ask_until_answered(&self, player: &Player, ticket: &Ticket, dice: &mut Dice) -> Option<String> {
        let key = Uuid::new_v4().to_string();
        let (mut node, began) = (dice.below(self.bases.len()), Instant::now());
        while began.elapsed() < PATIENCE {
            let (answer, next) = self.ask(player, ticket, node, &key).await;
            if let Answer::AwardReply { .. } | Answer::Refused(_) = answer {
                return next;
            }
            node = (node + 1) % self.bases.len();
            tokio::time::sleep(Duration::from_millis(dice.between(20, 150))).await;
        }
        None
    }

    async fn ask(
        &self,
        player: &Player,
        ticket: &Ticket,
        node: usize,
        key: &str,
    ) -> (Answer, Option<String>) {
        let start = self.history.now();
        let answer =
            flows::post(&self.client, &self.bases[node], ticket.path, player, key, &ticket.body).await;
        let (answer, next) = flows::read(answer);
        let end = self.history.now();
        let attempt = Attempt { node, key: key.to_owned(), start, end, answer: answer.clone() };
        self.history.attempted(ticket.id, attempt);
        (answer, next)
    }
}
