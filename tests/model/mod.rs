//! Random calls of honest players, hostile players and admins to two nodes. A small model of the rules predicts the outcome of every
//! call. `LAUREL_MODEL_CASES` sets the number of sequences.

mod boards;
mod calls;
mod case;
mod request;
mod rules;
mod state;

use laurel::admin::{self, Decision};
use proptest::test_runner::{Config, TestCaseError, TestCaseResult, TestError, TestRunner};

use crate::harness::{Player, TestNode, TestStores};
use calls::{Call, USERS};
use case::Case;
use state::ACTIONS;

const CASES: u32 = 12;
/// Time limit for shrinking a failing sequence.
const SHRINK_MS: u32 = 60_000;

/// The time that the `elapsed` action needs.
const MIN_ELAPSED_MS: i64 = 3_600_000;

/// Awards of `free_run` that the board `runs` counts for a player. No other board counts them.
const RUNS: u32 = 2;

/// Boards for all actions but `free_run`, and one for that action alone.
fn boards() -> String {
    let others: Vec<&str> =
        ACTIONS.iter().map(|action| action.name).filter(|name| *name != "free_run").collect();
    format!(
        "[[board]]\nid = \"daily\"\nperiod = \"day\"\nactions = {others:?}\n\
         [[board]]\nid = \"runs\"\nactions = [\"free_run\"]\nmeasure = \"count\"\nattempts = {RUNS}\n"
    )
}

/// The default catalogue with easier proofs of work, an `elapsed` action that only a backdated token can prove, and an action of 0 points.
fn catalogue() -> String {
    include_str!("../../src/action/actions.toml")
        .replace("bits = 16", "bits = 4")
        .replace("min_ms = 3000, max_ms = 20000", &format!("min_ms = {MIN_ELAPSED_MS}"))
        + "\n[[action]]\ntype = \"free_run\"\nnumber = 99\npoints = 0\nproof = { kind = \"none\" }\n"
}

#[test]
fn laurel_and_the_model_agree_after_every_call() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (stores, nodes, root) = runtime.block_on(async {
        let stores = TestStores::new().await;
        let file = stores.folder.path().join("actions.toml");
        std::fs::write(&file, catalogue()).unwrap();
        let boards = stores.write_boards(&boards());
        let node = async || {
            let change = |config: &mut laurel::config::Config| {
                config.actions.file = file.to_str().unwrap().to_owned();
                config.boards.file = boards.clone();
                config.tokens.action_interval_seconds = 0;
                config.tokens.anti_spam_seconds = 3600;
                config.tokens.session_seconds = 36_000;
                config.tokens.action_seconds = 3600;
            };
            stores.start_node_with(change).await
        };
        let nodes = [node().await, node().await];
        let root = nodes[0].register("root").await;
        let user = admin::find_user(&nodes[0].app.admin, "root").await.unwrap();
        admin::grant(&nodes[0].app.admin, &user, true, &decision()).await.unwrap();
        (stores, nodes, root)
    });
    let cases =
        std::env::var("LAUREL_MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, failure_persistence: None, max_shrink_time: SHRINK_MS, ..Config::default() };
    let outcome = TestRunner::new(config)
        .run(&calls::sequences(), |calls| runtime.block_on(run(&stores, &nodes, &root, &calls)));
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, calls)) => {
            let calls: Vec<_> = calls.iter().map(|call| format!("{call:?}")).collect();
            panic!("{why}\n{}", calls.join("\n"));
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

fn decision() -> Decision {
    Decision { actor: "test".into(), host: None, reason: "the model".into() }
}

/// Runs one sequence with new users, and removes them from the board at the end.
async fn run(stores: &TestStores, nodes: &[TestNode; 2], root: &Player, calls: &[Call]) -> TestCaseResult {
    let today = nodes[0].app.clock.now_s() / 86_400;
    let mut case = Case::new(stores, nodes, root, nodes[0].create_players(USERS as u64).await);
    let result = run_calls(&mut case, calls).await;
    remove_scores(&case).await;
    // Daily caps restart at midnight, so the model does not apply.
    if nodes[0].app.clock.now_s() / 86_400 != today {
        return Err(TestCaseError::reject("midnight in UTC"));
    }
    result
}

async fn run_calls(case: &mut Case<'_>, calls: &[Call]) -> TestCaseResult {
    for call in calls {
        case.run(call).await?;
    }
    case.finish().await
}

async fn remove_scores(case: &Case<'_>) {
    let app = &case.nodes[0].app;
    for player in &case.players {
        let user = admin::find_user(&app.admin, &player.identity.number.to_string()).await.unwrap();
        // Refused if no points are held.
        let _ = admin::void(&app.admin, user.id, None, &decision()).await;
        let total = app.store.totals(&[user.id]).await.unwrap()[0].own.unwrap_or(0) as i64;
        if total > 0 {
            admin::adjust(&app.admin, &user, -total, None, &decision()).await.unwrap();
        }
    }
}
