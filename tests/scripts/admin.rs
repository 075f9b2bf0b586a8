//! `apply_restrictions` and `adjust`, with users of one shard.

use laurel::store::{Adjust, AdminRefusal, BoardEntry, BoardId, Redeem, Restrict, ScriptRefusal, Store};
use uuid::Uuid;

use super::neighbour as user;
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

async fn restrict(store: &Store, who: Uuid, what: (bool, bool), candidates: &[BoardEntry]) -> bool {
    store.apply_restrictions(&restriction(who, what, candidates)).await.unwrap().unwrap().whole
}

pub fn adjustment(user: Uuid, points: Option<i64>, candidates: &[BoardEntry]) -> Adjust<'_> {
    Adjust {
        board: BoardId::GLOBAL,
        user,
        number: user.as_u128() as i64,
        username: "somebody",
        event_id: Uuid::new_v4(),
        points,
        note: "{}",
        publish_interval_ms: 0,
        outbox_max: 1_000_000,
        candidates,
    }
}

async fn adjust(
    store: &Store,
    who: Uuid,
    points: Option<i64>,
    candidates: &[BoardEntry],
) -> Result<u64, AdminRefusal> {
    store.adjust(&adjustment(who, points, candidates)).await.unwrap().map(|it| it.after)
}

async fn top(store: &Store) -> Vec<(u64, u64)> {
    let entries = store.poll(0, i64::MAX).await.unwrap().top;
    entries.iter().map(|entry| (entry.score, number(entry.user))).collect()
}

fn entry(who: u128, score: u64, hlc_us: i64) -> BoardEntry {
    board_entry(user(who), score, hlc_us)
}

#[tokio::test]
async fn a_ban_removes_the_user_and_an_unban_restores_the_score() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    for who in 1..=12 {
        award(&store, user(who), 100 - who as u64).await;
    }
    assert!(!restrict(&store, user(1), BANNED, &[]).await, "nobody stands in for the one who left");
    let board: Vec<u64> = top(&store).await.iter().map(|it| it.1).collect();
    assert_eq!(board, (2..=10).collect::<Vec<_>>());
    assert!(restrict(&store, user(1), BANNED, &[entry(11, 89, 5), entry(12, 88, 6)]).await);
    let board: Vec<u64> = top(&store).await.iter().map(|it| it.1).collect();
    assert_eq!(board, (2..=11).collect::<Vec<_>>());
    let told = store.poll(0, 0).await.unwrap();
    assert_eq!(told.banned, [user(1)]);
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
    assert_eq!(store.poll(0, i64::MAX).await.unwrap().version, version, "nothing was to be done");
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
    let Ok(won) = redeemed.outcome else { panic!() };
    assert_eq!((won.score, won.rank), (80, 1), "whoever was set aside is not told");
    assert_eq!(top(&store).await, [(60, 2), (50, 1)]);
    assert_eq!(redis_client.query::<u64>(&format!("ZSCORE leaderboard:global {}", user(1))).await, 50);
    assert_eq!(adjust(&store, user(1), Some(5), &[]).await, Err(AdminRefusal::Quarantined));
    assert_eq!(adjust(&store, user(2), None, &[]).await, Err(AdminRefusal::Quarantined));

    assert!(restrict(&store, user(1), FREE, &[entry(1, 80, 9)]).await);
    assert_eq!(top(&store).await, [(80, 1), (60, 2)]);

    assert!(restrict(&store, user(1), QUARANTINED, &[]).await);
    award(&store, user(1), 1000).await;
    assert_eq!(adjust(&store, user(1), None, &[]).await, Ok(80), "what was held is gone");
    assert!(restrict(&store, user(1), FREE, &[]).await);
    assert_eq!(top(&store).await, [(80, 1), (60, 2)]);
    let Ok(won) = award(&store, user(1), 1).await.outcome else { panic!() };
    assert_eq!(won.score, 81);
}

#[tokio::test]
async fn an_adjustment_changes_a_total_within_its_range() {
    let stores = TestStores::new().await;
    let (store, mut redis_client) = (stores.open_store().await, stores.redis_client().await);
    for who in 1..=11 {
        award(&store, user(who), 100 - who as u64).await;
    }
    assert_eq!(adjust(&store, user(1), Some(-100), &[]).await, Err(AdminRefusal::OutOfRange));
    assert_eq!(adjust(&store, user(1), Some((1 << 53) - 1), &[]).await, Err(AdminRefusal::OutOfRange));
    assert_eq!(adjust(&store, user(1), Some(-50), &[entry(11, 89, 3)]).await, Ok(49));
    let board: Vec<u64> = top(&store).await.iter().map(|it| it.1).collect();
    assert_eq!(board, (2..=11).collect::<Vec<_>>(), "the eleventh moved up");
    // Whoever comes to a score last stands last, by an adjustment too.
    assert_eq!(adjust(&store, user(1), Some(48), &[]).await, Ok(97));
    assert_eq!(top(&store).await[..3], [(98, 2), (97, 3), (97, 1)]);
    assert_eq!(adjust(&store, user(1), Some(-97), &[entry(11, 89, 3)]).await, Ok(0));
    assert_eq!(store.standing(user(1)).await.unwrap(), Some((0, None)));
    assert_eq!(redis_client.query::<u64>(&format!("EXISTS user:score:{}", user(1))).await, 0);
    assert_eq!(top(&store).await.len(), 10);
    // A banned user's total moves, but is not shown.
    restrict(&store, user(2), BANNED, &[]).await;
    assert_eq!(adjust(&store, user(2), Some(1), &[]).await, Ok(99));
    assert_eq!(store.standing(user(2)).await.unwrap(), Some((0, None)));
}

#[tokio::test]
async fn after_an_adjustment_the_earlier_user_keeps_the_tenth_place() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    for who in 1..=11 {
        award(&store, user(who), 10).await;
    }
    // The ledger still has the user's own older entry, and nothing of the eleventh yet.
    let outdated = entry(1, 10, 1);
    for known in [vec![outdated.clone()], vec![outdated, entry(11, 10, 9_000_000_000_000_000)]] {
        award(&store, user(1), 10).await;
        assert_eq!(adjust(&store, user(1), Some(-10), &known).await, Ok(10));
        if known.len() == 1 {
            assert_eq!(top(&store).await.len(), 9, "nobody is shown in a place that may be another's");
            assert!(restrict(&store, user(1), FREE, &[entry(11, 10, 9_000_000_000_000_000)]).await);
        }
        let board: Vec<u64> = top(&store).await.iter().map(|it| it.1).collect();
        assert_eq!(board, (2..=11).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_missing_user_keeps_the_place() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    for who in 1..=11 {
        award(&store, user(who), 100 - who as u64).await;
    }
    assert!(!restrict(&store, user(1), BANNED, &[]).await, "the eleventh is not at hand");
    assert!(!store.poll(0, i64::MAX).await.unwrap().whole);
    award(&store, user(12), 2).await;
    let board: Vec<u64> = top(&store).await.iter().map(|it| it.1).collect();
    assert_eq!(board, (2..=10).collect::<Vec<_>>(), "two points are no tenth place");
    award(&store, user(13), 90).await;
    assert!(top(&store).await.contains(&(90, 13)), "who has more than the tenth gets in");
    let mended = store.refill_top(0, &[entry(11, 89, 3)], 0, None).await.unwrap();
    assert!(mended.whole && store.poll(0, i64::MAX).await.unwrap().whole);
    let board: Vec<u64> = top(&store).await.iter().map(|it| it.1).collect();
    assert_eq!(board, [2, 3, 4, 5, 6, 7, 8, 9, 10, 13], "the eleventh was passed meanwhile");
}

#[tokio::test]
async fn an_unchanged_top_list_keeps_its_version() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    for who in 1..=12 {
        award(&store, user(who), 100 - who as u64).await;
    }
    let version = store.poll(0, i64::MAX).await.unwrap().version;
    restrict(&store, user(12), BANNED, &[]).await;
    adjust(&store, user(11), Some(-5), &[]).await.unwrap();
    store.refill_top(0, &[], 0, None).await.unwrap();
    assert_eq!(store.poll(0, i64::MAX).await.unwrap().version, version);
}
