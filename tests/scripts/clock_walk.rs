//! Limits while Redis' clock advances, leaps and is set back at random, compared with the times that it has shown.

use std::collections::BTreeSet;

use laurel::action::Limits;
use laurel::store::Store;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestError, TestRunner};
use uuid::Uuid;

use super::clock::{DAY_MS, midnight, stand, turned, win};
use crate::harness::TestStores;

const CASES: u32 = 24;
const SECOND_MS: i64 = 1000;
const HOUR_MS: i64 = 3600 * SECOND_MS;
const COOLDOWN_MS: i64 = 30 * SECOND_MS;

/// What the clock does before an attempt.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// By so many seconds, back if below 0.
    By(i64),
    /// To so many seconds beside the next hour that begins.
    ToHour(i64),
    /// To so many seconds beside the next day that begins.
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
    caps.prop_map(|(cap_per_hour, cap_per_day, cools)| Limits {
        cap_per_hour,
        cap_per_day,
        cooldown_ms: if cools { COOLDOWN_MS as u64 } else { 0 },
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

/// One cap, as an observer counts it. While the clock is never more than one period behind its latest, there are no more awards than
/// the cap for each period that it has shown. Where it is, the clock was far wrong, and the count restarts.
struct Cap {
    cap: u64,
    length_ms: i64,
    latest_ms: i64,
    shown: BTreeSet<i64>,
    awards: u64,
}

impl Cap {
    fn new(cap: u64, length_ms: i64) -> Self {
        Self { cap, length_ms, latest_ms: 0, shown: BTreeSet::new(), awards: 0 }
    }

    fn show(&mut self, now_ms: i64) {
        if now_ms < self.latest_ms - self.length_ms {
            *self = Self::new(self.cap, self.length_ms);
        }
        self.latest_ms = self.latest_ms.max(now_ms);
        self.shown.insert(now_ms / self.length_ms);
    }

    fn award(&mut self) -> TestCaseResult {
        self.awards += 1;
        let most = self.cap * self.shown.len() as u64;
        prop_assert!(self.cap == 0 || self.awards <= most, "{} awards in {:?}", self.awards, self.shown);
        Ok(())
    }
}

#[test]
fn caps_hold_and_expire_under_any_clock() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (stores, store) = runtime.block_on(turned());
    let start_ms = runtime.block_on(midnight(&store)) - 10 * SECOND_MS;
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let sequences = (limits(), prop::collection::vec(step(), 1..24));
    let outcome = TestRunner::new(config).run(&sequences, |(limits, steps)| {
        runtime.block_on(walk(&stores, &store, start_ms, &limits, &steps))
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, drawn)) => panic!("{why}\n{drawn:#?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

async fn walk(
    stores: &TestStores,
    store: &Store,
    start_ms: i64,
    limits: &Limits,
    steps: &[Step],
) -> TestCaseResult {
    let who = Uuid::new_v4();
    let mut now_ms = start_ms;
    let mut caps = [Cap::new(limits.cap_per_hour, HOUR_MS), Cap::new(limits.cap_per_day, DAY_MS)];
    // The earliest that the clock has shown since the last award.
    let mut cools_from_ms = None;
    for step in steps {
        now_ms = step.apply_to(now_ms);
        stand(stores, now_ms);
        caps.iter_mut().for_each(|it| it.show(now_ms));
        match win(store, who, limits).await {
            Ok(()) => {
                for cap in &mut caps {
                    cap.award()?;
                }
                let cooled =
                    cools_from_ms.is_none_or(|it| limits.cooldown_ms == 0 || now_ms >= it + COOLDOWN_MS);
                prop_assert!(cooled, "no cool-down");
                cools_from_ms = Some(now_ms);
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
                cools_from_ms = cools_from_ms.map(|it: i64| it.min(now_ms));
            }
        }
    }
    // Who has waited for as long as was said may go on.
    if let Err(wait_ms) = win(store, who, limits).await {
        stand(stores, now_ms + (wait_ms as i64 + 999) / SECOND_MS * SECOND_MS);
        prop_assert_eq!(win(store, who, limits).await, Ok(()));
    }
    Ok(())
}
