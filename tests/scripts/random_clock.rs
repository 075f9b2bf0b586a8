//! Limits while Redis' clock advances, jumps ahead and is set back at random, compared with a model.

use std::collections::BTreeSet;
use std::sync::Arc;

use laurel::action::Limits;
use laurel::store::Store;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestError, TestRunner};
use uuid::Uuid;

use super::clock::{DAY_MS, award_within, next_midnight_ms, set_clock, world_with_fake_clock};
use crate::harness::TestStores;

const CASES: u32 = 24;
const SECOND_MS: i64 = 1000;
const HOUR_MS: i64 = 3600 * SECOND_MS;
const COOLDOWN_MS: i64 = 30 * SECOND_MS;

/// A change of the clock before an attempt.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Moves by this many seconds; negative values set it back.
    By(i64),
    /// Moves to the start of the next hour plus this many seconds.
    ToHour(i64),
    /// Moves to the start of the next day plus this many seconds.
    ToDay(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..90_i64).prop_map(Step::By),
        2 => (0..5400_i64).prop_map(Step::By),
        3 => (-10..0_i64).prop_map(Step::By),
        1 => (-3600..0_i64).prop_map(Step::By),
        1 => (-86_400..0_i64).prop_map(Step::By),
        1 => (0..86_400_i64).prop_map(Step::By),
        3 => (-3..3_i64).prop_map(Step::ToHour),
        2 => (-3..3_i64).prop_map(Step::ToDay),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let caps = (0..3_u64, 0..3_u64, any::<bool>());
    caps.prop_map(|(cap_per_hour, cap_per_day, has_cooldown)| Limits {
        cap_per_hour,
        cap_per_day,
        cooldown_ms: if has_cooldown { COOLDOWN_MS as u64 } else { 0 },
        ..Limits::default()
    })
}

impl Step {
    fn apply_to(self, now_ms: i64) -> i64 {
        let next = |length_ms: i64| (now_ms / length_ms + 1) * length_ms;
        match self {
            Self::By(seconds) => now_ms + seconds * SECOND_MS,
            Self::ToHour(seconds) => next(HOUR_MS) + seconds * SECOND_MS,
            Self::ToDay(seconds) => next(DAY_MS) + seconds * SECOND_MS,
        }
    }
}

/// The model of one cap. The number of awards is at most the cap times the number of periods that the clock has shown. If the clock is
/// set back by more than one period, the count restarts.
struct Cap {
    cap: u64,
    length_ms: i64,
    latest_ms: i64,
    /// Numbers of the periods that the clock has shown.
    periods: BTreeSet<i64>,
    awards: u64,
}

impl Cap {
    fn new(cap: u64, length_ms: i64) -> Self {
        Self { cap, length_ms, latest_ms: 0, periods: BTreeSet::new(), awards: 0 }
    }

    fn set_clock(&mut self, now_ms: i64) {
        if now_ms < self.latest_ms - self.length_ms {
            *self = Self::new(self.cap, self.length_ms);
        }
        self.latest_ms = self.latest_ms.max(now_ms);
        self.periods.insert(now_ms / self.length_ms);
    }

    fn award(&mut self) -> TestCaseResult {
        self.awards += 1;
        let max = self.cap * self.periods.len() as u64;
        prop_assert!(self.cap == 0 || self.awards <= max, "{} awards in {:?}", self.awards, self.periods);
        Ok(())
    }
}

#[test]
fn caps_hold_and_expire_under_any_clock() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (stores, store) = runtime.block_on(world_with_fake_clock());
    let start_ms = runtime.block_on(next_midnight_ms(&store)) - 10 * SECOND_MS;
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let sequences = (limits(), prop::collection::vec(step(), 1..24));
    let outcome = TestRunner::new(config)
        .run(&sequences, |(limits, steps)| runtime.block_on(run(&stores, &store, start_ms, &limits, &steps)));
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => panic!("{why}\n{input:#?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

async fn run(
    stores: &TestStores,
    store: &Arc<Store>,
    start_ms: i64,
    limits: &Limits,
    steps: &[Step],
) -> TestCaseResult {
    let user = Uuid::new_v4();
    let mut now_ms = start_ms;
    let mut caps = [Cap::new(limits.cap_per_hour, HOUR_MS), Cap::new(limits.cap_per_day, DAY_MS)];
    // The earliest time that the clock has shown since the last award.
    let mut cooldown_from_ms = None;
    for step in steps {
        now_ms = step.apply_to(now_ms);
        set_clock(stores, now_ms);
        caps.iter_mut().for_each(|cap| cap.set_clock(now_ms));
        match award_within(store, user, limits).await {
            Ok(()) => {
                for cap in &mut caps {
                    cap.award()?;
                }
                let is_over = cooldown_from_ms
                    .is_none_or(|from_ms| limits.cooldown_ms == 0 || now_ms >= from_ms + COOLDOWN_MS);
                prop_assert!(is_over, "the award ignores the cooldown");
                cooldown_from_ms = Some(now_ms);
            }
            Err(wait_ms) => {
                let max_ms = if limits.cap_per_day > 0 {
                    2 * DAY_MS
                } else if limits.cap_per_hour > 0 {
                    2 * HOUR_MS
                } else {
                    COOLDOWN_MS
                };
                prop_assert!((1..=max_ms as u64).contains(&wait_ms), "{wait_ms} ms to wait");
                cooldown_from_ms = cooldown_from_ms.map(|from_ms: i64| from_ms.min(now_ms));
            }
        }
    }
    // After the wait, the award succeeds.
    if let Err(wait_ms) = award_within(store, user, limits).await {
        set_clock(stores, now_ms + (wait_ms as i64 + 999) / SECOND_MS * SECOND_MS);
        prop_assert_eq!(award_within(store, user, limits).await, Ok(()));
    }
    Ok(())
}
