//! The pages in a real browser, over two nodes. The scripts are in `tests/browser/`; pictures of what they saw come to
//! `target/screenshots/`.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::{NodeProcess, TestStores, assert_ledger_matches};

/// Runs a script with these values in its environment; it has to succeed.
async fn run(script: &'static str, environment: Vec<(&'static str, String)>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("node");
    command
        .args(["--test", "--test-reporter=tap"])
        .arg(root.join("tests/browser").join(script))
        .env("SCREENSHOTS", root.join("target/screenshots"))
        .envs(environment);
    let output =
        tokio::task::spawn_blocking(move || command.output().expect("make test installs it")).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("# pass 0"), "{said}");
}

/// Makes the operator that the scripts log in as.
async fn make_operator(stores: &TestStores, node: &NodeProcess) {
    let root = json!({ "username": "root", "email": "root@example.com", "password": "correct horse" });
    let register = reqwest::Client::new().post(format!("{}/api/auth/register", node.base)).json(&root);
    assert_eq!(register.send().await.unwrap().status(), 201);
    let app = stores.build_app().await;
    let user = laurel::admin::find_user(&app.admin, "root").await.unwrap();
    let decision = laurel::admin::Decision { actor: "test".into(), host: None, reason: "needs one".into() };
    laurel::admin::grant(&app.admin, &user, true, &decision).await.unwrap();
}

#[tokio::test]
async fn other_peoples_files_are_as_they_published_them() {
    run("vendor.mjs", Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_page_over_two_nodes() {
    let stores = TestStores::new().await;
    let (one, two) = (stores.start_process(&[]).await, stores.start_process(&[]).await);
    let closed = stores.start_process(&[("LAUREL_LIVE__PUBLIC_STREAM", "false")]).await;
    let bases = [("ONE", &one), ("TWO", &two), ("CLOSED", &closed)];
    run("live.mjs", bases.map(|(name, node)| (name, node.base.clone())).into()).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn the_live_page_finds_its_words() {
    run("words.mjs", Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_page_when_the_network_goes() {
    let stores = TestStores::new().await;
    let node = stores.start_process(&[("LAUREL_LIMITS__LOGINS_PER_MINUTE", "0")]).await;
    run("network.mjs", vec![("ONE", node.base.clone())]).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_page_in_every_shape() {
    let stores = TestStores::new().await;
    let node = stores.start_process(&[]).await;
    run("shapes.mjs", vec![("ONE", node.base.clone())]).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_page_as_time_goes_on() {
    let stores = TestStores::new().await;
    let free = [("LAUREL_LIMITS__LOGINS_PER_MINUTE", "0")];
    let (one, two) = (stores.start_process(&free).await, stores.start_process(&free).await);
    make_operator(&stores, &one).await;
    let pid = ("TWO_PID", two.id().to_string());
    run("lasting.mjs", vec![("ONE", one.base.clone()), ("TWO", two.base.clone()), pid]).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_page_over_two_nodes() {
    let stores = TestStores::new().await;
    let free = [("LAUREL_LIMITS__UPDATES_PER_MINUTE", "0"), ("LAUREL_LIMITS__LOGINS_PER_MINUTE", "0")];
    let (one, two) = (stores.start_process(&free).await, stores.start_process(&free).await);
    make_operator(&stores, &one).await;
    let bases = vec![("ONE", one.base.clone()), ("TWO", two.base.clone())];
    run("admin.mjs", bases.clone()).await;
    run("late.mjs", bases).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_page_over_thousands_of_players() {
    let stores = TestStores::new().await;
    let node = stores.start_process(&[("LAUREL_LIMITS__LOGINS_PER_MINUTE", "0")]).await;
    make_operator(&stores, &node).await;
    let app = stores.build_app().await;
    let options = laurel::ledger::SeedOptions { users: 5000, max_score: 100_000, tokens: None };
    laurel::ledger::seed(&app.ledger, &app.accounts.logins, &options, |_| ()).await.unwrap();
    run("views.mjs", vec![("ONE", node.base.clone())]).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_page_for_entries_that_cannot_be_written() {
    let stores = TestStores::with_shards(1).await;
    let node = stores.start_process(&[("LAUREL_LIMITS__LOGINS_PER_MINUTE", "0")]).await;
    make_operator(&stores, &node).await;
    // 15 points cannot be written before an operator has wanted it twice; and another entry cannot be read at all.
    let odd = "CREATE FUNCTION is_mended() RETURNS boolean LANGUAGE sql AS
                   'SELECT count(*) >= 2 FROM admin_audit WHERE action = ''retry_letter''';
               ALTER TABLE score_history ADD CONSTRAINT odd CHECK (points_earned <> 15 OR is_mended())";
    sqlx::raw_sql(odd).execute(&stores.build_app().await.database).await.unwrap();
    let _: String = stores.redis_client().await.query("XADD outbox * kind unheard-of note <b>bold</b>").await;
    run("letters.mjs", vec![("ONE", node.base.clone())]).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_is_read_and_tried() {
    let stores = TestStores::new().await;
    let node = stores.start_process(&[]).await;
    run("docs.mjs", vec![("ONE", node.base.clone())]).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_of_another_origin_plays_and_watches() {
    let stores = TestStores::new().await;
    // The script serves the game there.
    let port = std::net::TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
    let game = format!("http://localhost:{port}");
    let any = format!("*,{game}");
    let open = stores.start_process(&[("LAUREL_SERVER__CORS_ORIGINS", any.as_str())]).await;
    let closed = stores.start_process(&[("LAUREL_SERVER__CORS_ORIGINS", game.as_str())]).await;
    let bases = vec![("OPEN", open.base.clone()), ("CLOSED", closed.base.clone()), ("GAME", game.clone())];
    run("origin.mjs", bases).await;
    assert_ledger_matches(&stores).await;
}
