//! The tie rule, compared with a model that stores every award.

use std::collections::HashMap;

use laurel::live::Board;
use laurel::store::BoardId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{award, user};
use crate::harness::{TestStores, open_board};

/// Who has how much, and since which award.
#[derive(Default)]
struct Model {
    totals: HashMap<u128, (u64, usize)>,
    awards: usize,
}

impl Model {
    fn award(&mut self, who: u128, points: u64) {
        self.awards += 1;
        let total = self.totals.get(&who).map_or(0, |it| it.0) + points;
        self.totals.insert(who, (total, self.awards));
    }

    /// The ten: by score, then by who reached it first; ranks are shared.
    fn top(&self) -> Vec<(u128, u64, u64)> {
        let mut all: Vec<_> =
            self.totals.iter().map(|(who, (score, since))| (*who, *score, *since)).collect();
        all.sort_by_key(|(_, score, since)| (std::cmp::Reverse(*score), *since));
        all.truncate(10);
        all.iter().map(|(who, score, _)| (*who, *score, self.rank(*score))).collect()
    }

    fn rank(&self, score: u64) -> u64 {
        1 + self.totals.values().filter(|it| it.0 > score).count() as u64
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
        for _ in 0..150 {
            // Few different points and many users: ties everywhere, at the tenth place too.
            let (who, points) = (first + random.random_range(0..25), random.random_range(1..=2));
            model.award(who, points);
            let Ok(awarded) = award(&store, user(who), points).await.outcome else { unreachable!() };
            let board = Board::from_entries(BoardId::GLOBAL, awarded.version, awarded.top.unwrap());
            let shown: Vec<_> = board.rows.iter().map(|it| (it.user.as_u128(), it.score, it.rank)).collect();
            assert_eq!(shown, model.top(), "seed {seed}");
            assert_eq!(awarded.rank, model.rank(awarded.score), "seed {seed}");
        }
    }
}

#[tokio::test]
async fn the_first_ten_of_a_thousand_ties_stay() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    for who in (1..=1000).rev() {
        award(&store, user(who), 7).await;
    }
    let redis_client = store.poll(0, i64::MAX).await.unwrap();
    let board = Board::from_entries(BoardId::GLOBAL, redis_client.version, redis_client.top);
    let listed: Vec<_> = board.rows.iter().map(|it| (it.user.as_u128(), it.rank)).collect();
    assert_eq!(listed, (991..=1000).rev().map(|it| (it, 1)).collect::<Vec<_>>());
}
