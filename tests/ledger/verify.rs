use laurel::app::App;
use uuid::Uuid;

use crate::harness::{World, assert_verified, differences};
use crate::scripts::number;

/// A user with the number and the name that `scripts::award` gives to this id.
pub async fn insert_user(app: &App) -> Uuid {
    let id = app.clock.new_id();
    sqlx::query(
        "INSERT INTO users (id, number, username, email, password_hash) OVERRIDING SYSTEM VALUE
         VALUES ($1, $2, $3, $3 || '@example.com', '!')",
    )
    .bind(id)
    .bind(number(id) as i64)
    .bind(format!("u{}", number(id)))
    .execute(&app.database)
    .await
    .unwrap();
    id
}

#[tokio::test]
async fn every_kind_of_difference_is_found() {
    let world = World::new().await;
    let node = world.node().await;
    let players = node.players(6).await;
    for player in &players {
        node.award(player, "watch_ad").await;
        node.award(player, "watch_ad").await;
    }
    assert_verified(&world).await;

    let id = |place: usize| players[place].identity.user;
    let mut look = world.look().await;
    let _: u64 = look.ask(&format!("ZADD leaderboard:global 21 {}", id(0))).await;
    let _: () = look.ask(&format!("SET user:score:{} 7", id(1))).await;
    let _: u64 = look.ask(&format!("ZREM leaderboard:global {}", id(2))).await;
    let _: u64 = look.ask("ZADD leaderboard:global 5 a-stranger").await;
    let database = &node.app.database;
    let update = async |sql: &'static str, place: usize| {
        sqlx::query(sql).bind(id(place)).execute(database).await.unwrap();
    };
    update("UPDATE users SET score = 25 WHERE id = $1", 3).await;
    update("UPDATE score_history SET score_before = 11, score_after = 21 WHERE user_id = $1 AND score_before = 10", 4).await;

    let found = differences(&node.app).await;
    let mut users: Vec<_> = found.iter().map(|it| it.of.clone()).collect();
    users.sort();
    let mut wanted: Vec<_> = (0..5).map(|it| id(it).to_string()).chain(["a-stranger".to_owned()]).collect();
    // The ledger has one with 21 points now, ahead of the others.
    wanted.extend((1..=5).map(|place| format!("place {place}")));
    wanted.sort();
    assert_eq!(users, wanted, "{found:#?}");
}

#[tokio::test]
async fn the_light_check_goes_round_and_finds_drift() {
    let world = World::new().await;
    let node = world.node().await;
    let players = node.players(5).await;
    for player in &players {
        node.award(player, "watch_ad").await;
    }
    node.written().await;
    let mut after = uuid::Uuid::nil();
    assert_eq!(laurel::ledger::check(&node.app, &mut after).await.unwrap(), []);
    assert!(after.is_nil(), "all were looked at; the next check begins anew");
    let who = players[4].identity.user;
    let _: i64 = world.look().await.ask(&format!("INCRBY user:score:{who} 5")).await;
    let found = laurel::ledger::check(&node.app, &mut after).await.unwrap();
    assert_eq!(found.iter().map(|it| it.of.clone()).collect::<Vec<_>>(), [who.to_string()]);
    assert!(found[0].what.contains("user:score has Some(15), the ledger's sum is 10"), "{}", found[0].what);
}
