//! The top list and user scores of both APIs.

use serde_json::{Value, json};

use crate::harness::{Player, TestNode, TestResponse, TestStores};

async fn get_user_score(node: &TestNode, player: &Player, id: &str) -> TestResponse {
    node.get_as(player, &format!("/api/scoreboard/user/{id}")).await
}

#[tokio::test]
async fn the_top_list_needs_no_login() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    node.award(&ada, "watch_ad").await;
    node.award(&bob, "watch_ad").await;
    let response = node.get("/api/scoreboard/top10").await;
    let rows = json!([
        { "rank": 1, "userId": 1, "username": "ada", "score": 10 },
        { "rank": 1, "userId": 2, "username": "bob", "score": 10 },
    ]);
    let expected = json!({
        "data": rows, "message": "Scoreboard retrieved successfully", "statusCode": 200, "metadata": { "total": 2 }
    });
    assert_eq!(response.body, expected);
    let tag = response.header("etag").to_owned();
    let cached = node.get_with("/api/scoreboard/top10", "", &[("if-none-match", &tag)]).await;
    assert_eq!((cached.status, cached.text.as_str()), (304, ""));
}

#[tokio::test]
async fn a_user_score_is_found_by_number_or_uuid() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    node.award(&ada, "watch_ad").await;
    let uuid = ada.identity.user.to_string();
    for id in ["1", &uuid] {
        let response = get_user_score(&node, &bob, id).await;
        assert_eq!(response.body["message"], "User score retrieved successfully", "{}", response.text);
        assert_eq!(response.body["data"], json!({ "userId": 1, "username": "ada", "score": 10, "rank": 1 }));
    }
    let without_points = get_user_score(&node, &bob, "2").await;
    assert_eq!(
        without_points.body["data"],
        json!({ "userId": 2, "username": "bob", "score": 0, "rank": Value::Null })
    );
    get_user_score(&node, &bob, "99").await.assert_refused(404, "USER_NOT_FOUND");
    for id in ["0", "-1", "nobody", "1.5", "%ff"] {
        let response = get_user_score(&node, &bob, id).await;
        response.assert_refused(400, "VALIDATION_ERROR");
        assert_eq!(response.fields(), ["userId"]);
    }
    node.get("/api/scoreboard/user/1").await.assert_refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn an_unchanged_board_returns_304() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    let first = node.get("/api/v1/scores/leaderboard").await;
    let tag = first.header("etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", first.body["version"]));
    for tags in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let response = node.get_with("/api/v1/scores/leaderboard", "", &[("if-none-match", &tags)]).await;
        assert_eq!(
            (response.status, response.text.as_str(), response.header("etag")),
            (304, "", tag.as_str())
        );
    }
    node.award(&ada, "watch_ad").await;
    let changed = node.get_with("/api/v1/scores/leaderboard", "", &[("if-none-match", &tag)]).await;
    assert_eq!((changed.status, changed.body["leaderboard"][0]["score"].as_u64()), (200, Some(20)));
    assert!(changed.body["version"].as_i64() > first.body["version"].as_i64());
}

#[tokio::test]
async fn a_starting_node_shows_the_current_board() {
    let stores = TestStores::new().await;
    let one = stores.start_node().await;
    let players = one.create_players(12).await;
    for player in &players {
        one.award(player, "watch_ad").await;
    }
    let two = stores.start_node().await;
    assert_eq!(two.board().await, one.board().await);
    let names: Vec<_> = players.iter().take(10).map(|player| player.identity.username.clone()).collect();
    assert_eq!(two.board().await.into_iter().map(|it| it.0).collect::<Vec<_>>(), names);
}
