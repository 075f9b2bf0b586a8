//! Runs many rounds of a race between requests to two nodes, and checks the totals at the end.

use std::collections::BTreeMap;

use futures::future::join_all;
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};

use crate::harness::{Player, TestNode, TestResponse, TestStores, assert_ledger_matches};

/// Rounds of each race, unless `LAUREL_RACE_ROUNDS` is set.
const ROUNDS: usize = 20;
/// Rounds that run at the same time, each with its own player.
const CONCURRENT_ROUNDS: usize = 16;

pub struct Race {
    stores: TestStores,
    pub nodes: [TestNode; 2],
}

impl Race {
    pub async fn new() -> Self {
        let stores = TestStores::new().await;
        let node = || stores.start_node_with(|config| config.tokens.action_interval_seconds = 0);
        let nodes = [node().await, node().await];
        Self { stores, nodes }
    }

    /// Runs all rounds: `per_player` of them by each player, one after another. `round` returns the points that its player earned;
    /// the totals must agree with them at the end.
    pub async fn run(&self, per_player: usize, round: impl AsyncFn(&Player) -> u64) {
        let players = self.nodes[0].create_players((rounds() / per_player) as u64).await;
        let all_rounds = async |player: &Player| {
            let mut points = 0;
            for _ in 0..per_player {
                points += round(player).await;
            }
            points
        };
        let points: Vec<u64> =
            stream::iter(&players).map(all_rounds).buffered(CONCURRENT_ROUNDS).collect().await;
        let ids: Vec<_> = players.iter().map(|player| player.identity.user).collect();
        let totals = self.nodes[1].app.store.totals(&ids).await.unwrap();
        for (total, points) in totals.iter().zip(points) {
            let expected = Some(points).filter(|points| *points > 0);
            assert_eq!((total.own, total.board), (expected, expected));
        }
        assert_ledger_matches(&self.stores).await;
    }

    /// Sends the same request `count` times at once, alternately to both nodes.
    pub async fn send_at_once(
        &self,
        count: usize,
        player: &Player,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Vec<TestResponse> {
        join_all(
            (0..count).map(|attempt| self.nodes[attempt % 2].post_with(path, &player.token, headers, body)),
        )
        .await
    }

    /// Starts a game. Returns its session id and first token.
    pub async fn start(&self, player: &Player) -> (String, String) {
        let started = self.nodes[1].post("/api/game/start", &player.token, &json!({})).await;
        let text = |name: &str| started.body["data"][name].as_str().unwrap().to_owned();
        (text("sessionId"), text("actionToken"))
    }
}

pub fn rounds() -> usize {
    std::env::var("LAUREL_RACE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

/// The number of responses with each status and error code.
pub fn outcomes(answers: &[TestResponse]) -> BTreeMap<(u16, &str), usize> {
    let mut outcomes = BTreeMap::new();
    for answer in answers {
        *outcomes.entry((answer.status, answer.code())).or_default() += 1;
    }
    outcomes
}

/// Checks that one response is a 200 and all others have this refusal.
#[track_caller]
pub fn assert_one_wins(answers: &[TestResponse], refusal: (u16, &str)) {
    let expected = BTreeMap::from([((200, ""), 1), (refusal, answers.len() - 1)]);
    assert_eq!(outcomes(answers), expected);
}

pub const USED: (u16, &str) = (409, "TOKEN_ALREADY_USED");
