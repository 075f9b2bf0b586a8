//! `apply_restrictions` and `adjust`, with users of one shard.

use std::sync::Arc;

use laurel::store::{Adjust, AdminRefusal, BoardEntry, BoardId, Redeem, Restrict, ScriptRefusal, Store};
use uuid::Uuid;

use super::first_shard_user as user;
use super::{award, board_entry, number, redeem, token};
use crate::harness::TestStores;

const FREE: (bool, bool) = (false, false);
const BANNED: (bool, bool) = (true, false);
const QUARANTINED: (bool, bool) = (false, true);

pub fn restriction(
    user: Uuid,
    (banned, quarantined): (bool, bool),
    candidates: &[BoardEntry],
) -> Restrict<'_> {
    Restrict {
        board: BoardId::GLOBAL,
        user,
        banned,
        quarantined,
        held: 0,
        event_id: Uuid::new_v4(),
        publish_interval_ms: 0,
        outbox_max: 1_000_000,
        candidates,
    }
}

/// Applies restrictions. Returns whether the top list is complete.
async fn restrict(store: &Arc<Store>, user: Uuid, state: (bool, bool), candidates: &[BoardEntry]) -> bool {
    store.apply_restrictions(&restriction(user, state, candidates)).await.unwrap().unwrap().top_is_complete
}

pub fn adjustment(user: Uuid, points: Option<i64>, candidates: &[BoardEntry]) -> Adjust<'_> {
    Adjust {
        board: BoardId::GLOBAL,
        user,
        number: user.as_u128() as i64,
        username: "player",
        event_id: Uuid::new_v4(),
        points,
        note: "{}",
        publish_interval_ms: 0,
        outbox_max: 1_000_000,
        candidates,
    }
}

/// Adjusts a total by points, or voids held points. Returns the new total.
async fn adjust(
    store: &Arc<Store>,
    user: Uuid,
    points: Option<i64>,
    candidates: &[BoardEntry],
) -> Result<u64, AdminRefusal> {
    store.adjust(&adjustment(user, points, candidates)).await.unwrap().map(|it| it.after)
}

/// The top list as (score, number of the user).
async fn top(store: &Arc<Store>) -> Vec<(u64, u64)> {
    let entries = store.poll(0, i64::MAX).await.unwrap().top;
    entries.iter().map(|entry| (entry.score, number(entry.user))).collect()
}

/// The numbers of the users in the top list.
async fn listed(store: &Arc<Store>) -> Vec<u64> {
    top(store).await.iter().map(|row| row.1).collect()
}

fn entry(number: u128, score: u64, hlc_us: i64) -> BoardEntry {
    board_entry(user(number), score, hlc_us)
}

#[tokio::test]
async fn a_ban_removes_the_user_and_an_unban_restores_the_score() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    for number in 1..=12 {
        award(&store, user(number), 100 - number as u64).await;
    }
    assert!(!restrict(&store, user(1), BANNED, &[]).await, "no candidate for the free place");
    assert_eq!(listed(&store).await, (2..=10).collect::<Vec<_>>());
    assert!(restrict(&store, user(1), BANNED, &[entry(11, 89, 5), entry(12, 88, 6)]).await);
    assert_eq!(listed(&store).await, (2..=11).collect::<Vec<_>>());
    assert_eq!(store.poll(0, 0).await.unwrap().banned, [user(1)]);
    let id = Uuid::new_v4();
    assert_eq!(store.issue(&super::issue(user(1), id)).await.unwrap().0, Err(ScriptRefusal::Banned));
    assert_eq!(
        redis_client.query::<u64>(&format!("GET user:score:{}", user(1))).await,
        99,
        "the total stays"
    );

    assert!(restrict(&store, user(1), FREE, &[entry(1, 99, 1)]).await);
    assert_eq!(top(&store).await[0], (99, 1));
    assert!(store.poll(0, 0).await.unwrap().banned.is_empty());
    award(&store, user(1), 1).await;
    let version = store.poll(0, i64::MAX).await.unwrap().version;
    assert!(restrict(&store, user(1), FREE, &[entry(1, 99, 1)]).await);
    assert_eq!(store.poll(0, i64::MAX).await.unwrap().version, version, "nothing changed");
}

#[tokio::test]
async fn held_points_stay_off_the_board_until_approved() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    award(&store, user(1), 50).await;
    award(&store, user(2), 60).await;
    assert!(restrict(&store, user(1), QUARANTINED, &[]).await);
    let id = token(&store, user(1)).await;
    let redeemed = store.redeem(&Redeem { points: 30, ..redeem(user(1), &id) }).await.unwrap();
    let Ok(awarded) = redeemed.outcome else { panic!() };
    assert_eq!((awarded.score, awarded.rank), (80, Some(1)), "the reply hides the quarantine");
    assert_eq!(top(&store).await, [(60, 2), (50, 1)]);
    assert_eq!(redis_client.query::<u64>(&format!("ZSCORE leaderboard:global {}", user(1))).await, 50);
    assert_eq!(adjust(&store, user(1), Some(5), &[]).await, Err(AdminRefusal::Quarantined));
    assert_eq!(adjust(&store, user(2), None, &[]).await, Err(AdminRefusal::Quarantined));

    assert!(restrict(&store, user(1), FREE, &[entry(1, 80, 9)]).await);
    assert_eq!(top(&store).await, [(80, 1), (60, 2)]);

    assert!(restrict(&store, user(1), QUARANTINED, &[]).await);
    award(&store, user(1), 1000).await;
    assert_eq!(adjust(&store, user(1), None, &[]).await, Ok(80), "the held points are removed");
    assert!(restrict(&store, user(1), FREE, &[]).await);
    assert_eq!(top(&store).await, [(80, 1), (60, 2)]);
    let Ok(awarded) = award(&store, user(1), 1).await.outcome else { panic!() };
    assert_eq!(awarded.score, 81);
}

#[tokio::test]
async fn an_adjustment_changes_a_total_within_its_range() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    for number in 1..=11 {
        award(&store, user(number), 100 - number as u64).await;
    }
    assert_eq!(adjust(&store, user(1), Some(-100), &[]).await, Err(AdminRefusal::OutOfRange));
    assert_eq!(adjust(&store, user(1), Some((1 << 53) - 1), &[]).await, Err(AdminRefusal::OutOfRange));
    assert_eq!(adjust(&store, user(1), Some(-50), &[entry(11, 89, 3)]).await, Ok(49));
    assert_eq!(listed(&store).await, (2..=11).collect::<Vec<_>>(), "the eleventh moved up");
    // Of equal scores, the one reached last is listed last, after an adjustment too.
    assert_eq!(adjust(&store, user(1), Some(48), &[]).await, Ok(97));
    assert_eq!(top(&store).await[..3], [(98, 2), (97, 3), (97, 1)]);
    assert_eq!(adjust(&store, user(1), Some(-97), &[entry(11, 89, 3)]).await, Ok(0));
    assert_eq!(store.standing(user(1)).await.unwrap(), Some((0, None)));
    assert_eq!(redis_client.query::<u64>(&format!("EXISTS user:score:{}", user(1))).await, 0);
    assert_eq!(top(&store).await.len(), 10);
    // A banned user's total changes, but is not on the board.
    restrict(&store, user(2), BANNED, &[]).await;
    assert_eq!(adjust(&store, user(2), Some(1), &[]).await, Ok(99));
    assert_eq!(store.standing(user(2)).await.unwrap(), Some((0, None)));
}

#[tokio::test]
async fn after_an_adjustment_the_earlier_tie_keeps_the_tenth_place() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    for number in 1..=11 {
        award(&store, user(number), 10).await;
    }
    // The ledger still has the user's older entry, and does not have the eleventh user's yet.
    let outdated = entry(1, 10, 1);
    for candidates in [vec![outdated.clone()], vec![outdated, entry(11, 10, 9_000_000_000_000_000)]] {
        award(&store, user(1), 10).await;
        assert_eq!(adjust(&store, user(1), Some(-10), &candidates).await, Ok(10));
        if candidates.len() == 1 {
            assert_eq!(top(&store).await.len(), 9, "the tenth place stays empty until it is certain");
            assert!(restrict(&store, user(1), FREE, &[entry(11, 10, 9_000_000_000_000_000)]).await);
        }
        assert_eq!(listed(&store).await, (2..=11).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn an_unknown_tenth_place_stays_empty() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    for number in 1..=11 {
        award(&store, user(number), 100 - number as u64).await;
    }
    assert!(!restrict(&store, user(1), BANNED, &[]).await, "no candidate for the tenth place");
    assert!(!store.poll(0, i64::MAX).await.unwrap().top_is_complete);
    award(&store, user(12), 2).await;
    assert_eq!(listed(&store).await, (2..=10).collect::<Vec<_>>(), "two points do not reach the tenth place");
    award(&store, user(13), 90).await;
    assert!(top(&store).await.contains(&(90, 13)), "a score above the tenth is certain");
    let refilled = store.refill_top(0, &[entry(11, 89, 3)], 0, None).await.unwrap();
    assert!(refilled.top_is_complete && store.poll(0, i64::MAX).await.unwrap().top_is_complete);
    assert_eq!(listed(&store).await, [2, 3, 4, 5, 6, 7, 8, 9, 10, 13], "user 13 has passed user 11");
}

#[tokio::test]
async fn an_unchanged_top_list_keeps_its_version() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    for number in 1..=12 {
        award(&store, user(number), 100 - number as u64).await;
    }
    let version = store.poll(0, i64::MAX).await.unwrap().version;
    restrict(&store, user(12), BANNED, &[]).await;
    adjust(&store, user(11), Some(-5), &[]).await.unwrap();
    store.refill_top(0, &[], 0, None).await.unwrap();
    assert_eq!(store.poll(0, i64::MAX).await.unwrap().version, version);
}
