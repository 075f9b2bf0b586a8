//! Reservations while a webhook verifies a proof: two runs of `redeem` or `prove`, and `release`.

use std::sync::Arc;

use laurel::action::Limits;
use laurel::store::{
    AwardReply, InitToken, Judging, Prove, ProvenFields, Redeem, Reservation, ScriptRefusal, Store,
};
use laurel::token::ActToken;
use uuid::Uuid;

use super::{INVALID_PROOF, NO_LIMITS, VALID_PROOF, redeem, token, user};
use crate::harness::{RedisClient, TestStores};

fn new_reservation() -> Reservation {
    Reservation { id: Uuid::new_v4(), ttl_ms: 60_000 }
}

async fn run_redeem(store: &Arc<Store>, request: Redeem<'_>) -> Result<AwardReply, ScriptRefusal> {
    store.redeem(&request).await.unwrap().outcome
}

fn prove<'a>(init_token: &'a InitToken, judging: Judging<'a>) -> Prove<'a> {
    Prove {
        user: user(1),
        action: "watch_ad",
        points: 10,
        limits: &NO_LIMITS,
        attempt_id: init_token.id,
        token_hash: "proven",
        ttl_ms: 300_000,
        per_minute: 0,
        interval_ms: 0,
        outbox_max: 1_000_000,
        anti_spam: Some(init_token),
        named_session: "",
        proof: "",
        verdict: &VALID_PROOF,
        judging,
        idempotency: None,
    }
}

fn init_token(id: &str) -> InitToken {
    InitToken { id: id.parse().unwrap(), hash: "hash".into(), expires_s: i64::from(u32::MAX) }
}

async fn run_prove(store: &Arc<Store>, request: Prove<'_>) -> Result<ProvenFields, ScriptRefusal> {
    store.prove(&request).await.unwrap().outcome
}

#[tokio::test]
async fn one_request_at_a_time_reserves_a_token() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    let id = token(&store, user(1)).await;
    let before = redis_client.dump().await;
    let (first, second) = (new_reservation(), new_reservation());
    let pending = |reservation| Redeem { judging: Judging::Pending(reservation), ..redeem(user(1), &id) };
    assert_eq!(run_redeem(&store, pending(&first)).await, Err(ScriptRefusal::Reserved));
    let left_ms: i64 = redis_client.query(&format!("PTTL judging:{id}")).await;
    assert!((1..=60_000).contains(&left_ms), "the reservation of a dead node expires: {left_ms}");
    assert_eq!(run_redeem(&store, pending(&second)).await, Err(ScriptRefusal::Judging));
    let proven = run_prove(&store, prove(&init_token(&id), Judging::Pending(&second))).await;
    assert_eq!(proven, Err(ScriptRefusal::Judging));

    assert!(!store.release(user(1), &id, &second).await.unwrap(), "the reservation of another request");
    assert!(store.release(user(1), &id, &first).await.unwrap());
    redis_client.assert_unchanged(&before).await;
    assert!(!store.release(user(1), &id, &first).await.unwrap());
    assert_eq!(run_redeem(&store, pending(&second)).await, Err(ScriptRefusal::Reserved));
    // A result that arrives after its reservation ended is refused: another request may have reserved the token.
    let late = Redeem { judging: Judging::Done(&first), ..redeem(user(1), &id) };
    assert_eq!(run_redeem(&store, late).await, Err(ScriptRefusal::Judging));
    let done = Redeem { judging: Judging::Done(&second), ..redeem(user(1), &id) };
    assert!(run_redeem(&store, done).await.is_ok());
    assert_eq!(run_redeem(&store, pending(&first)).await, Err(ScriptRefusal::TokenUsed));
    let reservations: i64 = redis_client.query(&format!("EXISTS judging:{id}")).await;
    assert_eq!(reservations, 0);
}

/// A change between the two runs that makes the second run refuse: in the arguments of the script, or in Redis.
struct Change {
    banned: bool,
    limits: Limits,
    outbox_max: u64,
    points_per_hour: u64,
    closed: bool,
}

async fn changes(store: &Arc<Store>) -> [Change; 5] {
    let now_ms = u64::try_from(store.now_us().await.unwrap()).unwrap() / 1000;
    let closed_now =
        Limits { opens_at_ms: (now_ms + 18_000_000) % 86_400_000, open_for_ms: 60_000, ..NO_LIMITS };
    let none = || Change {
        banned: false,
        limits: NO_LIMITS,
        outbox_max: 1_000_000,
        points_per_hour: 0,
        closed: false,
    };
    [
        Change { banned: true, ..none() },
        Change { limits: closed_now, ..none() },
        Change { outbox_max: 1, ..none() },
        Change { points_per_hour: 1, ..none() },
        Change { closed: true, ..none() },
    ]
}

async fn apply(change: &Change, store: &Arc<Store>, redis_client: &mut RedisClient) {
    if change.banned {
        let _: () = redis_client.query(&format!("SET ban:{} 1", user(1))).await;
    }
    if change.closed {
        store.close_board().await.unwrap();
    }
}

async fn revert(change: &Change, store: &Arc<Store>, redis_client: &mut RedisClient) {
    let _: i64 = redis_client.query(&format!("DEL ban:{}", user(1))).await;
    if change.closed {
        crate::harness::open_board(store).await;
    }
}

#[tokio::test]
async fn a_failed_proof_spends_the_token_despite_later_refusals() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    // The outbox needs an entry for `outbox_max: 1`.
    token(&store, user(2)).await;
    for change in &changes(&store).await {
        for is_valid in [true, false] {
            let verdict = if is_valid { &VALID_PROOF } else { &INVALID_PROOF };
            let (id, reservation) = (token(&store, user(1)).await, new_reservation());
            let pending = Redeem { judging: Judging::Pending(&reservation), ..redeem(user(1), &id) };
            assert_eq!(run_redeem(&store, pending).await, Err(ScriptRefusal::Reserved));
            apply(change, &store, &mut redis_client).await;
            let done = Redeem {
                judging: Judging::Done(&reservation),
                verdict,
                limits: &change.limits,
                outbox_max: change.outbox_max,
                points_per_hour: change.points_per_hour,
                ..redeem(user(1), &id)
            };
            let outcome = run_redeem(&store, done).await;
            let is_spent = matches!(outcome, Err(ScriptRefusal::ProofInvalid { .. }));
            assert!(outcome.is_err() && is_spent != is_valid, "{outcome:?}");
            revert(change, &store, &mut redis_client).await;
            let again = run_redeem(
                &store,
                Redeem { judging: Judging::Pending(&reservation), ..redeem(user(1), &id) },
            )
            .await;
            let expected =
                if is_valid { Err(ScriptRefusal::Reserved) } else { Err(ScriptRefusal::TokenUsed) };
            assert_eq!(again, expected, "after {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_failed_proof_gives_no_proven_token_despite_later_refusals() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    token(&store, user(2)).await;
    for change in changes(&store).await.iter().filter(|change| change.points_per_hour == 0) {
        for is_valid in [true, false] {
            let verdict = if is_valid { &VALID_PROOF } else { &INVALID_PROOF };
            let (token, reservation) = (init_token(&token(&store, user(1)).await), new_reservation());
            let pending = || prove(&token, Judging::Pending(&reservation));
            assert_eq!(run_prove(&store, pending()).await, Err(ScriptRefusal::Reserved));
            apply(change, &store, &mut redis_client).await;
            let done = Prove {
                verdict,
                limits: &change.limits,
                outbox_max: change.outbox_max,
                named_session: if change.banned { "sess_other" } else { "" },
                ..prove(&token, Judging::Done(&reservation))
            };
            let outcome = run_prove(&store, done).await;
            let is_spent = matches!(outcome, Err(ScriptRefusal::ProofInvalid { .. }));
            assert!(!matches!(outcome, Ok(ProvenFields { .. })) && is_spent != is_valid, "{outcome:?}");
            revert(change, &store, &mut redis_client).await;
            let expected =
                if is_valid { Err(ScriptRefusal::Reserved) } else { Err(ScriptRefusal::TokenUsed) };
            assert_eq!(run_prove(&store, pending()).await, expected, "after {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_of_the_first_run_ignores_the_proof() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    token(&store, user(2)).await;
    let id = token(&store, user(1)).await;
    let token = init_token(&token(&store, user(1)).await);
    for change in &changes(&store).await {
        apply(change, &store, &mut redis_client).await;
        let before = redis_client.dump().await;
        let reservation = new_reservation();
        for verdict in [&VALID_PROOF, &INVALID_PROOF] {
            let first = Redeem {
                judging: Judging::Pending(&reservation),
                verdict,
                limits: &change.limits,
                outbox_max: change.outbox_max,
                points_per_hour: change.points_per_hour,
                ..redeem(user(1), &id)
            };
            let outcome = run_redeem(&store, first).await;
            assert_ne!(outcome, Err(ScriptRefusal::Reserved));
            let first = Prove {
                verdict,
                limits: &change.limits,
                outbox_max: change.outbox_max,
                named_session: "sess_other",
                ..prove(&token, Judging::Pending(&reservation))
            };
            assert_ne!(run_prove(&store, first).await, Err(ScriptRefusal::Reserved));
        }
        redis_client.assert_unchanged(&before).await;
        revert(change, &store, &mut redis_client).await;
    }
}

#[tokio::test]
async fn a_proof_without_a_token_is_checked_before_the_webhook_call() {
    let stores = TestStores::new().await;
    let (store, act) = (stores.open_store().await, ActToken::new());
    let (hash, reservation) = (act.hash(), new_reservation());
    let unused = init_token(&token(&store, user(1)).await);
    let bare = |judging| Prove { anti_spam: None, token_hash: &hash, ..prove(&unused, judging) };
    assert_eq!(
        run_prove(&store, Prove { named_session: "sess_other", ..bare(Judging::Pending(&reservation)) })
            .await,
        Err(ScriptRefusal::NoSession)
    );
    for _ in 0..2 {
        assert_eq!(
            run_prove(&store, bare(Judging::Pending(&reservation))).await,
            Err(ScriptRefusal::Reserved)
        );
    }
    let failed = Prove { verdict: &INVALID_PROOF, ..bare(Judging::Done(&reservation)) };
    assert!(matches!(run_prove(&store, failed).await, Err(ScriptRefusal::ProofInvalid { .. })));
    assert!(matches!(run_prove(&store, bare(Judging::Done(&reservation))).await, Ok(ProvenFields { .. })));
}
