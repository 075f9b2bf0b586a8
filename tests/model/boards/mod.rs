//! Random awards and decisions on boards of every kind, over three shards, while periods turn and Redis loses data. After each batch every
//! open period and a few closed ones are compared with a model that computes them again from all awards; at the end, all of them.
//! `LAUREL_BOARD_AWARDS` sets the number of awards, and `LAUREL_BOARD_SEED` repeats the moves of a run.

mod play;

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use futures::future::join_all;
use laurel::admin::{PeriodAction, decide_period};
use laurel::board::{ActionFilter, Aggregate, Definition, GLOBAL, Measure, Order, Ranking, Rules};
use laurel::entries::{PageQuery, Start};
use laurel::store::{Change, EntryChange, EntryOrder, EntryRules, Ranked};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use super::decision;
use crate::harness::{
    TestNode, TestStores, assert_ledger_matches, connect_redis, eventually, wait_until_boards_follow,
};
use crate::ledger::{insert_user_with_id, wait_for_epoch_after};
use crate::scripts::entries::{BoardModel, name};
use crate::scripts::user;
use play::{COUNTRIES, Fact, MODES, ModelPlayer, Move};

const AWARDS: usize = 1000;
const PLAYERS: u128 = 24;
/// Moves between two comparisons.
const SMALLEST_BATCH: usize = 200;
const BATCHES: usize = 100;
/// Closed periods that are compared after each batch.
const CLOSED_SAMPLE: usize = 10;
const HOUR_S: u64 = 3600;

const BOARDS: &str = r#"
[[board]]
id = "points"
period = "day"
settle = "0s"
split_by = "country"

[[board]]
id = "lowest-sum"
measure = "value"
order = "asc"
ranking = "dense"
split_by = "mode"
period = { every = "6h", from = "2026-01-01T00:00:00" }
settle = "1h"

[[board]]
id = "best"
actions = ["watch_ad", "solve_puzzle"]
measure = "value"
aggregate = "best"
ranking = "dense"
attempts = 3
split_by = "country"
period = "week"

[[board]]
id = "fastest"
where = { mode = "ranked" }
measure = "value"
aggregate = "best"
order = "asc"
period = "day"
resets_at = "02:00"
time_zone = "Australia/Lord_Howe"
settle = "2h"

[[board]]
id = "latest"
measure = "value"
aggregate = "latest"
ranking = "ordinal"
attempts = 2
split_by = "country"
period = "month"

[[board]]
id = "latest-points"
actions = ["complete_level"]
aggregate = "latest"
order = "asc"
period = { every = "5h", from = "2026-01-01T00:00:00" }

[[board]]
id = "rounds"
actions = ["solve_puzzle"]
measure = "count"
ranking = "dense"
split_by = "mode"

[[board]]
id = "cheapest"
where = { country = "DE", mode = "ranked" }
aggregate = "best"
order = "asc"
attempts = 1

[[board]]
id = "capped"
where = { mode = "casual" }
measure = "value"
attempts = 5
ranking = "ordinal"
period = "day"
settle = "0s"
"#;

/// A period as Postgres has it. How bounds follow from calendars is tested in `src/board/`.
struct ModelPeriod {
    board: String,
    period: String,
    starts_us: i64,
    ends_us: i64,
    is_closed: bool,
}

struct Scenario {
    stores: TestStores,
    node: TestNode,
    random: StdRng,
    /// What Redis' clock is ahead.
    offset_s: u64,
    players: Vec<ModelPlayer>,
    held: Option<(String, String)>,
}

#[tokio::test(flavor = "multi_thread")]
async fn boards_and_the_model_agree_after_every_batch() {
    let number_of = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let seed = number_of("LAUREL_BOARD_SEED").unwrap_or_else(rand::random);
    println!("LAUREL_BOARD_SEED={seed}");
    let awards = number_of("LAUREL_BOARD_AWARDS").map_or(AWARDS, |awards| awards as usize);
    let started = Instant::now();
    let mut scenario = Scenario::new(seed).await;
    let moves = SMALLEST_BATCH.max(awards / BATCHES);
    let mut compared = 0;
    for batch in 0.. {
        scenario.play(moves).await;
        compared += scenario.compare(CLOSED_SAMPLE).await;
        scenario.disturb(batch).await;
        let made: usize = scenario.players.iter().map(|player| player.facts.len()).sum();
        println!(
            "{made} awards and adjustments, {compared} comparisons of boards, {:.0?}",
            started.elapsed()
        );
        if made >= awards {
            break;
        }
    }
    compared += scenario.compare(usize::MAX).await;
    println!("{compared} comparisons of boards, {:.0?}", started.elapsed());
    assert_ledger_matches(&scenario.stores).await;
    scenario.node.stop().await;
}

impl Scenario {
    async fn new(seed: u64) -> Self {
        let mut stores = TestStores::with_fake_clock_and_shards(3).await;
        stores.config.boards.file = stores.write_boards(BOARDS);
        let node = stores.start_node().await;
        let players: Vec<_> = (1..=PLAYERS).map(|number| ModelPlayer::new(user(number))).collect();
        for player in &players {
            insert_user_with_id(&node.app, player.id).await;
        }
        Self { stores, node, random: StdRng::seed_from_u64(seed), offset_s: 0, players, held: None }
    }

    /// Plays a batch and waits until all boards have it.
    async fn play(&mut self, moves: usize) {
        let mut by_player: Vec<Vec<Move>> = self.players.iter().map(|_| Vec::new()).collect();
        for _ in 0..moves {
            by_player[self.random.random_range(0..self.players.len())].push(Move::random(&mut self.random));
        }
        let app = &self.node.app;
        join_all(self.players.iter_mut().zip(by_player).map(|(player, moves)| player.play(app, moves))).await;
        self.await_boards().await;
        let facts = self.players.iter_mut().flat_map(|player| &mut player.facts);
        let mut adjustments: HashMap<Uuid, &mut Fact> =
            facts.filter_map(|fact| Some((fact.event.take()?, fact))).collect();
        let events: Vec<Uuid> = adjustments.keys().copied().collect();
        let clocks = sqlx::query_as("SELECT event_id, hlc_us FROM score_history WHERE event_id = ANY($1)");
        let clocks = clocks.bind(events).fetch_all(&self.node.app.database).await.unwrap();
        for (event, hlc_us) in clocks {
            adjustments.remove(&event).unwrap().hlc_us = hlc_us;
        }
        assert!(adjustments.is_empty());
    }

    /// Waits until the ledger has everything, due periods are closed, and the boards follow.
    async fn await_boards(&self) {
        self.node.wait_for_ledger().await;
        let app = &self.node.app;
        eventually("the periods to turn", async || {
            let turned = "SELECT NOT EXISTS (SELECT FROM board_periods WHERE closed_at IS NULL AND held_by IS NULL AND closes_us <= $1)
                                 AND (SELECT count(DISTINCT board) FROM board_periods WHERE starts_us <= $1 AND ends_us > $1) = $2";
            let turned = sqlx::query_scalar(turned).bind(app.store.now_us().await.ok()?);
            let turned = turned.bind(app.boards.all().len() as i64).fetch_one(&app.database).await;
            turned.unwrap_or(false).then_some(())
        })
        .await;
        wait_until_boards_follow(app).await;
    }

    /// Sets the clock forward, decides about periods, lets Redis lose data, or replaces the node.
    async fn disturb(&mut self, batch: usize) {
        if let Some((board, period)) = self.held.take() {
            assert!(self.decide(&board, &period, PeriodAction::Release).await);
        } else if self.random.random_bool(0.3) {
            let open = self.periods().await.into_iter().filter(|it| !it.is_closed && it.ends_us < i64::MAX);
            let open: Vec<_> = open.collect();
            let chosen = &open[self.random.random_range(0..open.len())];
            // It may have been closed just now.
            let is_held = self.decide(&chosen.board, &chosen.period, PeriodAction::Hold).await;
            self.held = is_held.then(|| (chosen.board.clone(), chosen.period.clone()));
        }
        let hours = if self.random.random_bool(0.2) { 40 } else { 8 };
        self.offset_s += self.random.random_range(1..hours * HOUR_S);
        self.stores.redis.set_clock(&format!("+{}", self.offset_s));
        match batch % 5 {
            1 => self.lose_data().await,
            4 => {
                let node = self.stores.start_node().await;
                std::mem::replace(&mut self.node, node).stop().await;
            }
            _ => {}
        }
        self.await_boards().await;
    }

    async fn decide(&self, board: &str, period: &str, action: PeriodAction) -> bool {
        decide_period(&self.node.app.admin, board, period, action, None, &decision()).await.is_ok()
    }

    /// Deletes everything, or the keys of one shard or of one board.
    async fn lose_data(&mut self) {
        let mut redis = connect_redis(&self.stores.redis.url).await.unwrap();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await.unwrap();
        let tags = |is_wanted: fn(&str) -> bool| -> Vec<&str> {
            let keys = keys.iter().filter(|key| is_wanted(key));
            keys.filter_map(|key| key.split_inclusive('}').next()).collect()
        };
        let kind = self.random.random_range(0..3);
        let choices = match kind {
            0 => vec![""],
            1 => tags(|key| key.ends_with("}shard:state")),
            _ => tags(|key| key.starts_with("leaderboard:{") && key.ends_with(":state")),
        };
        let lost = choices[self.random.random_range(0..choices.len())];
        println!("Redis loses {lost}*");
        let epoch = self.node.app.store.known_epochs();
        let mut delete = redis::cmd("UNLINK");
        delete.arg(keys.iter().filter(|key| key.starts_with(lost)).collect::<Vec<_>>());
        let _: u64 = delete.query_async(&mut redis).await.unwrap();
        // No award is made until a lost shard is open again.
        if kind < 2 {
            wait_for_epoch_after(&self.node, epoch).await;
        }
    }

    /// All periods but those whose entries were deleted, because their board has enough newer ones.
    async fn periods(&self) -> Vec<ModelPeriod> {
        let periods = sqlx::query_as(
            "SELECT board, period, starts_us, ends_us, closed_at IS NOT NULL AS is_closed FROM board_periods
             WHERE has_entries ORDER BY closed_at IS NOT NULL, closed_at DESC, board, period",
        );
        let periods: Vec<_> = periods.fetch_all(&self.node.app.database).await.unwrap();
        let period = |(board, period, starts_us, ends_us, is_closed)| ModelPeriod {
            board,
            period,
            starts_us,
            ends_us,
            is_closed,
        };
        periods.into_iter().map(period).collect()
    }

    /// Compares the top list, the open periods and some closed ones. Returns how many boards, each value of a tag for itself.
    async fn compare(&mut self, closed: usize) -> usize {
        let mut compared = 0;
        let periods = self.periods().await;
        let share = closed as f64 / periods.len() as f64;
        for period in periods {
            if period.is_closed && !self.random.random_bool(share.min(1.0)) {
                continue;
            }
            compared += self.compare_period(&period).await;
        }
        self.compare_top().await;
        compared
    }

    /// Compares the live top list, which the award script makes.
    async fn compare_top(&self) {
        let app = &self.node.app;
        laurel::live::poll(&app.live).await.unwrap();
        let all = ModelPeriod {
            board: GLOBAL.to_owned(),
            period: "all".to_owned(),
            starts_us: i64::MIN,
            ends_us: i64::MAX,
            is_closed: false,
        };
        let expected =
            self.compute(&app.boards.find(GLOBAL).unwrap(), &all).sorted(None).into_iter().take(10);
        let expected: Vec<_> =
            expected.map(|entry| (entry.username, entry.result.score as u64, entry.rank)).collect();
        assert_eq!(self.node.board().await, expected);
    }

    async fn compare_period(&self, period: &ModelPeriod) -> usize {
        let app = &self.node.app;
        let board = app.boards.find(&period.board).unwrap();
        let model = self.compute(&board, period);
        let values: &[&str] = match board.rules.split_by.as_deref() {
            Some("country") => &COUNTRIES,
            Some("mode") => &MODES,
            _ => &[],
        };
        for split in [None].into_iter().chain(values.iter().map(|value| Some(*value))) {
            let address = split.map_or(board.id.clone(), |value| format!("{}@{value}", board.id));
            let mut expected = model.sorted(split);
            if period.is_closed {
                expected.iter_mut().for_each(|entry| entry.attempts = None);
            }
            let query = PageQuery {
                address: &address,
                period: Some(period.period.clone()),
                start: Start::Top,
                limit: 200,
                top: 0,
                me: None,
            };
            let page = app.entries.page(&board, query).await.unwrap();
            let (address, period) = (&address, &period.period);
            for (found, expected) in page.entries.iter().zip(&expected) {
                assert_eq!(found, expected, "board {address}, period {period}");
            }
            let (found, expected) = (page.entries.len(), expected.len());
            assert_eq!(
                (found, page.snapshot.total),
                (expected, expected as u64),
                "board {address}, period {period}"
            );
        }
        1 + values.len()
    }

    /// A period from all awards.
    fn compute(&self, board: &Definition, period: &ModelPeriod) -> BoardModel {
        let rules = &board.rules;
        let order = EntryOrder {
            ascending: rules.order == Order::Asc,
            has_subscores: rules.aggregate != Aggregate::Sum,
        };
        let mut model = BoardModel {
            rules: EntryRules {
                aggregate: match rules.aggregate {
                    Aggregate::Sum => "sum",
                    Aggregate::Best => "best",
                    Aggregate::Latest => "latest",
                },
                order,
                is_dense: rules.ranking == Ranking::Dense,
                is_total: rules.is_total,
                max_attempts: rules.attempts,
                top: rules.top,
            },
            ranking: match rules.ranking {
                Ranking::Competition => "competition",
                Ranking::Dense => "dense",
                Ranking::Ordinal => "ordinal",
            },
            entries: BTreeMap::new(),
        };
        for player in &self.players {
            let within =
                player.facts.iter().filter(|it| (period.starts_us..period.ends_us).contains(&it.hlc_us));
            for fact in within {
                let Some(score) = worth(rules, player, fact) else { continue };
                let result = fact.award.as_ref().map(|(_, proof)| &proof.award);
                let subscore = result.and_then(|it| it.subscore).filter(|_| order.has_subscores);
                let change = Change::Add(Ranked {
                    score,
                    subscore: subscore.map(|it| it as i64),
                    hlc_us: fact.hlc_us,
                });
                let tag = rules.split_by.as_ref().and_then(|tag| result?.tags.get(tag)).cloned();
                for split in [None].into_iter().chain(tag.map(Some)) {
                    let username = name(player.id);
                    model.apply(&EntryChange { order, split, user: player.id, username, change });
                }
            }
        }
        model
    }
}

/// What an entry of the ledger is worth on a board; `None`: it does not count.
fn worth(rules: &Rules, player: &ModelPlayer, fact: &Fact) -> Option<i64> {
    if player.is_banned || fact.is_voided {
        return None;
    }
    if rules.is_total {
        return (!fact.is_held).then_some(fact.points);
    }
    let Some((action, proof)) = &fact.award else {
        let counts_all = rules.actions == ActionFilter::All && rules.tags.is_empty();
        let is_sum_of_points = rules.measure == Measure::Points && rules.aggregate == Aggregate::Sum;
        return (counts_all && is_sum_of_points && !player.is_quarantined).then_some(fact.points);
    };
    let is_of_action = match &rules.actions {
        ActionFilter::All => true,
        ActionFilter::Types(types) => types.iter().any(|it| it == action),
    };
    let has_tags = rules.tags.iter().all(|(tag, value)| proof.award.tags.get(tag) == Some(value));
    if player.is_quarantined || !is_of_action || !has_tags {
        return None;
    }
    match rules.measure {
        Measure::Points => Some(fact.points),
        Measure::Count => Some(1),
        Measure::Value => proof.award.value.map(|value| value as i64),
    }
}
