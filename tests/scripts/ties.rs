//! The order of equal scores, compared with a model that stores every award.

use std::collections::HashMap;

use laurel::live::Board;
use laurel::store::BoardId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{award, user};
use crate::harness::{TestStores, open_board};

/// Each user's total, and the award that reached it.
#[derive(Default)]
struct Model {
    totals: HashMap<u128, (u64, usize)>,
    awards: usize,
}

impl Model {
    fn award(&mut self, number: u128, points: u64) {
        if points == 0 {
            return;
        }
        self.awards += 1;
        let total = self.totals.get(&number).map_or(0, |(score, _)| *score) + points;
        self.totals.insert(number, (total, self.awards));
    }

    /// The top list as (number, score, rank). Of equal scores, the one reached first comes first; they share the rank.
    fn top(&self) -> Vec<(u128, u64, u64)> {
        let mut all: Vec<_> =
            self.totals.iter().map(|(number, (score, since))| (*number, *score, *since)).collect();
        all.sort_by_key(|(_, score, since)| (std::cmp::Reverse(*score), *since));
        all.truncate(10);
        all.iter().map(|(number, score, _)| (*number, *score, self.rank(*score))).collect()
    }

    fn rank(&self, score: u64) -> u64 {
        1 + self.totals.values().filter(|total| total.0 > score).count() as u64
    }
}

#[tokio::test]
async fn the_board_matches_the_model_after_every_award() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    for seed in 0..6 {
        let mut random = StdRng::seed_from_u64(seed);
        let first = u128::from(seed) * 1000 + 1;
        let _: () = stores.redis_client().await.query("FLUSHALL").await;
        open_board(&store).await;
        let mut model = Model::default();
        let mut version = store.poll(0, i64::MAX).await.unwrap().version;
        for _ in 0..150 {
            // Few different points and many users cause ties at every place, the tenth included.
            let (number, points) = (first + random.random_range(0..25), random.random_range(0..=2));
            model.award(number, points);
            let Ok(awarded) = award(&store, user(number), points).await.outcome else { unreachable!() };
            let board =
                Board::from_entries(BoardId::GLOBAL, awarded.version, awarded.top.unwrap_or_default());
            let rows: Vec<_> =
                board.rows.iter().map(|row| (row.user.as_u128(), row.score, row.rank)).collect();
            assert_eq!(rows, model.top(), "seed {seed}");
            let rank = (awarded.score > 0).then(|| model.rank(awarded.score));
            assert_eq!(awarded.rank, rank, "seed {seed}");
            assert!(points > 0 || awarded.version == version, "seed {seed}: 0 points made a new version");
            version = awarded.version;
        }
    }
}

#[tokio::test]
async fn the_first_ten_of_a_thousand_equal_scores_are_listed() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    for number in (1..=1000).rev() {
        award(&store, user(number), 7).await;
    }
    let state = store.poll(0, i64::MAX).await.unwrap();
    let board = Board::from_entries(BoardId::GLOBAL, state.version, state.top);
    let listed: Vec<_> = board.rows.iter().map(|row| (row.user.as_u128(), row.rank)).collect();
    assert_eq!(listed, (991..=1000).rev().map(|number| (number, 1)).collect::<Vec<_>>());
}
