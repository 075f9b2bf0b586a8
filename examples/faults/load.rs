//! Players, each with one award at a time: most retry under an idempotency key until they have a response, some never retry, some redeem
//! a token on two nodes at once or again after it was used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::flows::{self, ACTIONS, Flow, IssuedToken, Player};
use super::history::{Attempt, Event, History, Response};
use super::random::Random;

/// How long a player retries.
const RETRY_TIMEOUT: Duration = Duration::from_secs(45);

/// What players share.
pub struct Load {
    pub client: reqwest::Client,
    pub bases: Vec<String>,
    /// How long a player pauses after an award.
    pub pause: Duration,
    pub history: Arc<History>,
    pub stop: AtomicBool,
}

/// How a player redeems a token.
enum Habit {
    /// Under a key, with retries until there is a response.
    Careful,
    /// Once.
    Careless,
    /// On two nodes at the same time.
    Racing,
    /// Like careful, and once more without a key.
    Greedy,
}

impl Habit {
    fn any(random: &mut Random) -> Self {
        match random.below(20) {
            0..14 => Self::Careful,
            14..16 => Self::Careless,
            16..18 => Self::Racing,
            _ => Self::Greedy,
        }
    }
}

impl Load {
    /// Plays until the stop, and finishes the current award.
    pub async fn play(self: Arc<Self>, player: Arc<Player>, mut random: Random) {
        let mut next_game_token = None;
        while !self.stop.load(Ordering::Relaxed) {
            let (flow, action) = (Flow::any(&mut random), random.below(ACTIONS.len()));
            let game_token = if flow == Flow::Game { next_game_token.take() } else { None };
            let base = &self.bases[random.below(self.bases.len())];
            let token = match flows::get_token(&self.client, base, &player, flow, action, game_token).await {
                Ok(token) => token,
                Err(error) => {
                    self.history.add_not_issued(error);
                    tokio::time::sleep(Duration::from_millis(random.between(20, 200))).await;
                    continue;
                }
            };
            let (_, points, is_acknowledged_by_ledger) = ACTIONS[action];
            let event = Event {
                user: player.user,
                flow: flow.name(),
                points,
                is_acknowledged_by_ledger,
                is_from_last_round: false,
                attempts: Vec::new(),
            };
            self.history.add_issued(token.event_id, event);
            let next = self.redeem(&player, &token, &mut random).await;
            if flow == Flow::Game {
                next_game_token = next;
            }
            tokio::time::sleep(self.pause).await;
        }
    }

    async fn redeem(&self, player: &Player, token: &IssuedToken, random: &mut Random) -> Option<String> {
        match Habit::any(random) {
            Habit::Careful => self.redeem_with_retries(player, token, random).await,
            Habit::Careless => self.redeem_once(player, token, random.below(self.bases.len()), "").await.1,
            Habit::Racing => {
                let first = random.below(self.bases.len());
                let second = (first + 1) % self.bases.len();
                let (one, two) = tokio::join!(
                    self.redeem_once(player, token, first, ""),
                    self.redeem_once(player, token, second, "")
                );
                one.1.or(two.1)
            }
            Habit::Greedy => {
                let next = self.redeem_with_retries(player, token, random).await;
                let again = self.redeem_once(player, token, random.below(self.bases.len()), "").await;
                next.or(again.1)
            }
        }
    }

    async fn redeem_with_retries(
        &self,
        player: &Player,
        token: &IssuedToken,
        random: &mut Random,
    ) -> Option<String> {
        let key = Uuid::new_v4().to_string();
        let (mut node, started) = (random.below(self.bases.len()), Instant::now());
        while started.elapsed() < RETRY_TIMEOUT {
            let (response, next) = self.redeem_once(player, token, node, &key).await;
            if !response.is_uncertain() {
                return next;
            }
            node = (node + 1) % self.bases.len();
            tokio::time::sleep(Duration::from_millis(random.between(20, 150))).await;
        }
        None
    }

    /// Returns the response, and the next game token.
    async fn redeem_once(
        &self,
        player: &Player,
        token: &IssuedToken,
        node: usize,
        key: &str,
    ) -> (Response, Option<String>) {
        let start = self.history.now();
        let response =
            flows::post(&self.client, &self.bases[node], token.path, player, key, &token.body).await;
        let (response, next) = flows::read(response);
        let end = self.history.now();
        let attempt = Attempt { node, key: key.to_owned(), start, end, response: response.clone() };
        self.history.add_attempt(token.event_id, attempt);
        (response, next)
    }
}
