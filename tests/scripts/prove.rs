use laurel::action::{Flow, Limits, ProofResult};
use laurel::store::{
    IdempotencyKey, InitToken, Judging, Prove, ProvenFields, Redeem, ScriptRefusal, Start, Store,
};
use laurel::token::ActToken;
use uuid::Uuid;

use super::{ANY, FAILS, HOLDS, redeem, token, user};
use crate::harness::{RedisClient, TestStores};

/// A `prove` with nothing in its way.
fn prove<'a>(who: Uuid, attempt: &ActToken, hash: &'a str) -> Prove<'a> {
    Prove {
        user: who,
        action: "watch_ad",
        points: 10,
        limits: &ANY,
        attempt_id: attempt.attempt_id(),
        token_hash: hash,
        ttl_ms: 300_000,
        per_minute: 0,
        interval_ms: 0,
        outbox_max: 1_000_000,
        anti_spam: None,
        named_session: "",
        proof: "",
        verdict: &HOLDS,
        judging: Judging::Local,
        idempotency: None,
    }
}

fn asked(id: &str) -> InitToken {
    InitToken { id: id.parse().unwrap(), hash: "hash".into(), expires_s: i64::from(u32::MAX) }
}

/// A `redeem` of a proven token.
fn proven<'a>(who: Uuid, attempt: &ActToken, hash: &'a str) -> Redeem<'a> {
    Redeem {
        flow: Flow::Tokens,
        attempt_id: attempt.attempt_id(),
        token_hash: hash,
        expires_s: 0,
        points: 0,
        ..redeem(who, hash)
    }
}

async fn outcome(store: &Store, it: Prove<'_>) -> Result<ProvenFields, ScriptRefusal> {
    store.prove(&it).await.unwrap().outcome
}

async fn start(store: &Store, who: Uuid, session_id: &str) -> ActToken {
    let first = ActToken::new();
    let start = Start {
        user: who,
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
async fn a_proof_buys_one_token_that_is_redeemed_once_for_its_own_points() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    let (id, act) = (token(&store, user(1)).await, ActToken::new());
    let (hash, asked) = (act.hash(), asked(&id));
    let it = Prove { anti_spam: Some(&asked), points: 25, ..prove(user(1), &act, &hash) };
    assert!(matches!(outcome(&store, it).await, Ok(ProvenFields { .. })));
    let it = Prove { anti_spam: Some(&asked), ..prove(user(1), &act, &hash) };
    assert_eq!(outcome(&store, it).await, Err(ScriptRefusal::TokenUsed));
    assert_eq!(store.redeem(&redeem(user(1), &id)).await.unwrap().outcome, Err(ScriptRefusal::TokenUsed));
    assert_eq!(store.proven_for(user(1), &hash).await.unwrap(), Some(("watch_ad".to_owned(), 25)));

    let Ok(won) = store.redeem(&proven(user(1), &act, &hash)).await.unwrap().outcome else { panic!() };
    assert_eq!((won.score, won.points), (25, 25), "the points are the token's");
    assert_eq!(
        store.redeem(&proven(user(1), &act, &hash)).await.unwrap().outcome,
        Err(ScriptRefusal::TokenUsed)
    );
    // An expired token differs from one that never was.
    let late = ActToken::new();
    let hash = late.hash();
    outcome(&store, prove(user(1), &late, &hash)).await.unwrap();
    let _: () = redis_client.query(&format!("DEL token:{hash}")).await;
    assert_eq!(
        store.redeem(&proven(user(1), &late, &hash)).await.unwrap().outcome,
        Err(ScriptRefusal::TokenExpired)
    );
    let never = ActToken::new().hash();
    assert_eq!(
        store.redeem(&proven(user(1), &late, &never)).await.unwrap().outcome,
        Err(ScriptRefusal::TokenUnknown)
    );
}

#[tokio::test]
async fn proven_tokens_keep_their_interval() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let (first, second) = (ActToken::new(), ActToken::new());
    let slow =
        |act: &ActToken, hash: &'static str| Prove { interval_ms: 30_000, ..prove(user(1), act, hash) };
    assert!(matches!(outcome(&store, slow(&first, "a")).await, Ok(ProvenFields { .. })));
    let refused = outcome(&store, slow(&second, "b")).await;
    assert!(matches!(refused, Err(ScriptRefusal::TooSoon { wait_ms }) if wait_ms <= 30_000), "{refused:?}");
    let other = Prove { interval_ms: 30_000, ..prove(user(2), &second, "b") };
    assert!(matches!(outcome(&store, other).await, Ok(ProvenFields { .. })));
}

#[tokio::test]
async fn each_refusal_leaves_redis_as_it_was() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    let foreign = asked(&token(&store, user(2)).await);
    let mine = asked(&token(&store, user(1)).await);
    let _: () = redis_client.query(&format!("SET ban:{} 1", user(3))).await;
    start(&store, user(1), "sess_live").await;
    let before = redis_client.dump().await;
    let act = ActToken::new();
    let hash = act.hash();
    let base = |who| prove(who, &act, &hash);
    let open_never =
        Limits { opens_at_ms: hours_from_now(&mut redis_client, 5).await, open_for_ms: 60_000, ..ANY };
    let cases = [
        (base(user(3)), Err(ScriptRefusal::Banned)),
        (Prove { anti_spam: Some(&foreign), ..base(user(1)) }, Err(ScriptRefusal::TokenForeign)),
        (
            Prove { anti_spam: Some(&mine), action: "solve_puzzle", ..base(user(1)) },
            Err(ScriptRefusal::TokenUnknown),
        ),
        (Prove { named_session: "sess_other", ..base(user(1)) }, Err(ScriptRefusal::SessionMismatch)),
        (Prove { named_session: "sess_live", ..base(user(4)) }, Err(ScriptRefusal::NoSession)),
        (Prove { limits: &open_never, ..base(user(1)) }, Err(ScriptRefusal::NotOpen)),
        (Prove { outbox_max: 1, ..base(user(1)) }, Err(ScriptRefusal::OutboxFull)),
    ];
    for (it, wanted) in cases {
        assert_eq!(outcome(&store, it).await, wanted);
    }
    redis_client.assert_unchanged(&before).await;
}

/// A time of the UTC day, some hours from now, by Redis' clock.
async fn hours_from_now(redis_client: &mut RedisClient, hours: u64) -> u64 {
    let now: Vec<String> = redis_client.query("TIME").await;
    (now[0].parse::<u64>().unwrap() * 1000 + hours * 3_600_000) % 86_400_000
}

#[tokio::test]
async fn a_failed_proof_spends_its_anti_spam_token() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let (mine, act) = (asked(&token(&store, user(1)).await), ActToken::new());
    let hash = act.hash();
    let failed = Prove { anti_spam: Some(&mine), verdict: &FAILS, ..prove(user(1), &act, &hash) };
    assert!(matches!(
        outcome(&store, failed).await,
        Err(ScriptRefusal::ProofInvalid { too_young: false, .. })
    ));
    let again = Prove { anti_spam: Some(&mine), ..prove(user(1), &act, &hash) };
    assert_eq!(outcome(&store, again).await, Err(ScriptRefusal::TokenUsed));
    assert_eq!(store.proven_for(user(1), &hash).await.unwrap(), None);
}

#[tokio::test]
async fn an_attestation_counts_once_in_any_flow() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let until_ms = store.now_us().await.unwrap() / 1000 + 60_000;
    let attested =
        ProofResult { once: vec!["digest".into()], valid_ms: (0, until_ms), ..ProofResult::default() };
    let outdated = ProofResult {
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
    let endless = ProofResult {
        once: vec!["long".into()],
        valid_ms: (0, until_ms + year_ms),
        ..ProofResult::default()
    };
    let (first, second) = (ActToken::new(), ActToken::new());
    let it = Prove { verdict: &attested, ..prove(user(1), &first, "a") };
    assert!(matches!(outcome(&store, it).await, Ok(ProvenFields { .. })));
    let it = Prove { verdict: &attested, ..prove(user(1), &second, "b") };
    assert!(matches!(outcome(&store, it).await, Err(ScriptRefusal::ProofInvalid { .. })));
    for verdict in [&attested, &outdated, &early, &endless] {
        let id = token(&store, user(1)).await;
        let refused = store.redeem(&Redeem { verdict, ..redeem(user(1), &id) }).await.unwrap().outcome;
        assert!(matches!(refused, Err(ScriptRefusal::ProofInvalid { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn a_proven_token_belongs_to_the_session_it_was_made_in() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let game_token = start(&store, user(1), "sess_one").await;
    let acts = [ActToken::new(), ActToken::new()];
    let hashes = [acts[0].hash(), acts[1].hash()];
    for place in 0..2 {
        let it = prove(user(1), &acts[place], &hashes[place]);
        assert!(matches!(outcome(&store, it).await, Ok(ProvenFields { .. })));
    }
    let named = |session| Redeem { named_session: session, ..proven(user(1), &acts[0], &hashes[0]) };
    let redeemed = async |it: Redeem<'_>| store.redeem(&it).await.unwrap().outcome;
    assert_eq!(redeemed(named("sess_two")).await, Err(ScriptRefusal::SessionMismatch));
    // A game's token is no proven one, nor the other way round.
    let hash = game_token.hash();
    let game_as_proven = Redeem { action: "-", ..proven(user(1), &game_token, &hash) };
    assert_eq!(redeemed(game_as_proven).await, Err(ScriptRefusal::TokenUnknown));
    let next = laurel::store::NextToken { token: "act_next".into(), hash: "next".into() };
    let proven_as_game =
        Redeem { flow: Flow::Game, next: Some(&next), ..proven(user(1), &acts[0], &hashes[0]) };
    assert_eq!(redeemed(proven_as_game).await, Err(ScriptRefusal::TokenUnknown));
    assert!(redeemed(named("sess_one")).await.is_ok());
    start(&store, user(1), "sess_two").await;
    let other_session = redeemed(proven(user(1), &acts[1], &hashes[1])).await;
    assert_eq!(other_session, Err(ScriptRefusal::SessionMismatch));
}

#[tokio::test]
async fn one_key_buys_one_token_and_replays_it() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let (mine, first, second) = (asked(&token(&store, user(1)).await), ActToken::new(), ActToken::new());
    let (hash, other_hash) = (first.hash(), second.hash());
    let key = |request: &str| IdempotencyKey {
        key_digest: "key".into(),
        request_digest: request.into(),
        kept_ms: 60_000,
    };
    let (same, other) = (key("request"), key("another request"));
    let with = |act: &'static str, key, hash| Prove {
        anti_spam: Some(&mine),
        idempotency: Some((key, act)),
        interval_ms: 30_000,
        ..prove(user(1), &first, hash)
    };
    let bought = store.prove(&with("act_first", &same, &hash)).await.unwrap();
    let Ok(ProvenFields { expires_at_ms, ttl_ms: 300_000, token }) = &bought.outcome else {
        panic!("{bought:?}")
    };
    assert_eq!((token.as_str(), bought.replayed), ("act_first", false));
    let again = store.prove(&with("act_second", &same, &other_hash)).await.unwrap();
    let wanted =
        Ok(ProvenFields { expires_at_ms: *expires_at_ms, ttl_ms: 300_000, token: "act_first".into() });
    assert_eq!((again.outcome, again.replayed), (wanted, true));
    assert_eq!(store.proven_for(user(1), &other_hash).await.unwrap(), None, "nothing else went out");
    let reused = store.prove(&with("act_second", &other, &other_hash)).await.unwrap();
    assert_eq!((reused.outcome, reused.replayed), (Err(ScriptRefusal::KeyReused), false));
}
