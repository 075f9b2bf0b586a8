//! The scripts while Redis' clock is set back: nothing pays twice, and no wait gets longer.

use std::net::IpAddr;

use laurel::action::{Limits, ProofResult};
use laurel::clock::rfc3339;
use laurel::network::Network;
use laurel::store::{
    Adjust, AttemptWindow, BoardId, Judging, Prove, ProvenFields, RateLimitKey, Redeem, ScriptRefusal, Start,
    Store, board_channel,
};
use laurel::token::ActToken;
use uuid::Uuid;

use super::{ANY, HOLDS, issue, redeem, token, user};
use crate::harness::TestStores;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub async fn turned() -> (TestStores, Store) {
    let stores = TestStores::with_fake_clock().await;
    let store = stores.open_store().await;
    (stores, store)
}

/// Stops the clock at a time.
pub fn stand(stores: &TestStores, at_ms: i64) {
    stores.redis.set_clock(&rfc3339(at_ms)[..19].replace('T', " "));
}

/// A midnight in UTC that is not far away.
pub async fn midnight(store: &Store) -> i64 {
    (store.now_us().await.unwrap() / 1000 / DAY_MS + 1) * DAY_MS
}

/// Asks for an award of an action with these limits; gives the ms to wait if there is a wait.
pub async fn win(store: &Store, who: Uuid, limits: &Limits) -> Result<(), u64> {
    let id = token(store, who).await;
    match store.redeem(&Redeem { limits, ..redeem(who, &id) }).await.unwrap().outcome {
        Ok(_) => Ok(()),
        Err(ScriptRefusal::ActionLimited { wait_ms, .. }) => Err(wait_ms),
        other => panic!("{other:?}"),
    }
}

/// Makes one attempt. Returns the attempts so far, if the reply has them, and the ms until the window closes.
async fn knock(store: &Store, window: &str) -> (u32, u64) {
    let me = user(1);
    let attempt = |window| async move {
        let told = store.attempt(&[(window, 9)]).await.unwrap().window.unwrap();
        (told.used, told.reset_ms)
    };
    let here = Network::household(IpAddr::from([127, 0, 0, 1]));
    let rate = match window {
        "rate:logins:ada" => return attempt(AttemptWindow::Logins("ada".into())).await,
        "rate:logins-from:127.0.0.1" => return attempt(AttemptWindow::LoginsFrom(here)).await,
        "rate:registers-from:127.0.0.1" => return attempt(AttemptWindow::RegistersFrom(here)).await,
        "rate:inits-from:127.0.0.1" => return attempt(AttemptWindow::InitsFrom(here)).await,
        "rate:requests-from:127.0.0.1" => {
            return (0, store.lease(RateLimitKey::Network(here), 3, 1).await.unwrap().closes_ms);
        }
        "rate:requests:" => return (0, store.lease(RateLimitKey::User(me), 3, 1).await.unwrap().closes_ms),
        "rate:inits:" => {
            let it = laurel::store::Issue { per_minute: 9, ..issue(me, Uuid::new_v4()) };
            store.issue(&it).await.unwrap().1
        }
        "rate:awards:" => store.redeem(&Redeem { per_minute: 9, ..redeem(me, "none") }).await.unwrap().rate,
        "rate:starts:" => store.start(&start(&ActToken::new(), "hash")).await.unwrap().1,
        other => panic!("{other}"),
    };
    rate.map(|it| (it.used, it.reset_ms)).unwrap()
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
async fn a_rate_window_keeps_its_length_and_count() {
    let (stores, store) = turned().await;
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
            let (before, _) = knock(&store, window).await;
            stores.redis.set_clock("+0");
            // A lease is refused once its window is full, which must not last longer either.
            for more in 1..=4 {
                let (used, reset_ms) = knock(&store, window).await;
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
    const WINDOW_MS: u64 = 50;
    let (stores, store) = turned().await;
    let mut subscription = store.subscribe(&[board_channel(BoardId::GLOBAL)]).await.unwrap();
    let award = async |who: u128| {
        let id = token(&store, user(who)).await;
        let it = Redeem { publish_interval_ms: WINDOW_MS, ..redeem(user(who), &id) };
        match store.redeem(&it).await.unwrap().outcome {
            Ok(it) => (it.version, it.flush_due_ms),
            other => panic!("{other:?}"),
        }
    };
    let mut seen = 0;
    for (place, step) in [(1, "+60"), (3, "+86400")] {
        stores.redis.set_clock(step);
        let (first, _) = award(place).await;
        while store.flush(WINDOW_MS).await.unwrap() > 0 {}
        stores.redis.set_clock("+0");
        let (next, due_ms) = award(place + 1).await;
        assert_eq!(due_ms, 0, "the throttle of before the step ({step}) holds up nothing");
        assert!(seen < first && first < next, "versions only grow");
        seen = next;
    }
    // An operator's change is throttled by the same key.
    stores.redis.set_clock("+86400");
    award(5).await;
    stores.redis.set_clock("+0");
    let adjust = Adjust {
        board: BoardId::GLOBAL,
        user: user(1),
        number: 1,
        username: "somebody",
        event_id: Uuid::new_v4(),
        points: Some(500),
        note: "{}",
        publish_interval_ms: WINDOW_MS,
        outbox_max: 1000,
        candidates: &[],
    };
    assert_eq!(store.adjust(&adjust).await.unwrap().unwrap().top.flush_due_ms, 0);
    let published: i64 = stores.redis_client().await.query("HGET leaderboard:global:state published").await;
    assert!(published > seen);
    loop {
        let (_, text) = subscription.next().await.unwrap();
        if text.starts_with(&published.to_string()) {
            break;
        }
    }
}

#[tokio::test]
async fn a_daily_bonus_pays_once_when_midnight_repeats() {
    let (stores, store) = turned().await;
    let (bonus, midnight) = (Limits { cap_per_day: 1, ..ANY }, midnight(&store).await);
    let at = async |offset_ms: i64| {
        stand(&stores, midnight + offset_ms);
        win(&store, user(1), &bonus).await
    };
    assert_eq!(at(-3000).await, Ok(()));
    assert_eq!(at(0).await, Ok(()));
    assert_eq!(at(-4000).await, Err(DAY_MS as u64 + 4000), "today's was paid, and so was tomorrow's");
    assert_eq!(at(0).await, Err(DAY_MS as u64));
    assert_eq!(at(DAY_MS).await, Ok(()));
    // Times stored while the clock was years ahead make no one wait for years.
    assert_eq!(at(900 * DAY_MS).await, Ok(()));
    assert_eq!(at(DAY_MS + 1000).await, Err(DAY_MS as u64 - 1000));
    assert_eq!(at(2 * DAY_MS).await, Ok(()));
}

#[tokio::test]
async fn a_cool_down_ahead_of_the_clock_begins_now() {
    let (stores, store) = turned().await;
    let midnight = midnight(&store).await;
    let slow = Limits { cooldown_ms: 30_000, ..ANY };
    stand(&stores, midnight + DAY_MS);
    assert_eq!(win(&store, user(1), &slow).await, Ok(()));
    stand(&stores, midnight);
    // A request for a token gets the same wait, and the wait does not restart with each attempt.
    let begun = store.issue(&laurel::store::Issue { limits: &slow, ..issue(user(1), Uuid::new_v4()) }).await;
    assert_eq!(
        begun.unwrap().0,
        Err(ScriptRefusal::ActionLimited { limit: "cooldown_ms".into(), wait_ms: 30_000 })
    );
    stand(&stores, midnight + 10_000);
    assert_eq!(win(&store, user(1), &slow).await, Err(20_000));
    stand(&stores, midnight + 30_000);
    assert_eq!(win(&store, user(1), &slow).await, Ok(()));
}

#[tokio::test]
async fn hourly_points_and_token_intervals_keep_their_length() {
    let (stores, store) = turned().await;
    let (first, second) = (ActToken::new(), ActToken::new());
    let prove = async |act: &ActToken| {
        let hash = act.hash();
        let it = Prove {
            user: user(1),
            action: "watch_ad",
            points: 10,
            limits: &ANY,
            attempt_id: act.attempt_id(),
            token_hash: &hash,
            ttl_ms: 300_000,
            per_minute: 0,
            interval_ms: 30_000,
            outbox_max: 1000,
            anti_spam: None,
            named_session: "",
            proof: "",
            verdict: &HOLDS,
            judging: Judging::Local,
            idempotency: None,
        };
        store.prove(&it).await.unwrap().outcome
    };
    let capped = async || {
        let id = token(&store, user(1)).await;
        let it = Redeem { points_per_hour: 15, ..redeem(user(1), &id) };
        store.redeem(&it).await.unwrap().outcome
    };
    stores.redis.set_clock("+86400");
    assert!(matches!(prove(&first).await, Ok(ProvenFields { .. })));
    assert!(capped().await.is_ok());
    stores.redis.set_clock("+0");
    let refused = prove(&second).await;
    assert!(matches!(refused, Err(ScriptRefusal::TooSoon { wait_ms }) if wait_ms <= 30_000), "{refused:?}");
    let refused = capped().await;
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
async fn an_expired_attestation_is_still_known() {
    let (stores, store) = turned().await;
    let until_ms = midnight(&store).await;
    let show = async |at_ms: i64| {
        stand(&stores, at_ms);
        let verdict =
            ProofResult { once: vec!["digest".into()], valid_ms: (0, until_ms), ..ProofResult::default() };
        let id = token(&store, user(1)).await;
        store.redeem(&Redeem { verdict: &verdict, ..redeem(user(1), &id) }).await.unwrap().outcome
    };
    assert!(show(until_ms - 60_000).await.is_ok());
    for (at_ms, why) in [
        (until_ms + 1000, "it has run out"),
        (until_ms - 3000, "the clock was set back by seconds"),
        (until_ms + DAY_MS - 1000, "it has run out"),
        (until_ms - 1000, "the clock was set back by a day"),
    ] {
        let shown = show(at_ms).await;
        // Redis takes out what has run out when it is asked for, and otherwise sooner or later.
        let _: u64 = stores.redis_client().await.query("EXISTS once:digest").await;
        assert!(matches!(shown, Err(ScriptRefusal::ProofInvalid { .. })), "{why}: {shown:?}");
    }
}

#[tokio::test]
async fn a_game_started_ahead_of_the_clock_ends() {
    let (stores, store) = turned().await;
    let token = ActToken::new();
    stores.redis.set_clock("+86400");
    store.start(&start(&token, &token.hash())).await.unwrap().0.unwrap();
    stores.redis.set_clock("+0");
    let played = store.finish(user(1), 1000, Uuid::new_v4()).await.unwrap().unwrap();
    assert_eq!((played.played_ms, played.actions), (0, 0));
}
