//! Circuit breakers of one webhook: one shared by all players, and one for each player whose calls keep failing. The shared breaker counts
//! players, not failures, because a backend that fails on one player's input still serves the others. The caller passes the time in.

mod failing;

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

use crate::circuit_breaker::CircuitBreaker;
use failing::Failing;

struct Inner {
    shared: CircuitBreaker,
    /// Whether the shared breaker refused a player without recent failures since it opened.
    refused_others: bool,
    trial_is_running: bool,
    failing: Failing,
}

/// Which breaker refuses a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// The shared breaker: calls of many players failed.
    ForAll,
    /// The player's own breaker: only this player's calls failed.
    ForUser,
}

/// The breakers of one webhook.
pub struct Breaker {
    /// Players who fail in a row until the shared breaker opens, and failures of one player until that player's opens.
    opens_after: u32,
    open_for: Duration,
    inner: Mutex<Inner>,
}

/// An allowed call. If it is dropped without a result, for example because the client disconnected, it does not count.
pub struct Call<'a> {
    breaker: &'a Breaker,
    user: Uuid,
    is_trial: bool,
}

impl Breaker {
    /// Creates closed breakers. `opens_after` is at least 1.
    pub fn new(opens_after: u32, open_for: Duration) -> Self {
        let shared = CircuitBreaker::new(open_for);
        let failing = Failing::default();
        let inner = Inner { shared, refused_others: false, trial_is_running: false, failing };
        Self { opens_after, open_for, inner: Mutex::new(inner) }
    }

    /// The breaker that would refuse a player's call now, so that the player does not wait for a slot in vain.
    pub fn is_shut(&self, user: Uuid, now: Instant) -> Option<Shut> {
        self.inner.lock().is_shut(user, now, self.open_for)
    }

    /// Allows a player's call unless a breaker is open. The first call after the shared breaker was open is its trial.
    ///
    /// # Errors
    /// The breaker that is open.
    pub fn admit(&self, user: Uuid, now: Instant) -> Result<Call<'_>, Shut> {
        let mut inner = self.inner.lock();
        if let Some(shut) = inner.is_shut(user, now, self.open_for) {
            return Err(shut);
        }
        let is_trial = inner.shared.open_until().is_some() && inner.shared.allows(now);
        inner.trial_is_running = is_trial;
        Ok(Call { breaker: self, user, is_trial })
    }
}

impl Inner {
    fn is_shut(&mut self, user: Uuid, now: Instant, open_for: Duration) -> Option<Shut> {
        let Some(until) = self.shared.open_until() else {
            return self.failing.is_shut(user, now).then_some(Shut::ForUser);
        };
        if self.trial_is_running {
            return Some(Shut::ForAll);
        }
        let is_failing = self.failing.knows(user, now);
        self.refused_others |= !is_failing;
        // A player who failed would probably fail again and keep the breaker open for the others, so the trial waits for another player. If
        // none comes within `open_for`, a failing player may try.
        let waits_for_others = is_failing && self.refused_others && now < until + open_for;
        (now < until || waits_for_others).then_some(Shut::ForAll)
    }

    fn await_trial(&mut self) {
        self.refused_others = false;
        self.trial_is_running = false;
    }
}

impl Call<'_> {
    /// Records a clear response. Only the trial closes an open breaker, not a call that began before it opened.
    pub fn succeeded(mut self) {
        let mut inner = self.breaker.inner.lock();
        if self.is_trial || inner.shared.open_until().is_none() {
            inner.shared.close();
            inner.failing.succeeded(self.user);
        }
        self.is_trial = false;
    }

    /// Records a failure.
    pub fn failed(mut self, now: Instant) {
        let Breaker { opens_after, open_for, .. } = *self.breaker;
        let mut inner = self.breaker.inner.lock();
        let in_a_row = inner.failing.failed(self.user, now, opens_after, open_for);
        if self.is_trial || (inner.shared.open_until().is_none() && in_a_row >= opens_after) {
            inner.shared.open(now);
            inner.await_trial();
        }
        self.is_trial = false;
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.is_trial {
            let mut inner = self.breaker.inner.lock();
            inner.shared.repeat_trial(Instant::now());
            inner.await_trial();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(10);

    fn player(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn clock() -> impl Fn(u64) -> Instant {
        let start = Instant::now();
        move |seconds| start + Duration::from_secs(seconds)
    }

    fn fail(breaker: &Breaker, number: u128, now: Instant) {
        breaker.admit(player(number), now).unwrap_or_else(|shut| panic!("{number}: {shut:?}")).failed(now);
    }

    fn succeed(breaker: &Breaker, number: u128, now: Instant) {
        breaker.admit(player(number), now).unwrap_or_else(|shut| panic!("{number}: {shut:?}")).succeeded();
    }

    #[test]
    fn it_opens_after_failures_in_a_row_of_so_many_players_and_one_trial_closes_it() {
        let (breaker, after) = (Breaker::new(2, OPEN_FOR), clock());
        fail(&breaker, 1, after(0));
        succeed(&breaker, 3, after(0));
        fail(&breaker, 2, after(0));
        let late = breaker.admit(player(3), after(0)).unwrap();
        fail(&breaker, 4, after(0));
        assert_eq!(breaker.is_shut(player(3), after(9)), Some(Shut::ForAll));
        late.succeeded();
        assert_eq!(
            breaker.is_shut(player(3), after(9)),
            Some(Shut::ForAll),
            "a call from before the breaker opened does not close it"
        );

        assert_eq!(breaker.is_shut(player(3), after(10)), None);
        let trial = breaker.admit(player(3), after(10)).unwrap();
        assert!(breaker.admit(player(5), after(11)).is_err(), "one at a time");
        trial.failed(after(11));
        assert_eq!(breaker.is_shut(player(5), after(20)), Some(Shut::ForAll));
        succeed(&breaker, 5, after(21));
        assert_eq!(breaker.is_shut(player(5), after(21)), None);
    }

    #[test]
    fn two_players_who_fail_as_often_as_they_may_shut_it_for_nobody_else() {
        let (breaker, after) = (Breaker::new(5, OPEN_FOR), clock());
        for second in 0..600 {
            for cheat in [1, 2] {
                if let Ok(call) = breaker.admit(player(cheat), after(second)) {
                    call.failed(after(second));
                }
            }
            if second % 7 == 0 {
                succeed(&breaker, 100 + u128::from(second), after(second));
            }
        }
    }

    #[test]
    fn players_who_fail_while_others_succeed_shut_it_once_at_most() {
        let (breaker, after) = (Breaker::new(3, OPEN_FOR), clock());
        for cheat in 1..=3 {
            fail(&breaker, cheat, after(0));
        }
        assert_eq!(breaker.is_shut(player(9), after(0)), Some(Shut::ForAll));
        succeed(&breaker, 9, after(10));
        for second in 20..290 {
            for cheat in 1..=3 {
                if let Ok(call) = breaker.admit(player(cheat), after(second)) {
                    call.failed(after(second));
                }
            }
            assert_eq!(breaker.is_shut(player(9), after(second)), None, "second {second}");
        }
    }

    #[test]
    fn a_player_who_keeps_failing_is_shut_out_alone_and_tries_again() {
        let (breaker, after) = (Breaker::new(3, OPEN_FOR), clock());
        for _ in 0..3 {
            fail(&breaker, 1, after(0));
        }
        assert_eq!(breaker.admit(player(1), after(9)).err(), Some(Shut::ForUser));
        assert_eq!(breaker.is_shut(player(2), after(9)), None);
        fail(&breaker, 1, after(10));
        assert_eq!(
            breaker.admit(player(1), after(19)).err(),
            Some(Shut::ForUser),
            "one failure is enough then"
        );
        succeed(&breaker, 1, after(20));
        fail(&breaker, 1, after(20));
        assert_eq!(breaker.is_shut(player(1), after(20)), None, "a success resets the count");
    }

    #[test]
    fn the_trial_is_for_a_player_who_did_not_fail_if_there_is_one() {
        let (breaker, after) = (Breaker::new(2, OPEN_FOR), clock());
        fail(&breaker, 1, after(0));
        fail(&breaker, 2, after(0));
        // Another player was refused, so the trial waits for another player, for `OPEN_FOR` at most.
        assert!(breaker.admit(player(3), after(5)).is_err());
        for cheat in [1, 2] {
            assert!(breaker.admit(player(cheat), after(10)).is_err());
            assert!(breaker.admit(player(cheat), after(19)).is_err());
        }
        let trial = breaker.admit(player(3), after(19)).unwrap();
        trial.failed(after(19));
        // No other player was refused this time.
        breaker.admit(player(2), after(29)).unwrap().failed(after(29));
        assert!(breaker.admit(player(4), after(30)).is_err());
        assert!(breaker.admit(player(1), after(48)).is_err());
        breaker.admit(player(1), after(49)).unwrap().succeeded();
        assert_eq!(breaker.is_shut(player(4), after(49)), None);
    }

    #[test]
    fn a_trial_that_is_given_up_leaves_the_next_one_to_others() {
        let breaker = Breaker::new(1, Duration::ZERO);
        let start = Instant::now();
        fail(&breaker, 1, start);
        drop(breaker.admit(player(2), start).unwrap());
        assert!(breaker.admit(player(2), Instant::now()).is_ok());
    }

    #[test]
    fn players_that_failed_are_forgotten_in_time_and_never_too_many() {
        let (breaker, after) = (Breaker::new(100_000, OPEN_FOR), clock());
        for number in 0..5000 {
            fail(&breaker, number, after(0));
        }
        assert_eq!(breaker.inner.lock().failing.count(), 4096);
        assert!(breaker.inner.lock().failing.knows(player(4999), after(299)));
        assert!(!breaker.inner.lock().failing.knows(player(4999), after(300)));
        fail(&breaker, 1_000_000, after(300));
        assert_eq!(breaker.inner.lock().failing.count(), 1, "expired players are removed");
    }
}
