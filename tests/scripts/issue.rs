use laurel::action::Limits;
use laurel::store::{ChallengeSeed, Issue, ScriptRefusal};
use uuid::Uuid;

use super::{award, issue, user};
use crate::harness::TestStores;

#[tokio::test]
async fn a_token_lives_to_the_millisecond_and_is_bound_to_user_and_action() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    let id = Uuid::new_v4();
    let (outcome, rate) = store.issue(&issue(user(1), id)).await.unwrap();
    let Ok(ChallengeSeed { issued_at_ms, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(rate, None);
    assert_eq!(
        redis_client.query::<String>(&format!("GET token:{id}")).await,
        format!("{} watch_ad - {issued_at_ms} -", user(1))
    );
    assert_eq!(redis_client.query::<i64>(&format!("PEXPIRETIME token:{id}")).await, issued_at_ms + 30_000);
    assert_eq!(redis_client.query::<u64>("XLEN outbox").await, 1);
}

#[tokio::test]
async fn every_refusal_leaves_redis_as_it_was() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    award(&store, user(1), 10).await;
    let _: () = redis_client.query(&format!("SET ban:{} 1", user(2))).await;
    let slow = Limits { cooldown_ms: 60_000, ..Limits::default() };
    let rare = Limits { cooldown_ms: 0, cap_per_day: 1, ..Limits::default() };
    let before = redis_client.dump().await;

    let ask = async |change: fn(Issue<'static>) -> Issue<'static>, who| {
        store.issue(&change(issue(user(who), Uuid::new_v4()))).await.unwrap().0
    };
    assert_eq!(ask(|it| it, 2).await, Err(ScriptRefusal::Banned));
    assert_eq!(ask(|it| Issue { outbox_max: 2, ..it }, 1).await, Err(ScriptRefusal::OutboxFull));
    redis_client.assert_unchanged(&before).await;

    // An award counts toward the limits; no token for the action is issued before the wait is over.
    for limits in [&slow, &rare] {
        let who = user(u128::from(limits.cooldown_ms) + 7);
        let id = Uuid::new_v4();
        store.issue(&Issue { limits, ..issue(who, id) }).await.unwrap().0.unwrap();
        let id = id.to_string();
        store.redeem(&laurel::store::Redeem { limits, ..super::redeem(who, &id) }).await.unwrap();
        let before = redis_client.dump().await;
        let (outcome, _) = store.issue(&Issue { limits, ..issue(who, Uuid::new_v4()) }).await.unwrap();
        assert!(
            matches!(outcome, Err(ScriptRefusal::ActionLimited { wait_ms, .. }) if wait_ms > 0),
            "{outcome:?}"
        );
        redis_client.assert_unchanged(&before).await;
    }

    store.close_board().await.unwrap();
    assert_eq!(ask(|it| it, 1).await, Err(ScriptRefusal::BoardClosed));
}

#[tokio::test]
async fn the_rate_counts_refused_attempts_too() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let ask = async || store.issue(&Issue { per_minute: 2, ..issue(user(1), Uuid::new_v4()) }).await.unwrap();
    for used in 1..=4 {
        let (outcome, rate) = ask().await;
        let rate = rate.unwrap();
        assert_eq!((rate.limit, rate.used), (2, used));
        assert!((1..=60_000).contains(&rate.reset_ms));
        assert_eq!(matches!(outcome, Err(ScriptRefusal::RateLimited)), used > 2);
    }
}

#[tokio::test]
async fn a_network_has_a_household_pace_or_a_share_of_its_site() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let pace = async |from: String, who| {
        let issue = Issue { paced_from: Some(from.parse().unwrap()), ..issue(user(who), Uuid::new_v4()) };
        let Ok(begun) = store.issue(&issue).await.unwrap().0 else { panic!() };
        begun.paces.1
    };
    assert_eq!([pace("192.0.2.1".into(), 1).await, pace("192.0.2.1".into(), 2).await], [1, 2]);
    for household in 1..=16 {
        let pace = pace(format!("2001:db8:1:{household}::"), household).await;
        // One token each: the site's sixteen are what eight households have with two.
        assert_eq!(pace, if household <= 8 { 1 } else { 2 });
    }
}

#[tokio::test]
async fn waits_of_several_actions_come_in_one_reply() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let none = Limits::default();
    let cases = [
        ("free", none.clone(), 0..=0),
        ("cools", Limits { cooldown_ms: 60_000, ..none.clone() }, 1..=60_000),
        ("hourly", Limits { cap_per_hour: 1, ..none.clone() }, 1..=3_600_000),
        ("daily", Limits { cap_per_day: 1, ..none.clone() }, 1..=86_400_000),
        ("left", Limits { cap_per_hour: 2, cap_per_day: 2, ..none.clone() }, 0..=0),
        // Who asks for a token need not wait for the end of the last span.
        ("spans", Limits { span_ms: 60_000, ..none.clone() }, 0..=0),
    ];
    let asked: Vec<_> = cases.iter().map(|(action, limits, _)| (*action, limits)).collect();
    assert_eq!(store.action_waits(user(1), &asked).await.unwrap(), [0; 6], "before any award");
    for (action, limits, _) in &cases {
        let id = Uuid::new_v4();
        store.issue(&Issue { action, limits, ..issue(user(1), id) }).await.unwrap().0.unwrap();
        let token_hash = id.to_string();
        let redeem = laurel::store::Redeem { action, limits, ..super::redeem(user(1), &token_hash) };
        let outcome = store.redeem(&redeem).await.unwrap().outcome;
        assert!(outcome.is_ok(), "{action}: {outcome:?}");
    }
    let waits = store.action_waits(user(1), &asked).await.unwrap();
    for ((action, _, wanted), wait_ms) in cases.iter().zip(&waits) {
        assert!(wanted.contains(wait_ms), "{action}: {wait_ms}");
    }
    assert_eq!(store.action_waits(user(2), &asked).await.unwrap(), [0; 6], "another player");
}
