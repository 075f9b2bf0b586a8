//! `prove`, and `redeem` with proven tokens.

use std::sync::Arc;

use laurel::action::{Flow, Limits, ProofResult};
use laurel::store::{
    IdempotencyKey, InitToken, Judging, Prove, ProvenFields, Redeem, ScriptRefusal, Start, Store,
};
use laurel::token::ActToken;
use uuid::Uuid;

use super::{INVALID_PROOF, NO_LIMITS, VALID_PROOF, redeem, token, user};
use crate::harness::{RedisClient, TestStores};

/// A `prove` call that no limit refuses.
fn prove<'a>(user: Uuid, attempt: &ActToken, hash: &'a str) -> Prove<'a> {
    Prove {
        user,
        action: "watch_ad",
        points: 10,
        limits: &NO_LIMITS,
        attempt_id: attempt.attempt_id(),
        token_hash: hash,
        ttl_ms: 300_000,
        per_minute: 0,
        interval_ms: 0,
        outbox_max: 1_000_000,
        anti_spam: None,
        named_session: "",
        proof: "",
        verdict: &VALID_PROOF,
        judging: Judging::Local,
        idempotency: None,
    }
}

fn init_token(id: &str) -> InitToken {
    InitToken { id: id.parse().unwrap(), hash: "hash".into(), expires_s: i64::from(u32::MAX) }
}

/// A `redeem` call with a proven token.
fn redeem_proven<'a>(user: Uuid, attempt: &ActToken, hash: &'a str) -> Redeem<'a> {
    Redeem {
        flow: Flow::Tokens,
        attempt_id: attempt.attempt_id(),
        token_hash: hash,
        expires_s: 0,
        points: 0,
        ..redeem(user, hash)
    }
}

async fn run(store: &Arc<Store>, request: Prove<'_>) -> Result<ProvenFields, ScriptRefusal> {
    store.prove(&request).await.unwrap().outcome
}

/// Starts a game session. Returns its first token.
async fn start(store: &Arc<Store>, user: Uuid, session_id: &str) -> ActToken {
    let first = ActToken::new();
    let start = Start {
        user,
        session_id,
        token: first.as_str(),
        token_hash: &first.hash(),
        ttl_ms: 60_000,
        per_hour: 0,
        outbox_max: 1000,
        event_ids: (Uuid::new_v4(), Uuid::new_v4()),
    };
    store.start(&start).await.unwrap().0.unwrap();
    first
}

#[tokio::test]
async fn a_proof_gives_one_token_that_is_redeemed_once() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    let (id, act) = (token(&store, user(1)).await, ActToken::new());
    let (hash, init_token) = (act.hash(), init_token(&id));
    let request = Prove { anti_spam: Some(&init_token), points: 25, ..prove(user(1), &act, &hash) };
    assert!(matches!(run(&store, request).await, Ok(ProvenFields { .. })));
    let request = Prove { anti_spam: Some(&init_token), ..prove(user(1), &act, &hash) };
    assert_eq!(run(&store, request).await, Err(ScriptRefusal::TokenUsed));
    assert_eq!(store.redeem(&redeem(user(1), &id)).await.unwrap().outcome, Err(ScriptRefusal::TokenUsed));
    assert_eq!(store.proven_for(user(1), &hash).await.unwrap(), Some(("watch_ad".to_owned(), 25)));

    let outcome = store.redeem(&redeem_proven(user(1), &act, &hash)).await.unwrap().outcome;
    let Ok(awarded) = outcome else { panic!() };
    assert_eq!((awarded.score, awarded.points), (25, 25), "the token has the points");
    assert_eq!(
        store.redeem(&redeem_proven(user(1), &act, &hash)).await.unwrap().outcome,
        Err(ScriptRefusal::TokenUsed)
    );
    // An expired token and an unknown one are refused differently.
    let expired = ActToken::new();
    let hash = expired.hash();
    run(&store, prove(user(1), &expired, &hash)).await.unwrap();
    let _: () = redis_client.query(&format!("DEL token:{hash}")).await;
    assert_eq!(
        store.redeem(&redeem_proven(user(1), &expired, &hash)).await.unwrap().outcome,
        Err(ScriptRefusal::TokenExpired)
    );
    let unknown = ActToken::new().hash();
    assert_eq!(
        store.redeem(&redeem_proven(user(1), &expired, &unknown)).await.unwrap().outcome,
        Err(ScriptRefusal::TokenUnknown)
    );
}

#[tokio::test]
async fn proven_tokens_have_a_minimum_interval_per_user() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let (first, second) = (ActToken::new(), ActToken::new());
    let slow =
        |act: &ActToken, hash: &'static str| Prove { interval_ms: 30_000, ..prove(user(1), act, hash) };
    assert!(matches!(run(&store, slow(&first, "a")).await, Ok(ProvenFields { .. })));
    let refused = run(&store, slow(&second, "b")).await;
    assert!(matches!(refused, Err(ScriptRefusal::TooSoon { wait_ms }) if wait_ms <= 30_000), "{refused:?}");
    let other = Prove { interval_ms: 30_000, ..prove(user(2), &second, "b") };
    assert!(matches!(run(&store, other).await, Ok(ProvenFields { .. })));
}

#[tokio::test]
async fn a_refused_request_changes_nothing_in_redis() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    let foreign = init_token(&token(&store, user(2)).await);
    let own = init_token(&token(&store, user(1)).await);
    let _: () = redis_client.query(&format!("SET ban:{} 1", user(3))).await;
    start(&store, user(1), "sess_live").await;
    let before = redis_client.dump().await;
    let act = ActToken::new();
    let hash = act.hash();
    let base = |user| prove(user, &act, &hash);
    let closed_now =
        Limits { opens_at_ms: time_of_day_in(&mut redis_client, 5).await, open_for_ms: 60_000, ..NO_LIMITS };
    let cases = [
        (base(user(3)), Err(ScriptRefusal::Banned)),
        (Prove { anti_spam: Some(&foreign), ..base(user(1)) }, Err(ScriptRefusal::TokenForeign)),
        (
            Prove { anti_spam: Some(&own), action: "solve_puzzle", ..base(user(1)) },
            Err(ScriptRefusal::TokenUnknown),
        ),
        (Prove { named_session: "sess_other", ..base(user(1)) }, Err(ScriptRefusal::SessionMismatch)),
        (Prove { named_session: "sess_live", ..base(user(4)) }, Err(ScriptRefusal::NoSession)),
        (Prove { limits: &closed_now, ..base(user(1)) }, Err(ScriptRefusal::NotOpen)),
        (Prove { outbox_max: 1, ..base(user(1)) }, Err(ScriptRefusal::OutboxFull)),
    ];
    for (request, expected) in cases {
        assert_eq!(run(&store, request).await, expected);
    }
    redis_client.assert_unchanged(&before).await;
}

/// A time of the UTC day in ms, this many hours from now by Redis' clock.
async fn time_of_day_in(redis_client: &mut RedisClient, hours: u64) -> u64 {
    let now: Vec<String> = redis_client.query("TIME").await;
    (now[0].parse::<u64>().unwrap() * 1000 + hours * 3_600_000) % 86_400_000
}

#[tokio::test]
async fn a_failed_proof_spends_its_anti_spam_token() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let (init_token, act) = (init_token(&token(&store, user(1)).await), ActToken::new());
    let hash = act.hash();
    let failed =
        Prove { anti_spam: Some(&init_token), verdict: &INVALID_PROOF, ..prove(user(1), &act, &hash) };
    assert!(matches!(run(&store, failed).await, Err(ScriptRefusal::ProofInvalid { too_young: false, .. })));
    let again = Prove { anti_spam: Some(&init_token), ..prove(user(1), &act, &hash) };
    assert_eq!(run(&store, again).await, Err(ScriptRefusal::TokenUsed));
    assert_eq!(store.proven_for(user(1), &hash).await.unwrap(), None);
}

#[tokio::test]
async fn an_attestation_is_accepted_once_in_all_flows() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let until_ms = store.now_us().await.unwrap() / 1000 + 60_000;
    let valid =
        ProofResult { once: vec!["digest".into()], valid_ms: (0, until_ms), ..ProofResult::default() };
    let expired = ProofResult {
        once: vec!["other".into()],
        valid_ms: (0, until_ms - 120_000),
        ..ProofResult::default()
    };
    let early = ProofResult {
        once: vec!["early".into()],
        valid_ms: (until_ms, until_ms + 1),
        ..ProofResult::default()
    };
    let year_ms = 365 * 86_400_000;
    let too_long = ProofResult {
        once: vec!["long".into()],
        valid_ms: (0, until_ms + year_ms),
        ..ProofResult::default()
    };
    let (first, second) = (ActToken::new(), ActToken::new());
    let request = Prove { verdict: &valid, ..prove(user(1), &first, "a") };
    assert!(matches!(run(&store, request).await, Ok(ProvenFields { .. })));
    let request = Prove { verdict: &valid, ..prove(user(1), &second, "b") };
    assert!(matches!(run(&store, request).await, Err(ScriptRefusal::ProofInvalid { .. })));
    for verdict in [&valid, &expired, &early, &too_long] {
        let id = token(&store, user(1)).await;
        let refused = store.redeem(&Redeem { verdict, ..redeem(user(1), &id) }).await.unwrap().outcome;
        assert!(matches!(refused, Err(ScriptRefusal::ProofInvalid { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn a_proven_token_is_bound_to_its_session() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let game_token = start(&store, user(1), "sess_one").await;
    let acts = [ActToken::new(), ActToken::new()];
    let hashes = [acts[0].hash(), acts[1].hash()];
    for (act, hash) in acts.iter().zip(&hashes) {
        assert!(matches!(run(&store, prove(user(1), act, hash)).await, Ok(ProvenFields { .. })));
    }
    let with_session =
        |named_session| Redeem { named_session, ..redeem_proven(user(1), &acts[0], &hashes[0]) };
    let redeemed = async |request: Redeem<'_>| store.redeem(&request).await.unwrap().outcome;
    assert_eq!(redeemed(with_session("sess_two")).await, Err(ScriptRefusal::SessionMismatch));
    // A game token is not accepted as a proven one, and the reverse.
    let hash = game_token.hash();
    let game_as_proven = Redeem { action: "-", ..redeem_proven(user(1), &game_token, &hash) };
    assert_eq!(redeemed(game_as_proven).await, Err(ScriptRefusal::TokenUnknown));
    let next = laurel::store::NextToken { token: "act_next".into(), hash: "next".into() };
    let proven_as_game =
        Redeem { flow: Flow::Game, next: Some(&next), ..redeem_proven(user(1), &acts[0], &hashes[0]) };
    assert_eq!(redeemed(proven_as_game).await, Err(ScriptRefusal::TokenUnknown));
    assert!(redeemed(with_session("sess_one")).await.is_ok());
    start(&store, user(1), "sess_two").await;
    let other_session = redeemed(redeem_proven(user(1), &acts[1], &hashes[1])).await;
    assert_eq!(other_session, Err(ScriptRefusal::SessionMismatch));
}

#[tokio::test]
async fn one_idempotency_key_gives_one_token() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let init_token = init_token(&token(&store, user(1)).await);
    let (first, second) = (ActToken::new(), ActToken::new());
    let (hash, other_hash) = (first.hash(), second.hash());
    let key = |request: &str| IdempotencyKey {
        key_digest: "key".into(),
        request_digest: request.into(),
        answer_ttl_ms: 60_000,
    };
    let (same, other) = (key("request"), key("another request"));
    let with = |act: &'static str, key, hash| Prove {
        anti_spam: Some(&init_token),
        idempotency: Some((key, act)),
        interval_ms: 30_000,
        ..prove(user(1), &first, hash)
    };
    let proven = store.prove(&with("act_first", &same, &hash)).await.unwrap();
    let Ok(ProvenFields { expires_at_ms, ttl_ms: 300_000, token }) = &proven.outcome else {
        panic!("{proven:?}")
    };
    assert_eq!((token.as_str(), proven.replayed), ("act_first", false));
    let again = store.prove(&with("act_second", &same, &other_hash)).await.unwrap();
    let expected =
        Ok(ProvenFields { expires_at_ms: *expires_at_ms, ttl_ms: 300_000, token: "act_first".into() });
    assert_eq!((again.outcome, again.replayed), (expected, true));
    assert_eq!(
        store.proven_for(user(1), &other_hash).await.unwrap(),
        None,
        "the second token was not issued"
    );
    let reused = store.prove(&with("act_second", &other, &other_hash)).await.unwrap();
    assert_eq!((reused.outcome, reused.replayed), (Err(ScriptRefusal::KeyReused), false));
}
