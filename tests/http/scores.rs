use reqwest::Method;

use crate::harness::World;

#[tokio::test]
async fn an_unchanged_board_returns_304() {
    let world = World::new().await;
    let node = world.node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    let first = node.get("/api/v1/scores/leaderboard").await;
    let tag = first.header("etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", first.body["version"]));
    for asked in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let answer = node
            .send(Method::GET, "/api/v1/scores/leaderboard", &[("if-none-match", &asked)], Vec::new())
            .await;
        assert_eq!((answer.status, answer.text.as_str(), answer.header("etag")), (304, "", tag.as_str()));
    }
    node.award(&ada, "watch_ad").await;
    let changed =
        node.send(Method::GET, "/api/v1/scores/leaderboard", &[("if-none-match", &tag)], Vec::new()).await;
    assert_eq!((changed.status, changed.body["leaderboard"][0]["score"].as_u64()), (200, Some(20)));
    assert!(changed.body["version"].as_i64() > first.body["version"].as_i64());
}

#[tokio::test]
async fn a_starting_node_shows_the_current_board() {
    let world = World::new().await;
    let one = world.node().await;
    let players = one.players(12).await;
    for player in &players {
        one.award(player, "watch_ad").await;
    }
    let two = world.node().await;
    assert_eq!(two.board().await, one.board().await);
    let names: Vec<_> = players.iter().take(10).map(|it| it.identity.username.clone()).collect();
    assert_eq!(two.board().await.into_iter().map(|it| it.0).collect::<Vec<_>>(), names);
}
