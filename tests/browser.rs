//! The pages in a real browser. The scripts are in `tests/browser/`, their screenshots in `target/screenshots/`.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::{NodeProcess, TestStores, assert_ledger_matches};

/// Runs a script with these environment variables. It must succeed.
async fn run(script: &'static str, environment: Vec<(&'static str, String)>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("node");
    command
        .args(["--test", "--test-reporter=tap"])
        .arg(root.join("tests/browser").join(script))
        .env("SCREENSHOTS", root.join("target/screenshots"))
        .envs(environment);
    let output = tokio::task::spawn_blocking(move || command.output().expect("make test-deps installs it"))
        .await
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    // Last, where they are found in a long log.
    let failures: Vec<&str> = stdout.split("# Subtest: ").filter(|test| test.contains("\nnot ok ")).collect();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}\nFailed:\n{}", failures.concat());
    assert!(!stdout.contains("# pass 0"), "{stdout}");
}

/// Creates the admin that the scripts log in as.
async fn create_admin(stores: &TestStores, node: &NodeProcess) {
    let root = json!({ "username": "root", "email": "root@example.com", "password": "correct horse" });
    let register = reqwest::Client::new().post(format!("{}/api/auth/register", node.base)).json(&root);
    assert_eq!(register.send().await.unwrap().status(), 201);
    let app = stores.build_app().await;
    let user = laurel::admin::find_user(&app.admin, "root").await.unwrap();
    let decision = laurel::admin::Decision { actor: "test".into(), host: None, reason: "needs one".into() };
    laurel::admin::grant(&app.admin, &user, true, &decision).await.unwrap();
}

#[tokio::test]
async fn third_party_files_are_unchanged() {
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
async fn the_texts_of_the_live_page() {
    run("labels.mjs", Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_page_when_the_network_fails() {
    let stores = TestStores::new().await;
    let node = stores.start_process(&[("LAUREL_LIMITS__LOGINS_PER_MINUTE", "0")]).await;
    run("network.mjs", vec![("ONE", node.base.clone())]).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layout_of_the_live_page() {
    let stores = TestStores::new().await;
    let node = stores.start_process(&[]).await;
    run("layout.mjs", vec![("ONE", node.base.clone())]).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_page_over_time() {
    let stores = TestStores::new().await;
    let free = [("LAUREL_LIMITS__LOGINS_PER_MINUTE", "0")];
    let (one, two) = (stores.start_process(&free).await, stores.start_process(&free).await);
    create_admin(&stores, &one).await;
    let pid = ("TWO_PID", two.id().to_string());
    run("sessions.mjs", vec![("ONE", one.base.clone()), ("TWO", two.base.clone()), pid]).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_page_over_two_nodes() {
    let stores = TestStores::new().await;
    let free = [("LAUREL_LIMITS__UPDATES_PER_MINUTE", "0"), ("LAUREL_LIMITS__LOGINS_PER_MINUTE", "0")];
    let (one, two) = (stores.start_process(&free).await, stores.start_process(&free).await);
    create_admin(&stores, &one).await;
    let bases = vec![("ONE", one.base.clone()), ("TWO", two.base.clone())];
    run("admin.mjs", bases.clone()).await;
    run("admin-races.mjs", bases).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_page_over_thousands_of_players() {
    let stores = TestStores::new().await;
    let node = stores.start_process(&[("LAUREL_LIMITS__LOGINS_PER_MINUTE", "0")]).await;
    create_admin(&stores, &node).await;
    let app = stores.build_app().await;
    // The script expects 20 bins of 5,000 points: a score of 100,000 would be in a 21st.
    let options = laurel::ledger::SeedOptions { users: 5000, max_score: 99_999, tokens: None };
    laurel::ledger::seed(&app.ledger, &app.accounts.logins, &options, |_| ()).await.unwrap();
    // A period of all these players that ended just now.
    let settling = "INSERT INTO board_periods (board, period, starts_us, counts_from_us, ends_us, closes_us, rules)
                    SELECT board, '2001-01-01', 0, 0, $1, $1 + 3600000000, rules FROM board_periods WHERE board = 'daily'";
    let settling = sqlx::query(settling).bind(app.store.now_us().await.unwrap());
    assert_eq!(settling.execute(&app.database).await.unwrap().rows_affected(), 1);
    run("admin-views.mjs", vec![("ONE", node.base.clone())]).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_page_for_dead_letters() {
    let stores = TestStores::with_shards(1).await;
    let node = stores.start_process(&[("LAUREL_LIMITS__LOGINS_PER_MINUTE", "0")]).await;
    create_admin(&stores, &node).await;
    // An award of 15 points cannot be written before the second retry, and another entry cannot be parsed at all.
    let odd = "CREATE FUNCTION is_fixed() RETURNS boolean LANGUAGE sql AS
                   'SELECT count(*) >= 2 FROM admin_audit WHERE action = ''retry_letter''';
               ALTER TABLE score_history ADD CONSTRAINT odd CHECK (points_earned <> 15 OR is_fixed())";
    sqlx::raw_sql(odd).execute(&stores.build_app().await.database).await.unwrap();
    let _: String = stores.redis_client().await.query("XADD outbox * kind unheard-of note <b>bold</b>").await;
    run("dead-letters.mjs", vec![("ONE", node.base.clone())]).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_documentation() {
    let stores = TestStores::new().await;
    let node = stores.start_process(&[]).await;
    run("docs.mjs", vec![("ONE", node.base.clone())]).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_on_another_origin() {
    let stores = TestStores::new().await;
    // The script serves the game on this port.
    let port = std::net::TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
    let game = format!("http://localhost:{port}");
    let any = format!("*,{game}");
    let open = stores.start_process(&[("LAUREL_SERVER__CORS_ORIGINS", any.as_str())]).await;
    let closed = stores.start_process(&[("LAUREL_SERVER__CORS_ORIGINS", game.as_str())]).await;
    let bases = vec![("OPEN", open.base.clone()), ("CLOSED", closed.base.clone()), ("GAME", game.clone())];
    run("cross-origin.mjs", bases).await;
    assert_ledger_matches(&stores).await;
}
