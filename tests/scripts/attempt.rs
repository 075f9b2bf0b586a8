use std::net::IpAddr;

use laurel::network::Network;
use laurel::store::AttemptWindow;

use super::user;
use crate::harness::TestStores;

#[tokio::test]
async fn every_window_counts_and_the_tightest_is_returned() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let here = IpAddr::from([127, 0, 0, 1]);
    let windows = || {
        [(AttemptWindow::Logins("ada".into()), 2), (AttemptWindow::LoginsFrom(Network::household(here)), 5)]
    };
    for used in 1..=3 {
        let attempts = store.attempt(&windows()).await.unwrap();
        assert_eq!(attempts.allowed, used <= 2);
        let window = attempts.window.unwrap();
        assert_eq!((window.limit, window.used), (2, used));
    }
    let other =
        [(AttemptWindow::Logins("bob".into()), 2), (AttemptWindow::LoginsFrom(Network::household(here)), 5)];
    assert!(store.attempt(&other).await.unwrap().allowed);
    let window = store.attempt(&other).await.unwrap().window.unwrap();
    assert_eq!((window.limit, window.used), (2, 2));
    assert!(!store.attempt(&other).await.unwrap().allowed);
}

#[tokio::test]
async fn no_limit_counts_nothing() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let attempts = store.attempt(&[(AttemptWindow::Awards(user(1)), 0)]).await.unwrap();
    assert!(attempts.allowed && attempts.window.is_none());
    let keys: Vec<String> = stores.redis_client().await.query("KEYS rate:*").await;
    assert_eq!(keys, Vec::<String>::new());
}
