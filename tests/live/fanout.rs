//! Boards reach every client of every node, personal updates every client of their player.

use serde_json::json;

use super::{Client, wait_until_followed};
use crate::harness::{TestStores, rows};

#[tokio::test]
async fn a_board_change_reaches_every_client_of_every_node() {
    let stores = TestStores::new().await;
    let (one, two) = (stores.start_node().await, stores.start_node().await);
    let players = one.create_players(20).await;
    let mut clients = Vec::new();
    for (index, player) in players.iter().enumerate() {
        clients.push(Client::connect(if index % 2 == 0 { &one } else { &two }, player).await);
    }
    for (index, player) in players.iter().take(5).enumerate() {
        for _ in 0..=index {
            two.award(player, "watch_ad").await;
        }
    }
    let board = two.board().await;
    assert_eq!(board.iter().map(|row| row.1).collect::<Vec<_>>(), [50, 40, 30, 20, 10]);
    for client in &mut clients {
        client.wait_for_board(&board).await;
    }
}

#[tokio::test]
async fn the_eleventh_place_does_not_change_the_board() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let players = node.create_players(11).await;
    for player in &players[..10] {
        node.award(player, "complete_level").await;
    }
    let full = node.board().await;
    let mut client = Client::connect(&node, &players[10]).await;
    if full != rows(&client.wait_for("leaderboard_updated").await["data"]) {
        client.wait_for_board(&full).await;
    }
    node.award(&players[10], "watch_ad").await;
    // The eleventh player gets a personal update. The board changes when the player reaches the top 10.
    let update = client.wait_for("score_personal").await;
    let data = json!({
        "userId": players[10].identity.user, "score": 10, "rank": 11, "pointsEarned": 10, "previousRank": null
    });
    assert_eq!(update["data"], data);
    node.award(&players[10], "solve_puzzle").await;
    let board = rows(&client.wait_for("leaderboard_updated").await["data"]);
    assert_eq!(board[0], (players[10].identity.username.clone(), 25, 1));
}

#[tokio::test]
async fn personal_updates_reach_the_player_on_every_node() {
    let stores = TestStores::new().await;
    let (one, two) = (stores.start_node().await, stores.start_node().await);
    let players = one.create_players(2).await;
    let mut own = [Client::connect(&one, &players[0]).await, Client::connect(&two, &players[0]).await];
    let mut other = Client::connect(&two, &players[1]).await;
    wait_until_followed(&stores, &players[0], 2).await;
    one.award(&players[0], "watch_ad").await;
    for client in &mut own {
        assert_eq!(client.wait_for("score_personal").await["data"]["score"], 10);
    }
    one.award(&players[0], "watch_ad").await;
    let board = one.board().await;
    other.wait_for_board(&board).await;
    for client in &mut own {
        let data = client.wait_for("score_personal").await["data"].clone();
        assert_eq!((&data["score"], &data["previousRank"]), (&json!(20), &json!(1)));
    }
}

#[tokio::test]
async fn a_stopping_node_closes_with_1012() {
    let stores = TestStores::new().await;
    let (one, two) = (stores.start_node().await, stores.start_node().await);
    let ada = one.register("ada").await;
    let mut client = Client::connect(&one, &ada).await;
    client.wait_for("leaderboard_updated").await;
    let app = one.app.clone();
    let stopping = tokio::spawn(one.stop());
    while client.next().await.is_some() {}
    assert_eq!(client.closed, Some(1012));
    assert!(app.health.is_draining());
    stopping.await.unwrap();
    Client::connect(&two, &ada).await.wait_for("connect_success").await;
}
