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
    let redis_client = store.poll(0, i64::MAX).await.unwrap();
    assert_eq!((redis_client.top.len(), redis_client.outbox), (1, 2));
    assert!(store.poll(redis_client.version, i64::MAX).await.unwrap().top.is_empty());
    store.close_board().await.unwrap();
    assert!(!store.poll(0, i64::MAX).await.unwrap().open);
}

#[tokio::test]
async fn a_board_is_published_at_once_then_once_per_interval() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let mut subscription = store.subscribe(&[board_channel(BoardId::GLOBAL)]).await.unwrap();
    let mut due = Vec::new();
    for who in 1..=3 {
        let id = token(&store, user(who)).await;
        let it = Redeem { publish_interval_ms: 60_000, ..redeem(user(who), &id) };
        let Ok(awarded) = store.redeem(&it).await.unwrap().outcome else { panic!() };
        due.push(awarded.flush_due_ms);
    }
    assert_eq!(due[0], 0, "an isolated change is not held back");
    assert!(due[1..].iter().all(|it| (1..=60_000).contains(it)), "{due:?}");
    assert!(store.flush(60_000).await.unwrap() > 0, "the window is still open");

    let _: () = stores.redis_client().await.query("DEL leaderboard:global:throttle").await;
    assert_eq!(store.flush(60_000).await.unwrap(), 0);
    assert_eq!(store.flush(60_000).await.unwrap(), 0, "nothing is left");
    let mut heard = Vec::new();
    for _ in 0..2 {
        let (_, text) = subscription.next().await.unwrap();
        heard.push(Board::read_publication(BoardId::GLOBAL, &text).unwrap().rows.len());
    }
    assert_eq!(heard, [1, 3], "the newest state wins");
}

#[tokio::test]
async fn refill_top_merges_candidates_and_skips_outdated_ones() {
    // All users are in the shard whose top list is refilled.
    use super::{neighbour as user, number};
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    award(&store, user(1), 50).await;
    let loaded: Vec<_> = (2..=15).map(|it| Standing::of(user(it), 40 + it as u64)).collect();
    store.add_totals(&loaded).await.unwrap();
    let entry = |who: u128, score: u64, hlc_us: i64| board_entry(user(who), score, hlc_us);
    let mut candidates: Vec<_> = (2..=15).map(|it| entry(it, 40 + it as u64, 5)).collect();
    candidates.push(entry(2, 9999, 1));
    store.refill_top(0, &candidates, 0, None).await.unwrap();
    let redis_client = store.poll(0, i64::MAX).await.unwrap();
    let rows = Board::from_entries(BoardId::GLOBAL, redis_client.version, redis_client.top).rows;
    // Users 10 and 1 both have 50; user 10 reached it earlier by its HLC.
    assert_eq!(
        rows.iter().map(|it| number(it.user)).collect::<Vec<_>>(),
        [15, 14, 13, 12, 11, 10, 1, 9, 8, 7]
    );
    assert_eq!((rows[5].rank, rows[6].rank, rows[7].rank), (6, 6, 8));
    award(&store, user(3), 4).await;
    let after = store.poll(0, i64::MAX).await.unwrap().version;
    assert_eq!(after, redis_client.version, "47 is what the tenth has, and the tenth had it first");
}

#[tokio::test]
async fn a_subscription_gets_only_its_channels() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let channel = laurel::store::personal_channel(user(1));
    let mut subscription = store.subscribe(std::slice::from_ref(&channel)).await.unwrap();
    award(&store, user(2), 10).await;
    award(&store, user(1), 10).await;
    let (heard, text) = subscription.next().await.unwrap();
    assert_eq!(heard, channel);
    let news = laurel::store::PersonalUpdate::parse(&text).unwrap();
    assert_eq!((news.score, news.rank, news.rank_before, news.points), (10, Some(1), None, 10));
    subscription.drop(&[channel]).await.unwrap();
    eventually("nobody to be subscribed", async || {
        let subscribed: Vec<String> = stores.redis_client().await.query("PUBSUB CHANNELS personal:*").await;
        subscribed.is_empty().then_some(())
    })
    .await;
}
