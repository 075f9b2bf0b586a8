//! The scripts while Redis' clock is set back: no award is paid twice, no wait becomes longer, and spans of `elapsed` do not overlap.

use std::net::IpAddr;
use std::sync::Arc;

use laurel::action::{Flow, Limits, ProofResult};
use laurel::clock::rfc3339;
use laurel::network::Network;
use laurel::store::{
    Adjust, AttemptWindow, BoardId, Issue, Judging, Prove, ProvenFields, RateLimitKey, Redeem, ScriptRefusal,
    Start, Store, board_channel,
};
use laurel::token::ActToken;
use uuid::Uuid;

use super::{NO_LIMITS, VALID_PROOF, issue, redeem, token, user};
use crate::harness::TestStores;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub async fn world_with_fake_clock() -> (TestStores, Arc<Store>) {
    let stores = TestStores::with_fake_clock().await;
    let store = stores.open_store().await;
    (stores, store)
}

/// Stops the clock of Redis at a time.
pub fn set_clock(stores: &TestStores, at_ms: i64) {
    stores.redis.set_clock(&rfc3339(at_ms)[..19].replace('T', " "));
}

/// The next midnight in UTC, in ms.
pub async fn next_midnight_ms(store: &Arc<Store>) -> i64 {
    (store.now_us().await.unwrap() / 1000 / DAY_MS + 1) * DAY_MS
}

/// Makes an award with these limits of the action. The error is the wait in ms.
pub async fn award_within(store: &Arc<Store>, user: Uuid, limits: &Limits) -> Result<(), u64> {
    let id = token(store, user).await;
    match store.redeem(&Redeem { limits, ..redeem(user, &id) }).await.unwrap().outcome {
        Ok(_) => Ok(()),
        Err(ScriptRefusal::ActionLimited { wait_ms, .. }) => Err(wait_ms),
        other => panic!("{other:?}"),
    }
}

/// Makes one attempt. Returns the attempts so far, or 0 for leases, whose replies do not have them, and the ms until the window closes.
async fn attempt(store: &Arc<Store>, window: &str) -> (u32, u64) {
    let player = user(1);
    let count = |window| async move {
        let state = store.attempt(&[(window, 9)]).await.unwrap().window.unwrap();
        (state.used, state.reset_ms)
    };
    let network = Network::household(IpAddr::from([127, 0, 0, 1]));
    let rate = match window {
        "rate:logins:ada" => return count(AttemptWindow::Logins("ada".into())).await,
        "rate:logins-from:127.0.0.1" => return count(AttemptWindow::LoginsFrom(network)).await,
        "rate:registers-from:127.0.0.1" => return count(AttemptWindow::RegistersFrom(network)).await,
        "rate:inits-from:127.0.0.1" => return count(AttemptWindow::InitsFrom(network)).await,
        "rate:requests-from:127.0.0.1" => {
            return (0, store.lease(RateLimitKey::Network(network), 3, 1).await.unwrap().closes_ms);
        }
        "rate:requests:" => {
            return (0, store.lease(RateLimitKey::User(player), 3, 1).await.unwrap().closes_ms);
        }
        "rate:inits:" => {
            let request = Issue { per_minute: 9, ..issue(player, Uuid::new_v4()) };
            store.issue(&request).await.unwrap().1
        }
        "rate:awards:" => {
            store.redeem(&Redeem { per_minute: 9, ..redeem(player, "none") }).await.unwrap().rate
        }
        "rate:starts:" => store.start(&start(&ActToken::new(), "hash")).await.unwrap().1,
        other => panic!("{other}"),
    };
    rate.map(|state| (state.used, state.reset_ms)).unwrap()
}

fn start<'a>(token: &'a ActToken, token_hash: &'a str) -> Start<'a> {
    Start {
        user: user(1),
        session_id: "sess_one",
        token: token.as_str(),
        token_hash,
        ttl_ms: HOUR_MS,
        per_hour: 9,
        outbox_max: 1000,
        event_ids: (Uuid::new_v4(), Uuid::new_v4()),
    }
}

#[tokio::test]
async fn an_advanced_clock_is_not_set_back() {
    let (stores, store) = world_with_fake_clock().await;
    // Returns the HLC of an award.
    let award = async || -> i64 {
        let id = token(&store, user(1)).await;
        store.redeem(&redeem(user(1), &id)).await.unwrap().outcome.unwrap();
        stores.redis_client().await.query("HGET shard:state hlc_us").await
    };
    let passed_us = award().await + HOUR_MS as i64 * 1000;
    assert_eq!(store.advance_clock(0, passed_us).await.unwrap(), None, "it has not passed");
    stores.redis.set_clock("+7200");
    let newest = store.newest_entry(0).await.unwrap();
    assert_eq!(store.advance_clock(0, passed_us).await.unwrap(), newest);
    stores.redis.set_clock("+0");
    assert_eq!(award().await, passed_us + 1, "an award after the time, although the clock is before it");
    stores.redis.set_clock("+7200");
    assert!(award().await > passed_us + 1);
    assert_eq!(store.advance_clock(0, passed_us).await.unwrap(), store.newest_entry(0).await.unwrap());
    let mut redis = stores.redis_client().await;
    redis.query::<()>("HDEL shard:state run").await;
    assert_eq!(store.advance_clock(0, passed_us).await.unwrap(), None, "the shard is closed");
}

#[tokio::test]
async fn a_rate_window_keeps_its_length_and_count() {
    let (stores, store) = world_with_fake_clock().await;
    let windows = [
        ("rate:logins:ada", MINUTE_MS),
        ("rate:logins-from:127.0.0.1", MINUTE_MS),
        ("rate:registers-from:127.0.0.1", MINUTE_MS),
        ("rate:inits-from:127.0.0.1", MINUTE_MS),
        ("rate:requests-from:127.0.0.1", MINUTE_MS),
        ("rate:requests:", MINUTE_MS),
        ("rate:inits:", MINUTE_MS),
        ("rate:awards:", MINUTE_MS),
        ("rate:starts:", HOUR_MS),
    ];
    for step in ["+86400", "+60", "+2"] {
        let mut redis_client = stores.redis_client().await;
        let _: () = redis_client.query("FLUSHALL").await;
        crate::harness::open_board(&store).await;
        for (window, length_ms) in windows {
            let key = if window.ends_with(':') { format!("{window}{}", user(1)) } else { window.to_owned() };
            stores.redis.set_clock(step);
            let (before, _) = attempt(&store, window).await;
            stores.redis.set_clock("+0");
            // A full window refuses leases; it must not last longer either.
            for more in 1..=4 {
                let (used, reset_ms) = attempt(&store, window).await;
                assert!(used == before + more || before == 0, "{window}: {used} after {before}");
                assert!((1..=length_ms).contains(&reset_ms), "{window} after {step}: {reset_ms} ms");
            }
            let left_ms: u64 = redis_client.query(&format!("PTTL {key}")).await;
            assert!(left_ms <= length_ms, "{key} after {step}: {left_ms} ms");
        }
    }
}

#[tokio::test]
async fn a_board_is_published_within_the_interval() {
    const INTERVAL_MS: u64 = 50;
    let (stores, store) = world_with_fake_clock().await;
    let mut subscription = store.subscribe(&[board_channel(BoardId::GLOBAL)]).await.unwrap();
    let award = async |number: u128| {
        let id = token(&store, user(number)).await;
        let request = Redeem { publish_interval_ms: INTERVAL_MS, ..redeem(user(number), &id) };
        match store.redeem(&request).await.unwrap().outcome {
            Ok(awarded) => (awarded.version, awarded.flush_due_ms),
            other => panic!("{other:?}"),
        }
    };
    let mut newest = 0;
    for (number, step) in [(1, "+60"), (3, "+86400")] {
        stores.redis.set_clock(step);
        let (first, _) = award(number).await;
        while store.flush(INTERVAL_MS).await.unwrap() > 0 {}
        stores.redis.set_clock("+0");
        let (next, due_ms) = award(number + 1).await;
        assert_eq!(due_ms, 0, "the throttle from before the step ({step}) is replaced");
        assert!(newest < first && first < next, "versions only grow");
        newest = next;
    }
    // An admin's change has the same throttle.
    stores.redis.set_clock("+86400");
    award(5).await;
    stores.redis.set_clock("+0");
    let adjust = Adjust {
        board: BoardId::GLOBAL,
        user: user(1),
        number: 1,
        username: "player",
        event_id: Uuid::new_v4(),
        points: Some(500),
        note: "{}",
        publish_interval_ms: INTERVAL_MS,
        outbox_max: 1000,
        candidates: &[],
    };
    assert_eq!(store.adjust(&adjust).await.unwrap().unwrap().top.flush_due_ms, 0);
    let published: i64 = stores.redis_client().await.query("HGET leaderboard:global:state published").await;
    assert!(published > newest);
    loop {
        let (_, text) = subscription.next().await.unwrap();
        if text.starts_with(&published.to_string()) {
            break;
        }
    }
}

#[tokio::test]
async fn a_daily_bonus_pays_once_when_midnight_repeats() {
    let (stores, store) = world_with_fake_clock().await;
    let (bonus, midnight_ms) = (Limits { cap_per_day: 1, ..NO_LIMITS }, next_midnight_ms(&store).await);
    let at = async |offset_ms: i64| {
        set_clock(&stores, midnight_ms + offset_ms);
        award_within(&store, user(1), &bonus).await
    };
    assert_eq!(at(-3000).await, Ok(()));
    assert_eq!(at(0).await, Ok(()));
    assert_eq!(at(-4000).await, Err(DAY_MS as u64 + 4000), "the bonus of either day is paid already");
    assert_eq!(at(0).await, Err(DAY_MS as u64));
    assert_eq!(at(DAY_MS).await, Ok(()));
    // A time that was stored while the clock was years ahead causes no wait of years.
    assert_eq!(at(900 * DAY_MS).await, Ok(()));
    assert_eq!(at(DAY_MS + 1000).await, Err(DAY_MS as u64 - 1000));
    assert_eq!(at(2 * DAY_MS).await, Ok(()));
}

#[tokio::test]
async fn a_cooldown_from_the_future_begins_now() {
    let (stores, store) = world_with_fake_clock().await;
    let midnight_ms = next_midnight_ms(&store).await;
    let slow = Limits { cooldown_ms: 30_000, ..NO_LIMITS };
    set_clock(&stores, midnight_ms + DAY_MS);
    assert_eq!(award_within(&store, user(1), &slow).await, Ok(()));
    set_clock(&stores, midnight_ms);
    // A request for a token gets the same wait, and the wait does not restart with each attempt.
    let issued = store.issue(&Issue { limits: &slow, ..issue(user(1), Uuid::new_v4()) }).await;
    assert_eq!(
        issued.unwrap().0,
        Err(ScriptRefusal::ActionLimited { limit: "cooldown_ms".into(), wait_ms: 30_000 })
    );
    set_clock(&stores, midnight_ms + 10_000);
    assert_eq!(award_within(&store, user(1), &slow).await, Err(20_000));
    set_clock(&stores, midnight_ms + 30_000);
    assert_eq!(award_within(&store, user(1), &slow).await, Ok(()));
}

#[tokio::test]
async fn hourly_points_and_token_intervals_keep_their_length() {
    let (stores, store) = world_with_fake_clock().await;
    let (first, second) = (ActToken::new(), ActToken::new());
    let prove = async |act: &ActToken| {
        let hash = act.hash();
        let request = Prove {
            user: user(1),
            action: "watch_ad",
            points: 10,
            limits: &NO_LIMITS,
            attempt_id: act.attempt_id(),
            token_hash: &hash,
            ttl_ms: 300_000,
            per_minute: 0,
            interval_ms: 30_000,
            outbox_max: 1000,
            anti_spam: None,
            named_session: "",
            proof: "",
            verdict: &VALID_PROOF,
            judging: Judging::Local,
            idempotency: None,
        };
        store.prove(&request).await.unwrap().outcome
    };
    let redeem_capped = async || {
        let id = token(&store, user(1)).await;
        let request = Redeem { points_per_hour: 15, ..redeem(user(1), &id) };
        store.redeem(&request).await.unwrap().outcome
    };
    stores.redis.set_clock("+86400");
    assert!(matches!(prove(&first).await, Ok(ProvenFields { .. })));
    assert!(redeem_capped().await.is_ok());
    stores.redis.set_clock("+0");
    let refused = prove(&second).await;
    assert!(matches!(refused, Err(ScriptRefusal::TooSoon { wait_ms }) if wait_ms <= 30_000), "{refused:?}");
    let refused = redeem_capped().await;
    assert!(
        matches!(refused, Err(ScriptRefusal::ActionLimited { wait_ms, .. }) if wait_ms <= HOUR_MS),
        "{refused:?}"
    );
    for (key, max_ms) in [("proven", 30_000), ("points", HOUR_MS)] {
        let left_ms: u64 = stores.redis_client().await.query(&format!("PTTL {key}:{}", user(1))).await;
        assert!(left_ms <= max_ms, "{key}: {left_ms} ms");
    }
}

#[tokio::test]
async fn an_expired_attestation_is_still_recorded() {
    let (stores, store) = world_with_fake_clock().await;
    let until_ms = next_midnight_ms(&store).await;
    let submit = async |at_ms: i64| {
        set_clock(&stores, at_ms);
        let verdict =
            ProofResult { once: vec!["digest".into()], valid_ms: (0, until_ms), ..ProofResult::default() };
        let id = token(&store, user(1)).await;
        store.redeem(&Redeem { verdict: &verdict, ..redeem(user(1), &id) }).await.unwrap().outcome
    };
    assert!(submit(until_ms - 60_000).await.is_ok());
    for (at_ms, why) in [
        (until_ms + 1000, "it has expired"),
        (until_ms - 3000, "the clock was set back by seconds"),
        (until_ms + DAY_MS - 1000, "it has expired"),
        (until_ms - 1000, "the clock was set back by a day"),
    ] {
        let outcome = submit(at_ms).await;
        // Redis deletes an expired key at the latest when the key is read.
        let _: u64 = stores.redis_client().await.query("EXISTS once:digest").await;
        assert!(matches!(outcome, Err(ScriptRefusal::ProofInvalid { .. })), "{why}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_game_started_in_the_future_can_end() {
    let (stores, store) = world_with_fake_clock().await;
    let token = ActToken::new();
    stores.redis.set_clock("+86400");
    store.start(&start(&token, &token.hash())).await.unwrap().0.unwrap();
    stores.redis.set_clock("+0");
    let finished = store.finish(user(1), 1000, Uuid::new_v4()).await.unwrap().unwrap();
    assert_eq!((finished.played_ms, finished.actions), (0, 0));
}

/// All three APIs run the same script.
#[tokio::test]
async fn elapsed_spans_do_not_overlap_and_honest_players_do_not_wait() {
    let (stores, store) = world_with_fake_clock().await;
    let start_ms = next_midnight_ms(&store).await;
    let limits = Limits { span_ms: 3000, ..NO_LIMITS };
    let verdict = ProofResult { age_ms: (3000, 20_000), ..ProofResult::default() };
    let issue_token = async || {
        let id = Uuid::new_v4();
        let issued = store.issue(&Issue { limits: &limits, ..issue(user(1), id) }).await.unwrap().0;
        assert!(issued.is_ok(), "a token has no wait: {issued:?}");
        id.to_string()
    };
    // Returns the wait in ms, or 0 after an award.
    let redeem_token = async |id: &str| {
        let request =
            Redeem { limits: &limits, verdict: &verdict, flow: Flow::Actions, ..redeem(user(1), id) };
        match store.redeem(&request).await.unwrap().outcome {
            Ok(_) => 0,
            Err(ScriptRefusal::ActionLimited { wait_ms, .. }) => wait_ms,
            other => panic!("{other:?}"),
        }
    };
    set_clock(&stores, start_ms);
    let mut ids = Vec::new();
    for _ in 0..9 {
        ids.push(issue_token().await);
    }
    // Each span waits for the span before it. Its token stays valid.
    for (index, id) in ids.iter().enumerate().take(6) {
        set_clock(&stores, start_ms + 3000 * (index as i64 + 1));
        assert_eq!(redeem_token(id).await, 0);
        assert_eq!(redeem_token(&ids[index + 1]).await, 3000);
    }
    // Consecutive spans have no wait.
    for _ in 0..3 {
        let at_ms = store.now_us().await.unwrap() / 1000;
        let id = issue_token().await;
        set_clock(&stores, at_ms + 3000);
        assert_eq!(redeem_token(&id).await, 0);
    }
}
