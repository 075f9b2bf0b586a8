//! The entries of boards that follow the ledger.

use serde_json::{Value, json};

use crate::harness::{Player, TestNode, TestResponse, TestStores, eventually};

const BOARDS: &str = "
[[board]]
id = \"weekly\"
period = \"week\"

[[board]]
id = \"rounds\"
measure = \"count\"
ranking = \"dense\"

[[board]]
id = \"last\"
aggregate = \"latest\"
order = \"asc\"
ranking = \"ordinal\"
actions = [\"watch_ad\", \"solve_puzzle\"]
";

async fn entries(node: &TestNode, player: Option<&Player>, board_and_query: &str) -> TestResponse {
    let (board, query) = board_and_query.split_once('?').unwrap_or((board_and_query, ""));
    let path = format!("/api/v1/boards/{board}/entries?{query}");
    let response = node.get_with(&path, player.map_or("", |player| &player.token), &[]).await;
    assert_eq!(response.status, 200, "{path}: {}", response.text);
    response
}

/// Names, positions, ranks and scores.
fn rows(body: &Value) -> Vec<(&str, u64, u64, i64)> {
    let entries = body["entries"].as_array().unwrap();
    let row = |entry: &'_ Value| -> (u64, u64, i64) {
        (
            entry["position"].as_u64().unwrap(),
            entry["rank"].as_u64().unwrap(),
            entry["score"].as_i64().unwrap(),
        )
    };
    entries
        .iter()
        .map(|entry| {
            let (position, rank, score) = row(entry);
            (entry["username"].as_str().unwrap(), position, rank, score)
        })
        .collect()
}

/// Waits until a board counts these awards.
async fn wait_for(node: &TestNode, board: &str, total: u64, sum: i64) {
    eventually("the board to follow the ledger", async || {
        let page = entries(node, None, board).await.body;
        let scores: i64 = rows(&page).iter().map(|row| row.3).sum();
        (page["total"] == total && scores == sum).then_some(())
    })
    .await;
}

#[tokio::test]
async fn boards_rank_awards_by_their_rules() {
    let stores = TestStores::new().await;
    let file = stores.write_boards(BOARDS);
    let node = stores.start_node_with(|config| config.boards.file = file.clone()).await;
    let players = node.create_players(4).await;
    let [ada, bob, cy, dee] = &players[..] else { panic!("four players") };
    // 10 points for an ad, 50 for a puzzle.
    for (player, action) in
        [(ada, "watch_ad"), (bob, "watch_ad"), (ada, "watch_ad"), (cy, "watch_ad"), (bob, "watch_ad")]
    {
        node.award(player, action).await;
    }
    let name = |player: &Player| player.identity.username.clone();
    let (a, b, c) = (name(ada), name(bob), name(cy));
    wait_for(&node, "weekly", 3, 50).await;
    let weekly = entries(&node, Some(dee), "weekly").await.body;
    // Ada reached 20 first.
    assert_eq!(rows(&weekly), [(a.as_str(), 1, 1, 20), (&b, 2, 1, 20), (&c, 3, 3, 10)]);
    assert_eq!(
        (&weekly["me"], &weekly["stale"], &weekly["state"]),
        (&Value::Null, &json!(false), &json!("open"))
    );
    assert!(weekly.get("next").is_none() && weekly.get("previous").is_none(), "{weekly}");
    wait_for(&node, "rounds", 3, 5).await;
    let rounds = entries(&node, Some(cy), "rounds").await.body;
    assert_eq!(rows(&rounds), [(a.as_str(), 1, 1, 2), (&b, 2, 1, 2), (&c, 3, 2, 1)]);
    assert_eq!((&rounds["me"]["rank"], &rounds["me"]["percentile"]), (&json!(2), &json!(66.6)));
    wait_for(&node, "last", 3, 30).await;
    let last = entries(&node, None, "last").await.body;
    // Equal results: the earlier one is better, and the latest award counts.
    assert_eq!(rows(&last), [(a.as_str(), 1, 1, 10), (&c, 2, 2, 10), (&b, 3, 3, 10)]);
    assert!(last.get("me").is_none());
}
