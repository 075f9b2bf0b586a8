//! Concurrent requests over two nodes: here many at once, in the modules many rounds of a few.

mod games;
mod operators;
mod rounds;
mod tokens;

use std::collections::HashMap;

use futures::stream::{self, StreamExt};
use serde_json::Value;

use crate::harness::{TestStores, assert_ledger_matches};

use rounds::rounds;

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_requests_with_one_token_one_is_awarded() {
    let stores = TestStores::new().await;
    let nodes = [stores.start_node().await, stores.start_node().await];
    let ada = nodes[0].register("ada").await;
    let token = nodes[0].issue_token(&ada, "watch_ad").await;
    let attempts = (0..200).map(|attempt| nodes[attempt % 2].finalize(&ada, &token, Value::Null));
    let answers = futures::future::join_all(attempts).await;
    let mut outcomes: HashMap<(u16, String), usize> = HashMap::new();
    for answer in &answers {
        *outcomes.entry((answer.status, answer.code().to_owned())).or_default() += 1;
    }
    let expected = HashMap::from([((200, String::new()), 1), ((409, "TOKEN_ALREADY_USED".to_owned()), 199)]);
    assert_eq!(outcomes, expected);
    assert_eq!(nodes[1].app.store.totals(&[ada.identity.user]).await.unwrap()[0].board, Some(10));
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_awards_of_many_users_add_up() {
    let stores = TestStores::new().await;
    let nodes = [stores.start_node().await, stores.start_node().await];
    let players = nodes[0].create_players(rounds() as u64 / 2).await;
    let actions = [("watch_ad", 10), ("solve_puzzle", 15), ("complete_level", 20)];
    let play = async |index: usize| {
        let (player, mut total) = (&players[index], 0);
        for round in 0..20 {
            let (action, points) = actions[(index + round) % 3];
            let token = nodes[round % 2].issue_token(player, action).await;
            let answer = nodes[(round + 1) % 2].finalize(player, &token, Value::Null).await;
            total += points;
            assert_eq!(answer.body["newScore"], total, "{}", answer.text);
        }
        total
    };
    let totals: Vec<u64> = stream::iter(0..players.len()).map(play).buffered(players.len()).collect().await;
    assert_ledger_matches(&stores).await;

    let (entries, sum): (i64, i64) = sqlx::query_as(
        "SELECT count(*), sum(points_earned)::bigint FROM score_history WHERE action_type <> 'seed'",
    )
    .fetch_one(&nodes[0].app.database)
    .await
    .unwrap();
    assert_eq!((entries, sum as u64), (20 * players.len() as i64, totals.iter().sum()));
    let ids: Vec<_> = players.iter().map(|player| player.identity.user).collect();
    let redis_totals = nodes[0].app.store.totals(&ids).await.unwrap();
    assert!(redis_totals.iter().zip(&totals).all(|(actual, expected)| actual.board == Some(*expected)));
    assert_eq!(nodes[0].board().await, nodes[1].board().await);
}
