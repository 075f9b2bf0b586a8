//! Closed periods: each closes once, its pages are exact, and its signed root can be computed from them.

use laurel::crypto::sha256_hex;
use laurel::store::PeriodKey;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::harness::{Player, TestNode, TestResponse, TestStores, eventually};
use crate::http::admin::{apply, create_admin};
use crate::scripts::clock::DAY_MS;

const BOARDS: &str = "[[board]]\nid = \"daily\"\nperiod = \"day\"\nsettle = \"10m\"\nkeep_periods = 3\n";
const SETTLE_MS: i64 = 10 * 60 * 1000;

async fn get(node: &TestNode, path: &str) -> TestResponse {
    get_board(node, "daily", path).await
}

async fn get_board(node: &TestNode, board: &str, path: &str) -> TestResponse {
    let response = node.get(&format!("/api/v1/boards/{board}{path}")).await;
    assert_eq!(response.status, 200, "{path}: {}", response.text);
    response
}

/// Waits until a period is closed.
async fn wait_for_close(node: &TestNode, period: &str) -> Value {
    wait_for_close_of(node, "daily", period).await
}

/// Waits until a period of a board is closed.
pub async fn wait_for_close_of(node: &TestNode, board: &str, period: &str) -> Value {
    eventually("the period to be closed", async || {
        let response = node.get(&format!("/api/v1/boards/{board}/periods/{period}")).await;
        (response.body["state"] == "closed").then_some(response.body)
    })
    .await
}

/// Waits until the board has entries with these scores, best first. Returns the page.
async fn wait_for_scores(node: &TestNode, query: &str, scores: &[i64]) -> Value {
    eventually("the board to follow the ledger", async || {
        let page = get(node, &format!("/entries?{query}")).await.body;
        let found = page["entries"].as_array()?.iter().map(|entry| entry["score"].as_i64().unwrap());
        found.eq(scores.iter().copied()).then_some(page)
    })
    .await
}

/// All entries of a period, page by page.
async fn read_pages(node: &TestNode, board: &str, period: &str) -> Vec<Value> {
    let (mut entries, mut query) = (Vec::new(), format!("period={period}"));
    loop {
        let page = get_board(node, board, &format!("/entries?limit=1&{query}")).await.body;
        entries.extend(page["entries"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => query = format!("cursor={next}"),
            None => return entries,
        }
    }
}

/// The root, as docs/boards.md defines it.
fn root_of(entries: &[Value]) -> String {
    let line = |entry: &Value| {
        let words =
            ["position", "rank", "userId", "score", "subscore", "achievedAt"].map(|name| {
                match &entry[name] {
                    Value::String(text) => text.clone(),
                    Value::Null => String::new(),
                    number => number.to_string(),
                }
            });
        words.join("\t") + "\n"
    };
    sha256_hex(&[entries.iter().map(line).collect::<String>().as_bytes()])
}

/// Checks root and signature of a period against its pages.
async fn assert_signed(node: &TestNode, period: &Value) {
    assert_signed_of(node, "daily", period).await;
}

/// Checks root and signature of a board's period against its pages.
pub async fn assert_signed_of(node: &TestNode, board: &str, period: &Value) {
    let id = period["id"].as_str().unwrap();
    assert_eq!(period["root"], root_of(&read_pages(node, board, id).await), "{period}");
    let signed: Value =
        node.app.receipts.verifier().board_root(period["signature"].as_str().unwrap()).unwrap();
    let expected = json!([board, id, period["revision"], period["root"], period["total"]]);
    assert_eq!(json!(["board", "period", "revision", "root", "entries"].map(|name| &signed[name])), expected);
}

/// Sets the clock of Redis, which goes on: blocking reads never end while it stands still.
pub fn set_clock(stores: &TestStores, at_ms: i64) {
    stores.redis.set_clock(&format!("{:+}", (at_ms - stores.clock.now_ms()) / 1000));
}

/// Redis at an hour before midnight, and that midnight in ms.
pub async fn stores_before_midnight(boards: &str, shards: usize) -> (TestStores, i64) {
    let mut stores = TestStores::with_fake_clock_and_shards(shards).await;
    stores.config.boards.file = stores.write_boards(boards);
    let midnight_ms = (stores.clock.now_ms() / DAY_MS + 1) * DAY_MS;
    set_clock(&stores, midnight_ms - 3_600_000);
    (stores, midnight_ms)
}

/// The id of the day that ends at a midnight.
pub fn day_before(midnight_ms: i64) -> String {
    laurel::clock::rfc3339(midnight_ms - 1)[..10].to_owned()
}

fn name(player: &Player) -> &str {
    &player.identity.username
}

#[tokio::test]
async fn a_period_closes_once_while_leaders_are_killed() {
    let (stores, midnight_ms) = stores_before_midnight(BOARDS, 1).await;
    let file = stores.config.boards.file.clone();
    let mut first = stores.start_process(&[("LAUREL_BOARDS__FILE", &file)]).await;
    let node = stores.start_node().await;
    let players = node.create_players(3).await;
    let [ada, bob, cy] = &players[..] else { panic!("three players") };
    for player in [ada, bob, bob] {
        node.award(player, "watch_ad").await;
    }
    // Cy's award is in the last microsecond of the day, the next one in the first of the next day.
    let last_us = midnight_ms * 1000 - 1;
    let mut redis = stores.redis_client().await;
    redis.query::<()>(&format!("HSET shard:state hlc_us {}", last_us - 1)).await;
    node.award(cy, "watch_ad").await;
    node.award(ada, "solve_puzzle").await;
    node.wait_for_ledger().await;
    let day = day_before(midnight_ms);
    let open = wait_for_scores(&node, &format!("period={day}"), &[20, 10, 10]).await;
    assert_eq!(open["state"], "open");

    // The first leader waits for a row in the middle of the close, and is killed there. So does the second one.
    let mut blocker = PgConnection::connect(stores.config.postgres.url.expose()).await.unwrap();
    let mut lock = blocker.begin().await.unwrap();
    let locked = sqlx::query("SELECT FROM board_periods WHERE period = $1 FOR UPDATE").bind(&day);
    assert_eq!(locked.fetch_all(&mut *lock).await.unwrap().len(), 1);
    set_clock(&stores, midnight_ms + SETTLE_MS / 2);
    wait_for_scores(&node, "", &[15]).await;
    let settling = get(&node, &format!("/periods/{day}")).await.body;
    assert_eq!(settling["state"], "settling", "before the time to settle is over");
    set_clock(&stores, midnight_ms + SETTLE_MS);
    let closes = async |count: i64| {
        eventually("a leader to close the period", async || {
            let waiting = "SELECT count(*) FROM pg_stat_activity
                           WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%board_%'";
            let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&node.app.database).await.unwrap();
            (waiting >= count).then_some(())
        })
        .await;
    };
    closes(1).await;
    first.kill();
    closes(2).await;
    lock.rollback().await.unwrap();

    let closed = wait_for_close(&node, &day).await;
    assert_eq!((&closed["revision"], &closed["total"]), (&json!(1), &json!(3)));
    let revision = &closed["revisions"][0];
    assert_eq!((&revision["actor"], &revision["reason"]), (&json!("laurel"), &json!("closed")));
    let revisions: i64 = sqlx::query_scalar("SELECT count(*) FROM board_revisions")
        .fetch_one(&node.app.database)
        .await
        .unwrap();
    assert_eq!(revisions, 1);
    assert_signed(&node, &closed).await;
    let key = PeriodKey { board: "daily", period: &day };
    eventually("the period to be deleted in Redis", async || {
        node.app.store.entries_seq(key).await.unwrap().is_none().then_some(())
    })
    .await;
    assert_eq!(redis.query::<Vec<String>>(&format!("KEYS leaderboard:{{daily}}:{day}*")).await, [""; 0]);

    // The entries are what the open period had, and those of the next one go on.
    let response = get(&node, &format!("/entries?period={day}")).await;
    assert_eq!(response.body["entries"], open["entries"]);
    assert_eq!(
        (&response.body["state"], &response.body["total"], &response.body["stale"]),
        (&json!("closed"), &json!(3), &json!(false))
    );
    assert_eq!(response.header("cache-control"), "public, max-age=60, immutable");
    let path = format!("/api/v1/boards/daily/entries?period={day}&limit=1&around=me&top=1");
    let around = node.get_with(&path, &cy.token, &[]).await;
    assert_eq!(around.header("cache-control"), "no-cache", "a page with `me` is nobody else's");
    let positions = |page: &Value| -> Vec<Value> {
        page["entries"].as_array().unwrap().iter().map(|entry| entry["position"].clone()).collect()
    };
    assert_eq!(positions(&around.body), [json!(1), json!(3)]);
    assert_eq!(around.body["me"]["username"], name(cy));
    let previous = format!("/entries?limit=2&cursor={}", around.body["previous"].as_str().unwrap());
    assert_eq!(positions(&get(&node, &previous).await.body), [json!(1), json!(2)]);
    let lookup = json!({ "userIds": [cy.identity.user, bob.identity.user], "period": day });
    let lookup = node.post("/api/v1/boards/daily/entries/lookup", "", &lookup).await.body;
    assert_eq!(lookup["entries"][1]["relative"], json!({ "position": 2, "rank": 2 }), "{lookup}");
    wait_for_scores(&node, "", &[15]).await;
    node.get("/api/v1/boards/daily/entries?period=2001-01-01").await.assert_refused(404, "PERIOD_NOT_FOUND");
    node.get("/api/v1/boards/daily/periods/2001-01-01").await.assert_refused(404, "PERIOD_NOT_FOUND");
}

#[tokio::test]
async fn missed_periods_are_closed_in_order() {
    let (stores, midnight_ms) = stores_before_midnight(BOARDS, 1).await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    wait_for_scores(&node, "", &[10]).await;
    node.stop().await;
    // No leader runs at two ends of periods.
    set_clock(&stores, midnight_ms + 2 * DAY_MS + SETTLE_MS);
    let node = stores.start_node().await;
    let days = [0, 1, 2].map(|days| day_before(midnight_ms + days * DAY_MS));
    for day in &days {
        let closed = wait_for_close(&node, day).await;
        assert_signed(&node, &closed).await;
    }
    let closed: Vec<String> =
        sqlx::query_scalar("SELECT period FROM board_periods WHERE closed_at IS NOT NULL ORDER BY closed_at")
            .fetch_all(&node.app.database)
            .await
            .unwrap();
    assert_eq!(closed, days);
    let periods = get(&node, "/periods?limit=2").await.body;
    let next = get(&node, &format!("/periods?cursor={}", periods["next"].as_str().unwrap())).await.body;
    let listed: Vec<(&Value, &Value, &Value)> = [&periods, &next]
        .into_iter()
        .flat_map(|page| page["periods"].as_array().unwrap())
        .map(|period| (&period["id"], &period["state"], &period["total"]))
        .collect();
    let (open, closed, current) =
        (json!("open"), json!("closed"), json!(day_before(midnight_ms + 3 * DAY_MS)));
    let [first, second, third] = days.map(Value::from);
    let expected = [
        (&current, &open, &Value::Null),
        (&third, &closed, &json!(0)),
        (&second, &closed, &json!(0)),
        (&first, &closed, &json!(1)),
    ];
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_held_period_waits_and_a_later_ban_revises_it() {
    let (stores, midnight_ms) = stores_before_midnight(BOARDS, 1).await;
    let node = stores.start_node().await;
    let root = create_admin(&node).await;
    let players = node.create_players(3).await;
    let [ada, bob, cy] = &players[..] else { panic!("three players") };
    for player in [ada, ada, bob] {
        node.award(player, "watch_ad").await;
    }
    wait_for_scores(&node, "", &[20, 10]).await;
    let day = day_before(midnight_ms);
    let decide = async |action: &str, status: u16| {
        let path = format!("/api/admin/boards/daily/periods/{day}/{action}");
        let response = node.post(&path, &root.token, &json!({ "reason": "a cheater" })).await;
        assert_eq!(response.status, status, "{action}: {}", response.text);
    };
    decide("close", 400).await;
    decide("hold", 200).await;
    decide("hold", 400).await;
    set_clock(&stores, midnight_ms + SETTLE_MS);
    // The next period is closed, which is later, and this one is not.
    set_clock(&stores, midnight_ms + DAY_MS + SETTLE_MS);
    node.award(cy, "watch_ad").await;
    let next_day = day_before(midnight_ms + DAY_MS);
    wait_for_close(&node, &next_day).await;
    let held = get(&node, &format!("/periods/{day}")).await.body;
    assert_eq!(held["state"], "settling");
    let listed = node.get_with("/api/admin/boards/daily/periods", &root.token, &[]).await.body;
    let holders: Vec<&Value> =
        listed["data"]["periods"].as_array().unwrap().iter().map(|period| &period["heldBy"]).collect();
    assert_eq!(holders, [&Value::Null, &Value::Null, &json!("root")]);
    decide("close", 400).await;
    decide("release", 200).await;
    let closed = wait_for_close(&node, &day).await;
    decide("hold", 400).await;
    assert_signed(&node, &closed).await;
    assert_eq!(audit_actions(&node).await, ["hold_period", "release_period"]);

    // Cy is only on the third day, Ada on the first.
    let page = get(&node, &format!("/entries?limit=1&period={day}")).await.body;
    let after_ada = format!("/entries?cursor={}", page["next"].as_str().unwrap());
    for name in [name(cy), name(ada)] {
        apply(&node, &root, name, "ban").await;
    }
    let revised = wait_for_revision(&node, &day, 2).await;
    assert_eq!((&revised["total"], &revised["revisions"][0]["root"]), (&json!(1), &closed["root"]));
    let revision = &revised["revisions"][1];
    assert_eq!((&revision["actor"], &revision["reason"]), (&json!("operator"), &json!("because")));
    assert_signed(&node, &revised).await;
    let after_ada = get(&node, &after_ada).await.body;
    assert_eq!(names_and_positions(&after_ada), [(name(bob), 1)], "a cursor outlives its entry");
    let next_revision = &get(&node, &format!("/periods/{next_day}")).await.body["revision"];
    assert_eq!(next_revision, 1, "nothing changed there");
    apply(&node, &root, name(ada), "unban").await;
    let restored = wait_for_revision(&node, &day, 3).await;
    assert_eq!(restored["root"], closed["root"]);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM board_corrections")
        .fetch_one(&node.app.database)
        .await
        .unwrap();
    assert_eq!(left, 0);

    // Three closed periods keep their entries, and the fourth makes the first one lose them.
    set_clock(&stores, midnight_ms + 3 * DAY_MS + SETTLE_MS);
    wait_for_close(&node, &day_before(midnight_ms + 3 * DAY_MS)).await;
    let path = format!("/api/v1/boards/daily/entries?period={day}");
    eventually("old entries to be deleted", async || (node.get(&path).await.status == 404).then_some(()))
        .await;
    assert_eq!(get(&node, &format!("/periods/{day}")).await.body["root"], closed["root"]);
}

fn names_and_positions(page: &Value) -> Vec<(&str, u64)> {
    let entries = page["entries"].as_array().unwrap().iter();
    entries.map(|entry| (entry["username"].as_str().unwrap(), entry["position"].as_u64().unwrap())).collect()
}

async fn wait_for_revision(node: &TestNode, period: &str, revision: i64) -> Value {
    eventually("a revision", async || {
        let body = get(node, &format!("/periods/{period}")).await.body;
        (body["revision"] == revision).then_some(body)
    })
    .await
}

/// What was decided about periods, oldest first.
async fn audit_actions(node: &TestNode) -> Vec<String> {
    let sql = "SELECT action FROM admin_audit WHERE user_id IS NULL AND detail->>'board' = 'daily' ORDER BY created_at";
    sqlx::query_scalar(sql).fetch_all(&node.app.database).await.unwrap()
}
