//! The setting of the races: two nodes, players, and many rounds of each race.

use std::collections::BTreeMap;

use futures::future::join_all;
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};

use crate::harness::{Player, TestNode, TestResponse, TestStores, assert_ledger_matches};

/// Each race is run so often, unless `LAUREL_RACE_ROUNDS` says how often.
const ROUNDS: usize = 20;
/// So many races at a time, each of another player.
const AT_ONCE: usize = 16;

pub struct Track {
    stores: TestStores,
    pub nodes: [TestNode; 2],
}

impl Track {
    pub async fn new() -> Self {
        let stores = TestStores::new().await;
        let node = || stores.start_node_with(|it| it.tokens.action_interval_seconds = 0);
        let nodes = [node().await, node().await];
        Self { stores, nodes }
    }

    /// Runs all rounds, so many by each player one after the other. `race` tells what its player has won, which has to be there at
    /// the end.
    pub async fn run(&self, each: usize, race: impl AsyncFn(&Player) -> u64) {
        let players = self.nodes[0].create_players((rounds() / each) as u64).await;
        let all_rounds = async |player: &Player| {
            let mut won = 0;
            for _ in 0..each {
                won += race(player).await;
            }
            won
        };
        let won: Vec<u64> = stream::iter(&players).map(all_rounds).buffered(AT_ONCE).collect().await;
        let ids: Vec<_> = players.iter().map(|it| it.identity.user).collect();
        let totals = self.nodes[1].app.store.totals(&ids).await.unwrap();
        for (total, won) in totals.iter().zip(won) {
            let wanted = Some(won).filter(|it| *it > 0);
            assert_eq!((total.own, total.board), (wanted, wanted));
        }
        assert_ledger_matches(&self.stores).await;
    }

    /// The same request so many times at once, over both nodes.
    pub async fn attempts(
        &self,
        count: usize,
        player: &Player,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Vec<TestResponse> {
        join_all((0..count).map(|it| self.nodes[it % 2].post_with(path, &player.token, headers, body))).await
    }

    /// A game's session id and first token.
    pub async fn start(&self, player: &Player) -> (String, String) {
        let started = self.nodes[1].post("/api/game/start", &player.token, &json!({})).await;
        let text = |name: &str| started.body["data"][name].as_str().unwrap().to_owned();
        (text("sessionId"), text("actionToken"))
    }
}

pub fn rounds() -> usize {
    std::env::var("LAUREL_RACE_ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(ROUNDS)
}

/// How often each outcome came.
pub fn outcomes(answers: &[TestResponse]) -> BTreeMap<(u16, &str), usize> {
    let mut counted = BTreeMap::new();
    for answer in answers {
        *counted.entry((answer.status, answer.code())).or_default() += 1;
    }
    counted
}

/// One succeeded, and all others were refused.
#[track_caller]
pub fn assert_one_wins(answers: &[TestResponse], late: (u16, &str)) {
    let wanted = BTreeMap::from([((200, ""), 1), (late, answers.len() - 1)]);
    assert_eq!(outcomes(answers), wanted);
}

pub const USED: (u16, &str) = (409, "TOKEN_ALREADY_USED");
