//! `issue` and `action_waits`.

use laurel::action::Limits;
use laurel::store::{ChallengeSeed, Issue, Redeem, ScriptRefusal};
use uuid::Uuid;

use super::{award, issue, redeem, user};
use crate::harness::TestStores;

#[tokio::test]
async fn a_token_is_bound_to_user_and_action_and_expires_on_time() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    let id = Uuid::new_v4();
    let (outcome, rate) = store.issue(&issue(user(1), id)).await.unwrap();
    let Ok(ChallengeSeed { issued_at_ms, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(rate, None);
    assert_eq!(
        redis_client.query::<String>(&format!("GET token:{id}")).await,
        format!("{} watch_ad - {issued_at_ms} - -", user(1))
    );
    assert_eq!(redis_client.query::<i64>(&format!("PEXPIRETIME token:{id}")).await, issued_at_ms + 30_000);
    assert_eq!(redis_client.query::<u64>("XLEN outbox").await, 1);
}

#[tokio::test]
async fn a_refused_request_changes_nothing_in_redis() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    award(&store, user(1), 10).await;
    let _: () = redis_client.query(&format!("SET ban:{} 1", user(2))).await;
    let slow = Limits { cooldown_ms: 60_000, ..Limits::default() };
    let rare = Limits { cooldown_ms: 0, cap_per_day: 1, ..Limits::default() };
    let before = redis_client.dump().await;

    let issue_to = async |number, outbox_max| {
        let request = Issue { outbox_max, ..issue(user(number), Uuid::new_v4()) };
        store.issue(&request).await.unwrap().0
    };
    assert_eq!(issue_to(2, 1_000_000).await, Err(ScriptRefusal::Banned));
    assert_eq!(issue_to(1, 2).await, Err(ScriptRefusal::OutboxFull));
    redis_client.assert_unchanged(&before).await;

    // An award counts toward the limits; no token for the action is issued before the wait is over.
    for limits in [&slow, &rare] {
        let player = user(u128::from(limits.cooldown_ms) + 7);
        let id = Uuid::new_v4();
        store.issue(&Issue { limits, ..issue(player, id) }).await.unwrap().0.unwrap();
        let id = id.to_string();
        store.redeem(&Redeem { limits, ..redeem(player, &id) }).await.unwrap();
        let before = redis_client.dump().await;
        let (outcome, _) = store.issue(&Issue { limits, ..issue(player, Uuid::new_v4()) }).await.unwrap();
        assert!(
            matches!(outcome, Err(ScriptRefusal::ActionLimited { wait_ms, .. }) if wait_ms > 0),
            "{outcome:?}"
        );
        redis_client.assert_unchanged(&before).await;
    }

    store.close_board().await.unwrap();
    assert_eq!(issue_to(1, 1_000_000).await, Err(ScriptRefusal::BoardClosed));
}

#[tokio::test]
async fn refused_requests_count_toward_the_rate_limit() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    for used in 1..=4 {
        let request = Issue { per_minute: 2, ..issue(user(1), Uuid::new_v4()) };
        let (outcome, rate) = store.issue(&request).await.unwrap();
        let rate = rate.unwrap();
        assert_eq!((rate.limit, rate.used), (2, used));
        assert!((1..=60_000).contains(&rate.reset_ms));
        assert_eq!(matches!(outcome, Err(ScriptRefusal::RateLimited)), used > 2);
    }
}

#[tokio::test]
async fn tokens_are_counted_per_household_and_per_site() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    // The number of tokens that the address counts in this minute.
    let count = async |address: String, number| {
        let paced_from = Some(address.parse().unwrap());
        let request = Issue { paced_from, ..issue(user(number), Uuid::new_v4()) };
        let Ok(seed) = store.issue(&request).await.unwrap().0 else { panic!() };
        seed.paces.1
    };
    assert_eq!([count("192.0.2.1".into(), 1).await, count("192.0.2.1".into(), 2).await], [1, 2]);
    for household in 1..=16 {
        let count = count(format!("2001:db8:1:{household}::"), household).await;
        // One token per household. A site may have eight times as many as a household, so its 16 tokens count as 2.
        assert_eq!(count, if household <= 8 { 1 } else { 2 });
    }
}

#[tokio::test]
async fn one_call_returns_the_waits_of_several_actions() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let none = Limits::default();
    let cases = [
        ("unlimited", none.clone(), 0..=0),
        ("cooldown", Limits { cooldown_ms: 60_000, ..none.clone() }, 1..=60_000),
        ("hourly", Limits { cap_per_hour: 1, ..none.clone() }, 1..=3_600_000),
        ("daily", Limits { cap_per_day: 1, ..none.clone() }, 1..=86_400_000),
        ("below_the_caps", Limits { cap_per_hour: 2, cap_per_day: 2, ..none.clone() }, 0..=0),
        // Only redeeming waits for the end of the last span, issuing does not.
        ("spans", Limits { span_ms: 60_000, ..none.clone() }, 0..=0),
    ];
    let actions: Vec<_> = cases.iter().map(|(action, limits, _)| (*action, limits)).collect();
    assert_eq!(store.action_waits(user(1), &actions).await.unwrap(), [0; 6], "before any award");
    for (action, limits, _) in &cases {
        let id = Uuid::new_v4();
        store.issue(&Issue { action, limits, ..issue(user(1), id) }).await.unwrap().0.unwrap();
        let id = id.to_string();
        let request = Redeem { action, limits, ..redeem(user(1), &id) };
        let outcome = store.redeem(&request).await.unwrap().outcome;
        assert!(outcome.is_ok(), "{action}: {outcome:?}");
    }
    let waits = store.action_waits(user(1), &actions).await.unwrap();
    for ((action, _, expected), wait_ms) in cases.iter().zip(&waits) {
        assert!(expected.contains(wait_ms), "{action}: {wait_ms}");
    }
    assert_eq!(store.action_waits(user(2), &actions).await.unwrap(), [0; 6], "another player");
}
