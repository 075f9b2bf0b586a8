use laurel::network::Network;
use laurel::store::Visitor;

use super::user;
use crate::harness::World;

#[tokio::test]
async fn never_more_than_the_limit_is_given_out() {
    let world = World::new().await;
    let store = world.store().await;
    let mut granted = Vec::new();
    for _ in 0..12 {
        let lease = store.lease(Visitor::User(user(1)), 20, 5).await.unwrap();
        assert!((1..=60_000).contains(&lease.closes_ms));
        granted.push(lease.granted);
    }
    assert_eq!(granted, [5, 4, 3, 2, 2, 1, 1, 1, 1, 0, 0, 0], "the last leases are small");
    let key = format!("rate:requests:{}", user(1));
    assert_eq!(world.look().await.ask::<u32>(&format!("GET {key}")).await, 20, "a refusal counts nothing");
    assert_eq!(
        store.lease(Visitor::User(user(1)), 10, 5).await.unwrap().granted,
        0,
        "a limit may be lowered"
    );
}

#[tokio::test]
async fn every_visitor_has_a_window_and_a_window_closes() {
    let world = World::new().await;
    let store = world.store().await;
    let here = Visitor::Network(Network::household([127, 0, 0, 1].into()));
    for (visitor, granted) in [(here, 1), (here, 0), (Visitor::User(user(1)), 1), (Visitor::User(user(1)), 0)]
    {
        assert_eq!(store.lease(visitor, 1, 1).await.unwrap().granted, granted);
    }
    let _: () = world.look().await.ask("PEXPIRE rate:requests-from:127.0.0.1 1").await;
    crate::harness::eventually("the window to close", async || {
        (store.lease(here, 1, 1).await.unwrap().granted == 1).then_some(())
    })
    .await;
}
