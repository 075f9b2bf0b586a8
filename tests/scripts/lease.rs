use laurel::network::Network;
use laurel::store::RateLimitKey;

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
    assert_eq!(granted, [5, 4, 3, 2, 2, 1, 1, 1, 1, 0, 0, 0], "the last leases are small");
    let key = format!("rate:requests:{}", user(1));
    assert_eq!(
        stores.redis_client().await.query::<u32>(&format!("GET {key}")).await,
        20,
        "a refusal counts nothing"
    );
    assert_eq!(
        store.lease(RateLimitKey::User(user(1)), 10, 5).await.unwrap().granted,
        0,
        "a limit may be lowered"
    );
}

#[tokio::test]
async fn every_key_has_its_own_window_that_closes() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let here = RateLimitKey::Network(Network::household([127, 0, 0, 1].into()));
    for (key, granted) in
        [(here, 1), (here, 0), (RateLimitKey::User(user(1)), 1), (RateLimitKey::User(user(1)), 0)]
    {
        assert_eq!(store.lease(key, 1, 1).await.unwrap().granted, granted);
    }
    let _: () = stores.redis_client().await.query("PEXPIRE rate:requests-from:127.0.0.1 1").await;
    crate::harness::eventually("the window to close", async || {
        (store.lease(here, 1, 1).await.unwrap().granted == 1).then_some(())
    })
    .await;
}
