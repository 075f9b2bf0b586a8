//! Four shards on one Redis: `lua/count_above.lua`, `lua/merge_shard.lua` and `lua/complete_answer.lua`.

use std::sync::Arc;

use laurel::store::{IdempotencyKey, Redeem, Store};
use uuid::Uuid;

use super::{award, awarded, redeem, token};
use crate::harness::TestStores;

const SHARDS: usize = 4;

/// A user in a shard.
fn user_of(shard: usize, number: u128) -> Uuid {
    let mut users = (0..).map(|prefix: u128| Uuid::from_u128(prefix << 64 | number));
    users.find(|user| laurel::store::shard_of(user.as_bytes(), SHARDS) == shard).unwrap()
}

/// The version of the merged board, and its scores.
async fn top(store: &Arc<Store>) -> (i64, Vec<u64>) {
    let state = store.poll(0, i64::MAX).await.unwrap();
    (state.version, state.top.iter().map(|entry| entry.score).collect())
}

#[tokio::test]
async fn ranks_and_the_top_list_cover_all_shards() {
    let stores = TestStores::with_shards(SHARDS).await;
    let store = stores.open_store().await;
    let mut version = 0;
    for number in 0..24_u128 {
        let user = user_of(number as usize % SHARDS, number);
        let first = awarded(award(&store, user, 100 - number as u64).await.outcome);
        assert_eq!((first.rank, first.rank_before), (Some(1 + number as u64), None));
        let (newest, scores) = top(&store).await;
        assert_eq!(scores.len(), 10.min(1 + number as usize));
        assert!(newest > version || number >= 10, "each of the first ten awards changes the board");
        version = newest;
    }
    assert_eq!(top(&store).await.1, (91..=100).rev().collect::<Vec<_>>());
    // From the last place to the first, past users of every shard.
    let last = user_of(23 % SHARDS, 23);
    let second = awarded(award(&store, last, 1000).await.outcome);
    assert_eq!((second.rank, second.rank_before), (Some(1), Some(24)));
    assert_eq!(store.standing(user_of(0, 0)).await.unwrap(), Some((100, Some(2))));
    assert_eq!(top(&store).await.1[0], 1077);
}

#[tokio::test]
async fn a_merged_board_is_empty_until_its_shards_are_opened() {
    let mut stores = TestStores::with_shards(SHARDS).await;
    let store = stores.open_store().await;
    for shard in 0..SHARDS {
        award(&store, user_of(shard, 1), 10 + shard as u64).await;
    }
    let before = top(&store).await;
    stores.redis.kill().await;
    stores.redis.restart().await;
    let (version, entries) = loop {
        if let Ok(state) = store.poll(0, i64::MAX).await {
            break (state.version, state.top);
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((version, entries), (0, Vec::new()), "no shard was compared with the ledger");
    crate::harness::open_board(&store).await;
    let after = top(&store).await;
    assert!(after.0 >= before.0);
    assert_eq!(after.1, before.1);
}

#[tokio::test]
async fn a_stored_response_is_completed_once() {
    let stores = TestStores::with_shards(SHARDS).await;
    let store = stores.open_store().await;
    award(&store, user_of(0, 1), 500).await;
    let player = user_of(1, 2);
    let key =
        IdempotencyKey { key_digest: "key".into(), request_digest: "request".into(), answer_ttl_ms: 60_000 };
    let id = token(&store, player).await;
    let request = || Redeem { idempotency: Some(&key), ..redeem(player, &id) };
    let first = store.redeem(&request()).await.unwrap();
    let replayed = awarded(store.redeem(&request()).await.unwrap().outcome);
    assert_eq!(
        (replayed.rank, replayed.top.as_ref().unwrap().len()),
        (Some(2), 2),
        "rank and board cover all shards"
    );
    award(&store, user_of(2, 3), 700).await;
    let again = store.redeem(&request()).await.unwrap();
    assert!(again.replayed && !first.replayed);
    assert_eq!(again.outcome, first.outcome);
}
