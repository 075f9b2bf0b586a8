//! `poll`, `flush` and `refill_top`.

use laurel::live::Board;
use laurel::store::{BoardId, Redeem, Standing, board_channel};

use super::{award, board_entry, redeem, token, user};
use crate::harness::{TestStores, eventually};

#[tokio::test]
async fn a_poll_returns_the_top_list_only_if_newer() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let empty = store.poll(0, i64::MAX).await.unwrap();
    assert!(empty.open && empty.top.is_empty() && empty.outbox == 0);
    award(&store, user(1), 10).await;
    let state = store.poll(0, i64::MAX).await.unwrap();
    assert_eq!((state.top.len(), state.outbox), (1, 2));
    assert!(store.poll(state.version, i64::MAX).await.unwrap().top.is_empty());
    store.close_board().await.unwrap();
    assert!(!store.poll(0, i64::MAX).await.unwrap().open);
}

#[tokio::test]
async fn a_board_is_published_at_once_then_once_per_interval() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let mut subscription = store.subscribe(&[board_channel(BoardId::GLOBAL)]).await.unwrap();
    let mut delays_ms = Vec::new();
    for number in 1..=3 {
        let id = token(&store, user(number)).await;
        let request = Redeem { publish_interval_ms: 60_000, ..redeem(user(number), &id) };
        let Ok(awarded) = store.redeem(&request).await.unwrap().outcome else { panic!() };
        delays_ms.push(awarded.flush_due_ms);
    }
    assert_eq!(delays_ms[0], 0, "an isolated change is published at once");
    assert!(delays_ms[1..].iter().all(|delay| (1..=60_000).contains(delay)), "{delays_ms:?}");
    assert!(store.flush(60_000).await.unwrap() > 0, "the throttle is still set");

    let _: () = stores.redis_client().await.query("DEL leaderboard:global:throttle").await;
    assert_eq!(store.flush(60_000).await.unwrap(), 0);
    assert_eq!(store.flush(60_000).await.unwrap(), 0, "no change is left to publish");
    let mut lengths = Vec::new();
    for _ in 0..2 {
        let (_, text) = subscription.next().await.unwrap();
        lengths.push(Board::read_publication(BoardId::GLOBAL, &text).unwrap().rows.len());
    }
    assert_eq!(lengths, [1, 3], "the second publication has the newest board");
}

#[tokio::test]
async fn refill_top_merges_candidates_and_skips_outdated_ones() {
    // All users are in the shard whose top list is refilled.
    use super::{first_shard_user as user, number};
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    award(&store, user(1), 50).await;
    let totals: Vec<_> = (2..=15).map(|number| Standing::of(user(number), 40 + number as u64)).collect();
    store.add_totals(&totals).await.unwrap();
    let entry = |number: u128, score: u64, hlc_us: i64| board_entry(user(number), score, hlc_us);
    let mut candidates: Vec<_> = (2..=15).map(|number| entry(number, 40 + number as u64, 5)).collect();
    candidates.push(entry(2, 9999, 1));
    store.refill_top(0, &candidates, 0, None).await.unwrap();
    let state = store.poll(0, i64::MAX).await.unwrap();
    let rows = Board::from_entries(BoardId::GLOBAL, state.version, state.top).rows;
    // Users 10 and 1 both have 50; user 10 reached it earlier by its HLC.
    assert_eq!(
        rows.iter().map(|row| number(row.user)).collect::<Vec<_>>(),
        [15, 14, 13, 12, 11, 10, 1, 9, 8, 7]
    );
    assert_eq!((rows[5].rank, rows[6].rank, rows[7].rank), (6, 6, 8));
    award(&store, user(3), 4).await;
    let after = store.poll(0, i64::MAX).await.unwrap().version;
    assert_eq!(after, state.version, "the tenth user reached 47 first");
}

#[tokio::test]
async fn a_subscription_gets_only_its_channels() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let channel = laurel::store::personal_channel(user(1));
    let mut subscription = store.subscribe(std::slice::from_ref(&channel)).await.unwrap();
    award(&store, user(2), 10).await;
    award(&store, user(1), 10).await;
    let (received, text) = subscription.next().await.unwrap();
    assert_eq!(received, channel);
    let update = laurel::store::PersonalUpdate::parse(&text).unwrap();
    assert_eq!((update.score, update.rank, update.rank_before, update.points), (10, Some(1), None, 10));
    subscription.drop(&[channel]).await.unwrap();
    eventually("the subscription to end", async || {
        let channels: Vec<String> = stores.redis_client().await.query("PUBSUB CHANNELS personal:*").await;
        channels.is_empty().then_some(())
    })
    .await;
}
