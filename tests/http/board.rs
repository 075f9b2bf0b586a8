//! The top list and user scores of both APIs.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Player, TestNode, TestResponse, TestStores};

async fn user(node: &TestNode, player: &Player, id: &str) -> TestResponse {
    let bearer = format!("Bearer {}", player.token);
    node.send(Method::GET, &format!("/api/scoreboard/user/{id}"), &[("authorization", &bearer)], Vec::new())
        .await
}

#[tokio::test]
async fn the_top_list_needs_no_login() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    node.award(&ada, "watch_ad").await;
    node.award(&bob, "watch_ad").await;
    let answer = node.get("/api/scoreboard/top10").await;
    let rows = json!([
        { "rank": 1, "userId": 1, "username": "ada", "score": 10 },
        { "rank": 1, "userId": 2, "username": "bob", "score": 10 },
    ]);
    let wanted = json!({
        "data": rows, "message": "Scoreboard retrieved successfully", "statusCode": 200, "metadata": { "total": 2 }
    });
    assert_eq!(answer.body, wanted);
    let tag = answer.header("etag").to_owned();
    let cached =
        node.send(Method::GET, "/api/scoreboard/top10", &[("if-none-match", &tag)], Vec::new()).await;
    assert_eq!((cached.status, cached.text.as_str()), (304, ""));
}

#[tokio::test]
async fn a_users_rank_by_number_or_uuid() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    node.award(&ada, "watch_ad").await;
    let id = ada.identity.user.to_string();
    for id in ["1", &id] {
        let answer = user(&node, &bob, id).await;
        assert_eq!(answer.body["message"], "User score retrieved successfully", "{}", answer.text);
        assert_eq!(answer.body["data"], json!({ "userId": 1, "username": "ada", "score": 10, "rank": 1 }));
    }
    let without = user(&node, &bob, "2").await;
    assert_eq!(
        without.body["data"],
        json!({ "userId": 2, "username": "bob", "score": 0, "rank": Value::Null })
    );
    user(&node, &bob, "99").await.assert_refused(404, "USER_NOT_FOUND");
    for bad in ["0", "-1", "nobody", "1.5", "%ff"] {
        let answer = user(&node, &bob, bad).await;
        answer.assert_refused(400, "VALIDATION_ERROR");
        assert_eq!(answer.fields(), ["userId"]);
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
    let stores = TestStores::new().await;
    let one = stores.start_node().await;
    let players = one.create_players(12).await;
    for player in &players {
        one.award(player, "watch_ad").await;
    }
    let two = stores.start_node().await;
    assert_eq!(two.board().await, one.board().await);
    let names: Vec<_> = players.iter().take(10).map(|it| it.identity.username.clone()).collect();
    assert_eq!(two.board().await.into_iter().map(|it| it.0).collect::<Vec<_>>(), names);
}
