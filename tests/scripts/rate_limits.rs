//! `attempt` and `lease`.

use laurel::network::Network;
use laurel::store::{AttemptWindow, RateLimitKey};

use super::user;
use crate::harness::TestStores;

#[tokio::test]
async fn leases_never_exceed_the_limit() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let mut granted = Vec::new();
    for _ in 0..12 {
        let lease = store.lease(RateLimitKey::User(user(1)), 20, 5).await.unwrap();
        assert!((1..=60_000).contains(&lease.closes_ms));
        granted.push(lease.granted);
    }
    assert_eq!(granted, [5, 4, 3, 2, 2, 1, 1, 1, 1, 0, 0, 0], "leases get smaller toward the limit");
    let key = format!("rate:requests:{}", user(1));
    assert_eq!(
        stores.redis_client().await.query::<u32>(&format!("GET {key}")).await,
        20,
        "a refusal is not counted"
    );
    assert_eq!(
        store.lease(RateLimitKey::User(user(1)), 10, 5).await.unwrap().granted,
        0,
        "the limit was lowered"
    );
}

#[tokio::test]
async fn every_key_has_its_own_window_that_closes() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let address = RateLimitKey::Network(Network::household([127, 0, 0, 1].into()));
    for (key, granted) in
        [(address, 1), (address, 0), (RateLimitKey::User(user(1)), 1), (RateLimitKey::User(user(1)), 0)]
    {
        assert_eq!(store.lease(key, 1, 1).await.unwrap().granted, granted);
    }
    let _: () = stores.redis_client().await.query("PEXPIRE rate:requests-from:127.0.0.1 1").await;
    crate::harness::eventually("the window to close", async || {
        (store.lease(address, 1, 1).await.unwrap().granted == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_window_counts_and_the_tightest_is_returned() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let network = Network::household([127, 0, 0, 1].into());
    let windows = || [(AttemptWindow::Logins("ada".into()), 2), (AttemptWindow::LoginsFrom(network), 5)];
    for used in 1..=3 {
        let attempts = store.attempt(&windows()).await.unwrap();
        assert_eq!(attempts.allowed, used <= 2);
        let window = attempts.window.unwrap();
        assert_eq!((window.limit, window.used), (2, used));
    }
    let other = [(AttemptWindow::Logins("bob".into()), 2), (AttemptWindow::LoginsFrom(network), 5)];
    assert!(store.attempt(&other).await.unwrap().allowed);
    let window = store.attempt(&other).await.unwrap().window.unwrap();
    assert_eq!((window.limit, window.used), (2, 2));
    assert!(!store.attempt(&other).await.unwrap().allowed);
}

#[tokio::test]
async fn an_attempt_without_a_limit_is_not_counted() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let attempts = store.attempt(&[(AttemptWindow::Awards(user(1)), 0)]).await.unwrap();
    assert!(attempts.allowed && attempts.window.is_none());
    let keys: Vec<String> = stores.redis_client().await.query("KEYS rate:*").await;
    assert_eq!(keys, Vec::<String>::new());
}
