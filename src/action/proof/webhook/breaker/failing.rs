//! The players whose calls failed lately. Bounded; time is passed in.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

/// Players remembered at once. Beyond it the one who failed longest ago is forgotten.
const MAX_PLAYERS: usize = 4096;

/// A player who has not failed for so long is forgotten.
const REMEMBERED: Duration = Duration::from_secs(300);

/// One player.
#[derive(Debug)]
struct Player {
    /// Failures since the player's last success.
    failures: u32,
    last: Instant,
    /// No call before then.
    shut_until: Option<Instant>,
    /// Others succeeded since this player first failed: so the player's input fails, and not the backend.
    is_alone: bool,
}

/// Who failed, and how the backend does for all.
#[derive(Debug, Default)]
pub struct Failing {
    players: HashMap<Uuid, Player>,
    /// Players in `players` who failed since anybody's last success: those that are not alone.
    in_a_row: u32,
}

impl Failing {
    /// Whether a player's calls failed lately, and none succeeded since.
    pub fn knows(&self, user: Uuid, now: Instant) -> bool {
        self.players.get(&user).is_some_and(|it| now < it.last + REMEMBERED)
    }

    /// Whether a player's own breaker is open.
    pub fn is_shut(&self, user: Uuid, now: Instant) -> bool {
        self.players.get(&user).is_some_and(|it| it.shut_until.is_some_and(|until| now < until))
    }

    /// Notes a success, which ends the streak of all and the player's own.
    pub fn succeeded(&mut self, user: Uuid) {
        self.players.remove(&user);
        if self.in_a_row > 0 {
            self.players.values_mut().for_each(|it| it.is_alone = true);
            self.in_a_row = 0;
        }
    }

    /// Notes a failure, which opens the player's own breaker if it is one too many. Returns how many players have failed in a row; one
    /// who fails while others succeed is not among them.
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
            // After that each call is a trial: one more failure shuts it again.
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
