//! `redeem` with anti-spam tokens.

use std::sync::Arc;

use futures::future::join_all;
use laurel::action::{Limits, ProofResult};
use laurel::error::Fault;
use laurel::store::{AwardReply, IdempotencyKey, Redeem, RedeemReply, ScriptRefusal, Store};

use super::{INVALID_PROOF, award, awarded, redeem, token, user};
use crate::harness::{RedisClient, TestStores};

async fn run(store: &Arc<Store>, request: Redeem<'_>) -> Result<AwardReply, ScriptRefusal> {
    store.redeem(&request).await.unwrap().outcome
}

#[tokio::test]
async fn an_award_changes_score_board_and_outbox_atomically() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    let id = token(&store, user(1)).await;
    let first = awarded(run(&store, redeem(user(1), &id)).await);
    assert_eq!((first.score, first.rank, first.rank_before), (10, Some(1), None));
    assert_eq!(first.top.as_ref().unwrap().len(), 1);

    let player = user(1);
    assert_eq!(redis_client.query::<String>(&format!("ZSCORE leaderboard:global {player}")).await, "10");
    assert_eq!(redis_client.query::<String>(&format!("GET user:score:{player}")).await, "10");
    assert_eq!(redis_client.query::<u64>(&format!("EXISTS token:{id}")).await, 0, "the token is deleted");
    assert_eq!(redis_client.query::<u64>(&format!("EXISTS spent:{id}")).await, 1);
    assert_eq!(redis_client.query::<u64>("XLEN outbox").await, 2);
    assert_eq!(redis_client.query::<i64>("HGET leaderboard:global:state version").await, first.version);

    let second = awarded(award(&store, user(1), 15).await.outcome);
    assert_eq!((second.score, second.rank, second.rank_before), (25, Some(1), Some(1)));
    assert!(second.version > first.version);
}

#[tokio::test]
async fn a_refused_request_changes_nothing_in_redis() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    let used = token(&store, user(1)).await;
    awarded(run(&store, redeem(user(1), &used)).await);
    let live = token(&store, user(1)).await;
    let banned = token(&store, user(2)).await;
    let _: () = redis_client.query(&format!("SET ban:{} 1", user(2))).await;
    let largest = token(&store, user(3)).await;
    let before = redis_client.dump().await;

    let expect = async |request: Redeem<'_>, expected: Result<AwardReply, ScriptRefusal>| {
        assert_eq!(run(&store, request).await, expected);
    };
    expect(redeem(user(1), &used), Err(ScriptRefusal::TokenUsed)).await;
    expect(redeem(user(1), "no such token"), Err(ScriptRefusal::TokenUnknown)).await;
    expect(Redeem { expires_s: 1, ..redeem(user(1), "gone") }, Err(ScriptRefusal::TokenExpired)).await;
    expect(redeem(user(3), &live), Err(ScriptRefusal::TokenForeign)).await;
    expect(Redeem { action: "solve_puzzle", ..redeem(user(1), &live) }, Err(ScriptRefusal::TokenUnknown))
        .await;
    expect(redeem(user(2), &banned), Err(ScriptRefusal::Banned)).await;
    expect(Redeem { points: 1 << 53, ..redeem(user(3), &largest) }, Err(ScriptRefusal::ScoreFull)).await;
    expect(Redeem { outbox_max: 1, ..redeem(user(1), &live) }, Err(ScriptRefusal::OutboxFull)).await;
    redis_client.assert_unchanged(&before).await;

    let epoch = redis_client.query::<String>("HGET shard:state epoch").await;
    store.close_board().await.unwrap();
    expect(redeem(user(1), &live), Err(ScriptRefusal::BoardClosed)).await;
    let _: () = redis_client.query(&format!("HSET shard:state epoch {epoch}")).await;
    redis_client.assert_unchanged(&before).await;
    awarded(run(&store, redeem(user(1), &live)).await);
}

#[tokio::test]
async fn scores_are_exact_up_to_the_maximum() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let largest = (1u64 << 53) - 1;
    assert_eq!(awarded(award(&store, user(1), largest - 1).await.outcome).score, largest - 1);
    let highest = awarded(award(&store, user(1), 1).await.outcome);
    assert_eq!(highest.score, largest);
    assert!(highest.top.as_ref().unwrap()[0].score == 9_007_199_254_740_991, "{:?}", highest.top);
    let id = token(&store, user(1)).await;
    assert_eq!(
        run(&store, Redeem { points: 1, ..redeem(user(1), &id) }).await,
        Err(ScriptRefusal::ScoreFull)
    );
}

#[tokio::test]
async fn a_failed_proof_spends_the_token_after_all_other_checks() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    let id = token(&store, user(1)).await;
    let full = Redeem { verdict: &INVALID_PROOF, outbox_max: 1, ..redeem(user(1), &id) };
    assert_eq!(run(&store, full).await, Err(ScriptRefusal::OutboxFull));
    let failed = Redeem { verdict: &INVALID_PROOF, ..redeem(user(1), &id) };
    assert!(matches!(run(&store, failed).await, Err(ScriptRefusal::ProofInvalid { .. })));
    assert_eq!(run(&store, redeem(user(1), &id)).await, Err(ScriptRefusal::TokenUsed));
    assert_eq!(redis_client.query::<u64>("ZCARD leaderboard:global").await, 0);
}

#[tokio::test]
async fn redis_clock_decides_the_age_of_a_token() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let (early, late, right) =
        (token(&store, user(1)).await, token(&store, user(1)).await, token(&store, user(1)).await);
    let with_age = |age_ms| ProofResult { age_ms, ..ProofResult::default() };
    let (too_old, too_young, in_time) = (with_age((0, 1)), with_age((20_000, 0)), with_age((1, 30_000)));
    assert!(matches!(
        run(&store, Redeem { verdict: &too_young, ..redeem(user(1), &early) }).await,
        Err(ScriptRefusal::ProofInvalid { .. })
    ));
    crate::harness::eventually("a token to be older than a millisecond", async || {
        let now_ms = store.now_us().await.unwrap() / 1000;
        let mut redis_client = stores.redis_client().await;
        let issued: String = redis_client.query(&format!("GET token:{late}")).await;
        let issued_ms: i64 = issued.split(' ').nth(3).unwrap().parse().unwrap();
        (now_ms > issued_ms + 2).then_some(())
    })
    .await;
    assert!(matches!(
        run(&store, Redeem { verdict: &too_old, ..redeem(user(1), &late) }).await,
        Err(ScriptRefusal::ProofInvalid { .. })
    ));
    awarded(run(&store, Redeem { verdict: &in_time, ..redeem(user(1), &right) }).await);
}

#[tokio::test]
async fn a_daily_cap_refuses_the_third_award() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let limits = Limits { cooldown_ms: 0, cap_per_day: 2, ..Limits::default() };
    let ids = [token(&store, user(1)).await, token(&store, user(1)).await, token(&store, user(1)).await];
    let limited = |id| Redeem { limits: &limits, ..redeem(user(1), id) };
    awarded(run(&store, limited(&ids[0])).await);
    awarded(run(&store, limited(&ids[1])).await);
    let refused = run(&store, limited(&ids[2])).await;
    assert!(
        matches!(refused, Err(ScriptRefusal::ActionLimited { wait_ms, ref limit }) if wait_ms <= 86_400_000 && limit == "cap_per_day"),
        "{refused:?}"
    );
    awarded(run(&store, redeem(user(1), &ids[2])).await);
}

#[tokio::test]
async fn points_per_hour_are_capped() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    fn capped(id: &str) -> Redeem<'_> {
        Redeem { points_per_hour: 25, ..redeem(user(1), id) }
    }
    for points in [10, 10] {
        let id = token(&store, user(1)).await;
        awarded(run(&store, Redeem { points, ..capped(&id) }).await);
    }
    let id = token(&store, user(1)).await;
    let refused = run(&store, capped(&id)).await;
    assert!(
        matches!(refused, Err(ScriptRefusal::ActionLimited { wait_ms, ref limit }) if wait_ms <= 3_600_000 && limit == "points_per_hour"),
        "{refused:?}"
    );
    // The cap counts the maximum that a proof can give. Otherwise a refusal would reveal how much it gives.
    let too_much = run(&store, Redeem { points: 5, most_points: 6, ..capped(&id) }).await;
    assert!(matches!(too_much, Err(ScriptRefusal::ActionLimited { .. })), "{too_much:?}");
    let failed = Redeem { points: 5, most_points: 6, verdict: &INVALID_PROOF, ..capped(&id) };
    assert!(matches!(run(&store, failed).await, Err(ScriptRefusal::ActionLimited { .. })));
    awarded(run(&store, Redeem { points: 5, ..capped(&id) }).await);
}

#[tokio::test]
async fn a_repeated_key_replays_the_first_response() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let key = |request: &str| IdempotencyKey {
        key_digest: "key".into(),
        request_digest: request.into(),
        answer_ttl_ms: 60_000,
    };
    let id = token(&store, user(1)).await;
    let (first_key, other_key) = (key("first"), key("other"));
    let request = || Redeem { idempotency: Some(&first_key), ..redeem(user(1), &id) };
    let first = store.redeem(&request()).await.unwrap();
    award(&store, user(1), 5).await;
    award(&store, user(2), 500).await;

    // Neither a full window nor a closed board refuses the replay.
    store.close_board().await.unwrap();
    let again = store.redeem(&Redeem { per_minute: 1, ..request() }).await.unwrap();
    assert!(again.replayed && !first.replayed);
    assert_eq!(again.outcome, first.outcome);
    let reused = store.redeem(&Redeem { idempotency: Some(&other_key), ..request() }).await.unwrap();
    assert_eq!(reused.outcome, Err(ScriptRefusal::KeyReused));
}

#[tokio::test]
async fn a_replay_has_the_same_receipt_data() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    let key =
        IdempotencyKey { key_digest: "key".into(), request_digest: "request".into(), answer_ttl_ms: 60_000 };
    let id = token(&store, user(1)).await;
    let first = awarded(run(&store, Redeem { idempotency: Some(&key), ..redeem(user(1), &id) }).await);
    let data = first.receipt_data.clone();
    assert_eq!((data.kid.as_str(), data.action.as_str()), ("kid", "watch_ad"));
    assert_eq!(redis_client.query::<i64>("HGET shard:state hlc_us").await, data.hlc_us);

    // At the replay, the node signs with another key, and the spent token has no action.
    let again = Redeem { idempotency: Some(&key), receipt_kid: "newer", action: "-", ..redeem(user(1), &id) };
    assert_eq!(awarded(run(&store, again).await), first);
}

#[tokio::test]
async fn a_reply_has_the_top_list_only_if_it_is_newer() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let first = awarded(award(&store, user(1), 10).await.outcome);
    for number in 2..=10 {
        award(&store, user(number), 100).await;
    }
    let id = token(&store, user(99)).await;
    let newest = awarded(award(&store, user(1), 1).await.outcome).version;
    let eleventh = awarded(run(&store, Redeem { known_version: newest, ..redeem(user(99), &id) }).await);
    let listed = eleventh.top.map_or(0, |top| top.len());
    assert_eq!((eleventh.version, listed, eleventh.rank), (newest, 0, Some(11)));
    let id = token(&store, user(99)).await;
    let behind = awarded(run(&store, Redeem { known_version: first.version, ..redeem(user(99), &id) }).await);
    assert_eq!(behind.top.as_ref().unwrap().len(), 10);
}

/// Calls of scripts so far.
async fn script_calls(redis_client: &mut RedisClient) -> u64 {
    let stats: String = redis_client.query("INFO commandstats").await;
    let calls = stats.split_once("cmdstat_evalsha:calls=").unwrap().1;
    calls.split(',').next().unwrap().parse().unwrap()
}

/// Redeems the first four of these in calls of their own, and in one call the others, which come meanwhile: the runtime has one thread.
async fn redeem_together(
    store: &Arc<Store>,
    redis_client: &mut RedisClient,
    requests: &[Redeem<'_>],
) -> Vec<Result<RedeemReply, Fault>> {
    let before = script_calls(redis_client).await;
    let replies = join_all(requests.iter().map(|request| store.redeem(request))).await;
    assert_eq!(script_calls(redis_client).await, before + 5);
    replies
}

#[tokio::test]
async fn tokens_that_share_a_call_are_judged_one_by_one() {
    let stores = TestStores::with_shards(1).await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    let mut ids = Vec::new();
    for number in 1..=10 {
        ids.push(token(&store, user(number)).await);
    }
    awarded(award(&store, user(11), 5).await.outcome);
    let _: () = redis_client.query(&format!("SET ban:{} 1", user(2))).await;
    let _: u64 = redis_client.query(&format!("HSET rate:awards:{} not 1", user(3))).await;
    let request = |number: u128| Redeem { per_minute: 5, ..redeem(user(number), &ids[number as usize - 1]) };
    let requests = [
        // In calls of their own.
        request(7),
        request(8),
        request(9),
        request(10),
        request(1),
        request(2),
        request(3),
        request(4),
        request(4),
        Redeem { verdict: &INVALID_PROOF, ..request(5) },
        // Ten were issued, one issued and redeemed; six were redeemed before this one, and one spent.
        Redeem { outbox_max: 19, ..request(6) },
    ];
    let mut replies = redeem_together(&store, &mut redis_client, &requests).await;
    let fault = replies.remove(6).unwrap_err();
    assert!(fault.to_string().contains("WRONGTYPE") && !fault.retryable, "{fault}");
    let outcomes: Vec<_> = replies.into_iter().skip(4).map(|reply| reply.unwrap().outcome).collect();
    let [first, banned, once, twice, failed, full] = outcomes.try_into().unwrap();
    assert_eq!((banned, twice), (Err(ScriptRefusal::Banned), Err(ScriptRefusal::TokenUsed)));
    assert!(matches!(failed, Err(ScriptRefusal::ProofInvalid { .. })));
    let (first, once) = (awarded(first), awarded(once));
    assert!(first.receipt_data.hlc_us < once.receipt_data.hlc_us && first.version < once.version);
    assert_eq!((once.rank, once.top.unwrap().len()), (Some(1), 7));
    assert_eq!((full, redis_client.query::<u64>("XLEN outbox").await), (Err(ScriptRefusal::OutboxFull), 19));

    // Its token is still there.
    awarded(run(&store, request(6)).await);
}
