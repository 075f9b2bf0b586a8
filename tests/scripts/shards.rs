//! Several shards: `lua/count_above.lua`, `lua/merge_shard.lua` and `lua/complete_answer.lua`. Always with four shards on one Redis.

use laurel::store::{AwardReply, IdempotencyKey, Redeem, RedeemReply, Store};
use uuid::Uuid;

use super::{award, redeem, token};
use crate::harness::TestStores;

const SHARDS: usize = 4;

/// Somebody of a shard.
fn of(shard: usize, number: u128) -> Uuid {
    let all = (0..).map(|it: u128| Uuid::from_u128(it << 64 | number));
    all.into_iter().find(|it| laurel::store::shard_of(it.as_bytes(), SHARDS) == shard).unwrap()
}

fn awarded(redeemed: RedeemReply) -> AwardReply {
    match redeemed.outcome {
        Ok(awarded) => awarded,
        other => panic!("{other:?}"),
    }
}

async fn top(store: &Store) -> (i64, Vec<u64>) {
    let redis_client = store.poll(0, i64::MAX).await.unwrap();
    (redis_client.version, redis_client.top.iter().map(|entry| entry.score).collect())
}

#[tokio::test]
async fn ranks_and_the_top_list_cover_all_shards() {
    let stores = TestStores::with_shards(SHARDS).await;
    let store = stores.open_store().await;
    let mut version = 0;
    for place in 0..24_u128 {
        let mine = awarded(award(&store, of(place as usize % SHARDS, place), 100 - place as u64).await);
        assert_eq!((mine.rank, mine.rank_before), (1 + place as u64, None));
        let (shown, scores) = top(&store).await;
        assert_eq!(scores.len(), 10.min(1 + place as usize));
        assert!(shown > version || place >= 10, "each of the first ten changes the board");
        version = shown;
    }
    assert_eq!(top(&store).await.1, (91..=100).rev().collect::<Vec<_>>());
    // From the last place to the first, past users of every shard.
    let last = of(23 % SHARDS, 23);
    let mine = awarded(award(&store, last, 1000).await);
    assert_eq!((mine.rank, mine.rank_before), (1, Some(24)));
    assert_eq!(store.standing(of(0, 0)).await.unwrap(), Some((100, Some(2))));
    assert_eq!(top(&store).await.1[0], 1077);
}

#[tokio::test]
async fn a_merged_board_of_a_new_run_waits_for_every_shard() {
    let mut stores = TestStores::with_shards(SHARDS).await;
    let store = stores.open_store().await;
    for shard in 0..SHARDS {
        award(&store, of(shard, 1), 10 + shard as u64).await;
    }
    let before = top(&store).await;
    stores.redis.kill().await;
    stores.redis.restart().await;
    let (version, shown) = loop {
        if let Ok(redis_client) = store.poll(0, i64::MAX).await {
            break (redis_client.version, redis_client.top);
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((version, shown), (0, Vec::new()), "nobody was compared with the ledger yet");
    crate::harness::open_board(&store).await;
    let after = top(&store).await;
    assert!(after.0 >= before.0);
    assert_eq!(after.1, before.1);
}

#[tokio::test]
async fn a_stored_answer_is_completed_once() {
    let stores = TestStores::with_shards(SHARDS).await;
    let store = stores.open_store().await;
    award(&store, of(0, 1), 500).await;
    let me = of(1, 2);
    let key = IdempotencyKey { key_digest: "key".into(), request_digest: "mine".into(), kept_ms: 60_000 };
    let id = token(&store, me).await;
    let asked = || Redeem { idempotency: Some(&key), ..redeem(me, &id) };
    let first = store.redeem(&asked()).await.unwrap();
    let told = awarded(store.redeem(&asked()).await.unwrap());
    assert_eq!((told.rank, told.top.as_ref().unwrap().len()), (2, 2), "the rank among all, the board of all");
    award(&store, of(2, 3), 700).await;
    let again = store.redeem(&asked()).await.unwrap();
    assert!(again.replayed && !first.replayed);
    assert_eq!(again.outcome, first.outcome);
}
