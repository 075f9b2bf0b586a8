//! `start`, `session`, `finish`, `standing`, and `redeem` in the game flow.

use std::sync::Arc;

use laurel::action::Flow;
use laurel::store::{AwardReply, NextToken, Redeem, ScriptRefusal, Start, Store};
use laurel::token::ActToken;
use uuid::Uuid;

use super::{INVALID_PROOF, award, awarded, redeem, user};
use crate::harness::{TestStores, eventually};

async fn start(
    store: &Arc<Store>,
    number: u128,
    token: &ActToken,
    ttl_ms: u64,
) -> Result<i64, ScriptRefusal> {
    let start = Start {
        user: user(number),
        session_id: &format!("sess_of_{number}_{}", token.as_str()),
        token: token.as_str(),
        token_hash: &token.hash(),
        ttl_ms,
        per_hour: 0,
        outbox_max: 1_000_000,
        event_ids: (Uuid::new_v4(), Uuid::new_v4()),
    };
    store.start(&start).await.unwrap().0
}

/// Redeems a game token and issues the next one.
async fn update(
    store: &Arc<Store>,
    number: u128,
    token: &ActToken,
    next: &ActToken,
) -> Result<AwardReply, ScriptRefusal> {
    let next = NextToken { token: next.as_str().to_owned(), hash: next.hash() };
    let hash = token.hash();
    let request = Redeem {
        attempt_id: token.attempt_id(),
        expires_s: 0,
        token_hash: &hash,
        flow: Flow::Game,
        next: Some(&next),
        ..redeem(user(number), &hash)
    };
    store.redeem(&request).await.unwrap().outcome
}

#[tokio::test]
async fn each_token_is_replaced_until_the_session_ends() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    let tokens: Vec<ActToken> = (0..4).map(|_| ActToken::new()).collect();
    assert_eq!(store.session(user(1)).await.unwrap(), Err(ScriptRefusal::NoSession));
    let Ok(expires_at_ms) = start(&store, 1, &tokens[0], 60_000).await else { panic!() };
    for pair in tokens[..3].windows(2) {
        let updated = awarded(update(&store, 1, &pair[0], &pair[1]).await);
        assert_eq!(
            updated.next,
            Some((pair[1].as_str().to_owned(), expires_at_ms)),
            "the next token expires with the session"
        );
        let key = format!("PEXPIRETIME token:{}", pair[1].hash());
        assert_eq!(redis_client.query::<i64>(&key).await, expires_at_ms);
    }
    assert_eq!(update(&store, 1, &tokens[0], &tokens[3]).await, Err(ScriptRefusal::TokenUsed));
    assert_eq!(update(&store, 1, &tokens[3], &tokens[0]).await, Err(ScriptRefusal::TokenUnknown));
    assert_eq!(update(&store, 2, &tokens[2], &tokens[3]).await, Err(ScriptRefusal::NoSession));
    let session = store.session(user(1)).await.unwrap().unwrap();
    assert_eq!((session.token.as_str(), session.actions), (tokens[2].as_str(), 2));

    let finished = store.finish(user(1), 1_000_000, Uuid::new_v4()).await.unwrap().unwrap();
    assert_eq!((finished.score, finished.actions), (20, 2));
    assert_eq!(update(&store, 1, &tokens[2], &tokens[3]).await, Err(ScriptRefusal::NoSession));
    assert_eq!(
        store.finish(user(1), 1_000_000, Uuid::new_v4()).await.unwrap(),
        Err(ScriptRefusal::NoSession)
    );
}

#[tokio::test]
async fn a_token_of_another_session_or_user_is_refused() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    let [first, second, other, next] = std::array::from_fn(|_| ActToken::new());
    start(&store, 1, &first, 60_000).await.unwrap();
    start(&store, 2, &other, 60_000).await.unwrap();
    start(&store, 1, &second, 60_000).await.unwrap();
    let before = redis_client.dump().await;
    assert_eq!(update(&store, 1, &first, &next).await, Err(ScriptRefusal::SessionMismatch));
    assert_eq!(update(&store, 1, &other, &next).await, Err(ScriptRefusal::TokenForeign));
    // A game token is not accepted as an anti-spam token.
    assert_eq!(
        store.redeem(&redeem(user(1), &second.hash())).await.unwrap().outcome,
        Err(ScriptRefusal::TokenUnknown)
    );
    redis_client.assert_unchanged(&before).await;
    awarded(update(&store, 1, &second, &next).await);
}

#[tokio::test]
async fn an_expired_session_is_refused_as_expired() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let (token, next) = (ActToken::new(), ActToken::new());
    start(&store, 1, &token, 30).await.unwrap();
    eventually("the session to expire", async || {
        (store.session(user(1)).await.unwrap() == Err(ScriptRefusal::TokenExpired)).then_some(())
    })
    .await;
    assert_eq!(update(&store, 1, &token, &next).await, Err(ScriptRefusal::TokenExpired));
    assert_eq!(
        store.finish(user(1), 1_000_000, Uuid::new_v4()).await.unwrap(),
        Err(ScriptRefusal::TokenExpired)
    );
}

#[tokio::test]
async fn a_failed_proof_leaves_the_session_without_a_token() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let (token, next) = (ActToken::new(), ActToken::new());
    start(&store, 1, &token, 60_000).await.unwrap();
    let (hash, next_token) = (token.hash(), NextToken { token: next.as_str().to_owned(), hash: next.hash() });
    let failed = Redeem {
        verdict: &INVALID_PROOF,
        flow: Flow::Game,
        next: Some(&next_token),
        expires_s: 0,
        ..redeem(user(1), &hash)
    };
    assert!(matches!(store.redeem(&failed).await.unwrap().outcome, Err(ScriptRefusal::ProofInvalid { .. })));
    assert_eq!(store.session(user(1)).await.unwrap().unwrap().token, "");
    assert_eq!(update(&store, 1, &token, &next).await, Err(ScriptRefusal::TokenUsed));
    assert_eq!(update(&store, 1, &next, &token).await, Err(ScriptRefusal::TokenUnknown));
}

#[tokio::test]
async fn a_standing_has_the_total_and_the_shared_rank() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    assert_eq!(store.standing(user(1)).await.unwrap(), Some((0, None)));
    for (number, points) in [(1, 10), (2, 20), (3, 10)] {
        award(&store, user(number), points).await;
    }
    assert_eq!(store.standing(user(3)).await.unwrap(), Some((10, Some(2))));
    assert_eq!(store.standing(user(2)).await.unwrap(), Some((20, Some(1))));
    store.close_board().await.unwrap();
    assert_eq!(store.standing(user(2)).await.unwrap(), None, "a closed board has no standings");
}
