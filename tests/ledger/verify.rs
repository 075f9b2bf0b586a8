use laurel::app::App;
use uuid::Uuid;

use crate::harness::{World, assert_verified};

pub async fn insert_user(app: &App) -> Uuid {
    let id = app.clock.new_id();
    sqlx::query(
        "INSERT INTO users (id, username, email, password_hash) VALUES ($1, $2, $2 || '@example.com', '!')",
    )
    .bind(id)
    .bind(format!("u{}", id.simple()))
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

    let found = laurel::ledger::verify(&node.app).await.unwrap().differences;
    let mut users: Vec<_> = found.iter().map(|it| it.user.clone()).collect();
    users.sort();
    let mut wanted: Vec<_> = (0..5).map(|it| id(it).to_string()).chain(["a-stranger".to_owned()]).collect();
    wanted.sort();
    assert_eq!(users, wanted, "{found:#?}");
}
