//! Random calls by honest players, hostile players and admins over two nodes, compared with a small model of the rules after every
//! call. `LAUREL_MODEL_CASES` sets the number of sequences.

mod calls;
mod play;
mod request;
mod rules;
mod state;

use laurel::admin::{self, Decision};
use proptest::test_runner::{Config, TestCaseError, TestCaseResult, TestError, TestRunner};

use crate::harness::{Player, TestNode, TestStores};
use calls::{Call, USERS};
use play::Play;

const CASES: u32 = 12;
/// So long a failing sequence is made shorter.
const SHRINK_MS: u32 = 60_000;

/// So long the action that takes time takes.
const LEAST_MS: i64 = 3_600_000;

/// The default catalogue with easier proofs of work, and waits that pass by making tokens older.
fn catalogue() -> String {
    include_str!("../../src/action/actions.toml")
        .replace("bits = 16", "bits = 4")
        .replace("min_ms = 3000, max_ms = 20000", &format!("min_ms = {LEAST_MS}"))
}

#[test]
fn laurel_and_the_model_agree_after_every_call() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (stores, nodes, root) = runtime.block_on(async {
        let stores = TestStores::new().await;
        let file = stores.folder.path().join("actions.toml");
        std::fs::write(&file, catalogue()).unwrap();
        let node = async || {
            let change = |it: &mut laurel::config::Config| {
                it.actions.file = file.to_str().unwrap().to_owned();
                it.tokens.action_interval_seconds = 0;
                it.tokens.anti_spam_seconds = 3600;
                it.tokens.session_seconds = 36_000;
                it.tokens.action_seconds = 3600;
            };
            stores.start_node_with(change).await
        };
        let nodes = [node().await, node().await];
        let root = nodes[0].register("root").await;
        let user = admin::find_user(&nodes[0].app.admin, "root").await.unwrap();
        admin::grant(&nodes[0].app.admin, &user, true, &decision()).await.unwrap();
        (stores, nodes, root)
    });
    let cases = std::env::var("LAUREL_MODEL_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, failure_persistence: None, max_shrink_time: SHRINK_MS, ..Config::default() };
    let outcome = TestRunner::new(config)
        .run(&calls::sequences(), |calls| runtime.block_on(play(&stores, &nodes, &root, &calls)));
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, calls)) => {
            let calls: Vec<_> = calls.iter().map(|it| format!("{it:?}")).collect();
            panic!("{why}\n{}", calls.join("\n"));
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

fn decision() -> Decision {
    Decision { actor: "test".into(), host: None, reason: "the model".into() }
}

/// Plays one sequence with users of its own, and takes them off the board again.
async fn play(stores: &TestStores, nodes: &[TestNode; 2], root: &Player, calls: &[Call]) -> TestCaseResult {
    let today = nodes[0].app.clock.now_s() / 86_400;
    let mut play = Play::new(stores, nodes, root, nodes[0].create_players(USERS as u64).await);
    let played = play_all(&mut play, calls).await;
    clear(&play).await;
    // What can be had once a day can be had again, so nothing follows from a sequence over midnight.
    if nodes[0].app.clock.now_s() / 86_400 != today {
        return Err(TestCaseError::reject("midnight in UTC"));
    }
    played
}

async fn play_all(play: &mut Play<'_>, calls: &[Call]) -> TestCaseResult {
    for call in calls {
        play.call(call).await?;
    }
    play.finish().await
}

async fn clear(play: &Play<'_>) {
    let app = &play.nodes[0].app;
    for player in &play.players {
        let user = admin::find_user(&app.admin, &player.identity.number.to_string()).await.unwrap();
        // Refused if nothing is held, which is as well.
        let _ = admin::void(&app.admin, user.id, None, &decision()).await;
        let total = app.store.totals(&[user.id]).await.unwrap()[0].own.unwrap_or(0) as i64;
        if total > 0 {
            admin::adjust(&app.admin, &user, -total, None, &decision()).await.unwrap();
        }
    }
}
