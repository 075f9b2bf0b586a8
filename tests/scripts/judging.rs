//! Reservations while a webhook judges a proof: two runs of `redeem` and `prove`, and `release`.

use laurel::action::Limits;
use laurel::store::{
    AwardReply, InitToken, Judging, Prove, ProvenFields, Redeem, Reservation, ScriptRefusal, Store,
};
use laurel::token::ActToken;
use uuid::Uuid;

use super::{ANY, FAILS, HOLDS, redeem, token, user};
use crate::harness::{RedisClient, TestStores};

fn reservation() -> Reservation {
    Reservation { id: Uuid::new_v4(), ttl_ms: 60_000 }
}

async fn run(store: &Store, it: Redeem<'_>) -> Result<AwardReply, ScriptRefusal> {
    store.redeem(&it).await.unwrap().outcome
}

fn prove<'a>(asked: &'a InitToken, judging: Judging<'a>) -> Prove<'a> {
    Prove {
        user: user(1),
        action: "watch_ad",
        points: 10,
        limits: &ANY,
        attempt_id: asked.id,
        token_hash: "proven",
        ttl_ms: 300_000,
        per_minute: 0,
        interval_ms: 0,
        outbox_max: 1_000_000,
        anti_spam: Some(asked),
        named_session: "",
        proof: "",
        verdict: &HOLDS,
        judging,
        idempotency: None,
    }
}

async fn asked(store: &Store) -> InitToken {
    let id = token(store, user(1)).await.parse().unwrap();
    InitToken { id, hash: "hash".into(), expires_s: i64::from(u32::MAX) }
}

async fn buy(store: &Store, it: Prove<'_>) -> Result<ProvenFields, ScriptRefusal> {
    store.prove(&it).await.unwrap().outcome
}

#[tokio::test]
async fn one_request_at_a_time_judges_a_token() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    let id = token(&store, user(1)).await;
    let before = redis_client.dump().await;
    let (first, second) = (reservation(), reservation());
    let pending = |it| Redeem { judging: Judging::Pending(it), ..redeem(user(1), &id) };
    assert_eq!(run(&store, pending(&first)).await, Err(ScriptRefusal::Reserved));
    let left_ms: i64 = redis_client.query(&format!("PTTL judging:{id}")).await;
    assert!((1..=60_000).contains(&left_ms), "a node that dies leaves the token usable: {left_ms}");
    assert_eq!(run(&store, pending(&second)).await, Err(ScriptRefusal::Judging));
    let bought = InitToken { id: id.parse().unwrap(), hash: "hash".into(), expires_s: i64::from(u32::MAX) };
    assert_eq!(buy(&store, prove(&bought, Judging::Pending(&second))).await, Err(ScriptRefusal::Judging));

    assert!(!store.release(user(1), &id, &second).await.unwrap(), "another one's");
    assert!(store.release(user(1), &id, &first).await.unwrap());
    redis_client.assert_unchanged(&before).await;
    assert!(!store.release(user(1), &id, &first).await.unwrap());
    assert_eq!(run(&store, pending(&second)).await, Err(ScriptRefusal::Reserved));
    // What was judged for too long is no award: the token may be judged for another request by now.
    let late = Redeem { judging: Judging::Done(&first), ..redeem(user(1), &id) };
    assert_eq!(run(&store, late).await, Err(ScriptRefusal::Judging));
    let judged = Redeem { judging: Judging::Done(&second), ..redeem(user(1), &id) };
    assert!(run(&store, judged).await.is_ok());
    assert_eq!(run(&store, pending(&first)).await, Err(ScriptRefusal::TokenUsed));
    let gone: i64 = redis_client.query(&format!("EXISTS judging:{id}")).await;
    assert_eq!(gone, 0);
}

/// What refuses in a second run, though it did not in the first: by the script's arguments, or by Redis.
struct Race {
    banned: bool,
    limits: Limits,
    outbox_max: u64,
    points_per_hour: u64,
    closed: bool,
}

async fn races(store: &Store) -> [Race; 5] {
    let now_ms = u64::try_from(store.now_us().await.unwrap()).unwrap() / 1000;
    let night = Limits { opens_at_ms: (now_ms + 18_000_000) % 86_400_000, open_for_ms: 60_000, ..ANY };
    let none =
        || Race { banned: false, limits: ANY, outbox_max: 1_000_000, points_per_hour: 0, closed: false };
    [
        Race { banned: true, ..none() },
        Race { limits: night, ..none() },
        Race { outbox_max: 1, ..none() },
        Race { points_per_hour: 1, ..none() },
        Race { closed: true, ..none() },
    ]
}

async fn begin(race: &Race, store: &Store, redis_client: &mut RedisClient) {
    if race.banned {
        let _: () = redis_client.query(&format!("SET ban:{} 1", user(1))).await;
    }
    if race.closed {
        store.close_board().await.unwrap();
    }
}

async fn end(race: &Race, store: &Store, redis_client: &mut RedisClient) {
    let _: i64 = redis_client.query(&format!("DEL ban:{}", user(1))).await;
    if race.closed {
        crate::harness::open_board(store).await;
    }
}

#[tokio::test]
async fn a_failed_proof_spends_the_token_despite_later_refusals() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    // So that the outbox has entries.
    token(&store, user(2)).await;
    for race in &races(&store).await {
        for holds in [true, false] {
            let verdict = if holds { &HOLDS } else { &FAILS };
            let (id, reserved) = (token(&store, user(1)).await, reservation());
            let pending = Redeem { judging: Judging::Pending(&reserved), ..redeem(user(1), &id) };
            assert_eq!(run(&store, pending).await, Err(ScriptRefusal::Reserved));
            begin(race, &store, &mut redis_client).await;
            let judged = Redeem {
                judging: Judging::Done(&reserved),
                verdict,
                limits: &race.limits,
                outbox_max: race.outbox_max,
                points_per_hour: race.points_per_hour,
                ..redeem(user(1), &id)
            };
            let outcome = run(&store, judged).await;
            let is_spent = matches!(outcome, Err(ScriptRefusal::ProofInvalid { .. }));
            assert!(outcome.is_err() && is_spent != holds, "{outcome:?}");
            end(race, &store, &mut redis_client).await;
            let again =
                run(&store, Redeem { judging: Judging::Pending(&reserved), ..redeem(user(1), &id) }).await;
            let wanted = if holds { Err(ScriptRefusal::Reserved) } else { Err(ScriptRefusal::TokenUsed) };
            assert_eq!(again, wanted, "after {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_failed_proof_buys_no_proven_token_despite_later_refusals() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    token(&store, user(2)).await;
    for race in races(&store).await.iter().filter(|it| it.points_per_hour == 0) {
        for holds in [true, false] {
            let verdict = if holds { &HOLDS } else { &FAILS };
            let (mine, reserved) = (asked(&store).await, reservation());
            let pending = || prove(&mine, Judging::Pending(&reserved));
            assert_eq!(buy(&store, pending()).await, Err(ScriptRefusal::Reserved));
            begin(race, &store, &mut redis_client).await;
            let judged = Prove {
                verdict,
                limits: &race.limits,
                outbox_max: race.outbox_max,
                named_session: if race.banned { "sess_other" } else { "" },
                ..prove(&mine, Judging::Done(&reserved))
            };
            let outcome = buy(&store, judged).await;
            let is_spent = matches!(outcome, Err(ScriptRefusal::ProofInvalid { .. }));
            assert!(!matches!(outcome, Ok(ProvenFields { .. })) && is_spent != holds, "{outcome:?}");
            end(race, &store, &mut redis_client).await;
            let wanted = if holds { Err(ScriptRefusal::Reserved) } else { Err(ScriptRefusal::TokenUsed) };
            assert_eq!(buy(&store, pending()).await, wanted, "after {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_of_the_first_run_ignores_the_proof() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    token(&store, user(2)).await;
    let (id, mine) = (token(&store, user(1)).await, asked(&store).await);
    for race in &races(&store).await {
        begin(race, &store, &mut redis_client).await;
        let before = redis_client.dump().await;
        let reserved = reservation();
        for verdict in [&HOLDS, &FAILS] {
            let first = Redeem {
                judging: Judging::Pending(&reserved),
                verdict,
                limits: &race.limits,
                outbox_max: race.outbox_max,
                points_per_hour: race.points_per_hour,
                ..redeem(user(1), &id)
            };
            let outcome = run(&store, first).await;
            assert_ne!(outcome, Err(ScriptRefusal::Reserved));
            let bought = Prove {
                verdict,
                limits: &race.limits,
                outbox_max: race.outbox_max,
                named_session: "sess_other",
                ..prove(&mine, Judging::Pending(&reserved))
            };
            assert_ne!(buy(&store, bought).await, Err(ScriptRefusal::Reserved));
        }
        redis_client.assert_unchanged(&before).await;
        end(race, &store, &mut redis_client).await;
    }
}

#[tokio::test]
async fn a_proof_without_a_token_is_checked_before_judging() {
    let stores = TestStores::new().await;
    let (store, act) = (stores.open_store().await, ActToken::new());
    let (hash, reserved, nobody) = (act.hash(), reservation(), asked(&store).await);
    let bare = |judging| Prove { anti_spam: None, token_hash: &hash, ..prove(&nobody, judging) };
    assert_eq!(
        buy(&store, Prove { named_session: "sess_other", ..bare(Judging::Pending(&reserved)) }).await,
        Err(ScriptRefusal::NoSession)
    );
    for _ in 0..2 {
        assert_eq!(buy(&store, bare(Judging::Pending(&reserved))).await, Err(ScriptRefusal::Reserved));
    }
    let failed = Prove { verdict: &FAILS, ..bare(Judging::Done(&reserved)) };
    assert!(matches!(buy(&store, failed).await, Err(ScriptRefusal::ProofInvalid { .. })));
    assert!(matches!(buy(&store, bare(Judging::Done(&reserved))).await, Ok(ProvenFields { .. })));
}
