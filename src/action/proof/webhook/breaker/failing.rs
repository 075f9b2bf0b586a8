//! The players whose calls failed recently. Bounded; the caller passes the time in.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

/// The most players in the list. Beyond it the player whose last failure is oldest is removed.
const MAX_PLAYERS: usize = 4096;

/// A player is removed after this time without a failure.
const REMEMBERED: Duration = Duration::from_secs(300);

/// One player.
#[derive(Debug)]
struct Player {
    /// Failures since the player's last success.
    failures: u32,
    last: Instant,
    /// No call before then.
    shut_until: Option<Instant>,
    /// True if others succeeded since this player first failed: then the player's input fails, not the backend.
    is_alone: bool,
}

/// The failing players and the shared streak of failures.
#[derive(Debug, Default)]
pub struct Failing {
    players: HashMap<Uuid, Player>,
    /// Players who failed since the last success of any player, which are those with `is_alone == false`.
    in_a_row: u32,
}

impl Failing {
    /// True if a player's calls failed recently and none succeeded since.
    pub fn knows(&self, user: Uuid, now: Instant) -> bool {
        self.players.get(&user).is_some_and(|it| now < it.last + REMEMBERED)
    }

    /// True if the player's own breaker is open.
    pub fn is_shut(&self, user: Uuid, now: Instant) -> bool {
        self.players.get(&user).is_some_and(|it| it.shut_until.is_some_and(|until| now < until))
    }

    /// Records a success, which ends the shared streak and the player's own.
    pub fn succeeded(&mut self, user: Uuid) {
        self.players.remove(&user);
        if self.in_a_row > 0 {
            self.players.values_mut().for_each(|it| it.is_alone = true);
            self.in_a_row = 0;
        }
    }

    /// Records a failure and opens the player's own breaker if there were too many. Returns how many players failed in a row, without those
    /// who fail while others succeed.
    pub fn failed(&mut self, user: Uuid, now: Instant, opens_after: u32, open_for: Duration) -> u32 {
        if !self.knows(user, now) {
            self.forget(user);
            self.make_room(now);
            let player = Player { failures: 0, last: now, shut_until: None, is_alone: false };
            self.players.insert(user, player);
            self.in_a_row += 1;
        }
        if let Some(player) = self.players.get_mut(&user) {
            player.failures = player.failures.saturating_add(1);
            player.last = now;
            // From then on each call is a trial: one more failure opens the breaker again.
            if player.failures >= opens_after {
                player.shut_until = Some(now + open_for);
            }
        }
        self.in_a_row
    }

    fn make_room(&mut self, now: Instant) {
        if self.players.len() < MAX_PLAYERS {
            return;
        }
        let oldest = self.players.iter().min_by_key(|(_, it)| it.last).map(|(user, _)| *user);
        let expired =
            self.players.iter().filter(|(_, it)| now >= it.last + REMEMBERED).map(|(user, _)| *user);
        let gone: Vec<Uuid> = expired.chain(oldest).collect();
        gone.into_iter().for_each(|user| self.forget(user));
    }

    fn forget(&mut self, user: Uuid) {
        if self.players.remove(&user).is_some_and(|it| !it.is_alone) {
            self.in_a_row -= 1;
        }
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.players.len()
    }
}
