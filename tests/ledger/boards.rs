//! `laurel verify` compares the boards with the ledger, and `laurel rebuild --board` loads one again.

use laurel::keyring::Algorithm;
use laurel::ledger::verify_boards;
use laurel::store::{
    Applied, Change, EntryBatch, EntryChange, EntryOrder, EntryRules, PeriodKey, Ranked, Store,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::run_laurel;
use crate::harness::{Player, Signer, TestNode, TestStores, assert_ledger_matches, eventually, jwks};

const BOARDS: &str = "
[[board]]
id = \"week\"
period = \"week\"

[[board]]
id = \"laps\"
actions = [\"race\"]
measure = \"value\"
aggregate = \"best\"
order = \"asc\"
ranking = \"dense\"
attempts = 2
split_by = \"country\"
";

const ACTIONS: &str = "
[[action]]
type = \"race\"
number = 900
points = 1
proof = { kind = \"signed\", keys = \"game\" }
[keys.game]
jwks_file = \"game.json\"
";

async fn race(node: &TestNode, signer: &Signer, player: &Player, result: &Value) {
    let issued = node.init(player, "race").await;
    let expires_s = node.app.store.now_us().await.unwrap() / 1_000_000 + 60;
    let mut claims = json!({
        "sub": player.identity.user, "act": "race", "jti": issued.body["challenge"]["nonce"], "exp": expires_s,
    });
    claims.as_object_mut().unwrap().extend(result.as_object().unwrap().clone());
    let proof = json!({ "attestation": signer.sign(&claims) });
    let award = node.finalize(player, issued.body["antiSpamToken"].as_str().unwrap(), proof).await;
    assert_eq!(award.status, 200, "{}", award.text);
}

/// Changes an entry past the ledger.
async fn corrupt(store: &Store, key: PeriodKey<'_>, split: Option<&str>, user: Uuid, change: Change) {
    let is_week = key.board == "week";
    let order = EntryOrder { ascending: !is_week, has_subscores: !is_week };
    let rules = EntryRules {
        aggregate: if is_week { "sum" } else { "best" },
        order,
        is_dense: !is_week,
        is_total: false,
        max_attempts: if is_week { 0 } else { 2 },
        top: 10,
    };
    let split = split.map(str::to_owned);
    let change = EntryChange { order, split, user, username: "mallory".into(), change };
    loop {
        let seq = store.entries_seq(key).await.unwrap().expect("the period is loaded");
        let batch = EntryBatch { from_seq: seq, to_seq: seq, as_of_ms: 0, floor: 0 };
        if store.apply_entries(key, rules, batch, std::slice::from_ref(&change)).await.unwrap()
            == Applied::Yes
        {
            return;
        }
    }
}

async fn subjects(node: &TestNode, board: Option<&str>) -> Vec<String> {
    let mut found = Vec::new();
    verify_boards(&node.app.ledger, board, &mut |mismatch| found.push(mismatch.subject)).await.unwrap();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn boards_are_verified_and_rebuilt_while_awards_go_on() {
    for shards in [1, 8] {
        let mut stores = TestStores::with_shards(shards).await;
        let signer = Signer::new(Algorithm::EdDSA, "a");
        std::fs::write(stores.folder.path().join("game.json"), jwks(&[&signer])).unwrap();
        let shipped = include_str!("../../src/action/actions.toml");
        stores.config.actions.file = stores.write_catalogue(&format!("{ACTIONS}{shipped}"));
        stores.config.boards.file = stores.write_boards(BOARDS);
        let node = stores.start_node().await;
        let players = node.create_players(4).await;
        for (player, country) in players.iter().zip(["DE", "FR", "DE", "FR"]) {
            for value in [700, 500, 600] {
                let result = json!({ "value": value, "subscore": 3, "tags": { "country": country } });
                race(&node, &signer, player, &result).await;
            }
        }
        assert_ledger_matches(&stores).await;

        let play = async {
            loop {
                node.award(&players[3], "watch_ad").await;
            }
        };
        tokio::select! {
            () = play => {}
            () = find_and_repair(&stores, &node, &players) => {}
        }
        assert_ledger_matches(&stores).await;
    }
}

async fn find_and_repair(stores: &TestStores, node: &TestNode, players: &[Player]) {
    let store = &node.app.store;
    let week = node.get("/api/v1/boards/week/entries").await.body["period"].as_str().unwrap().to_owned();
    let (week, laps) =
        (PeriodKey { board: "week", period: &week }, PeriodKey { board: "laps", period: "all" });
    let [ada, bob, cy] = [0, 1, 2].map(|index: usize| players[index].identity.user);
    let stranger = Uuid::from_u128(7);
    let result = |score| Ranked { score, subscore: Some(3), hlc_us: 1_764_000_000_000_000 };
    corrupt(store, laps, Some("DE"), ada, Change::Set(result(1), 2)).await;
    corrupt(store, laps, Some("FR"), cy, Change::Set(result(1), 2)).await;
    corrupt(store, week, None, bob, Change::Remove).await;
    corrupt(store, week, None, stranger, Change::Set(Ranked { subscore: None, ..result(5) }, 1)).await;
    let board_week = format!("board week, period {}", week.period);
    let mut of_week = [bob, stranger].map(|user| format!("{board_week}, user {user}")).to_vec();
    let of_laps =
        [("DE", ada), ("FR", cy)].map(|(value, user)| format!("board laps@{value}, period all, user {user}"));
    let mut of_laps = of_laps.to_vec();
    if node.app.store.shard_count() == 1 {
        // All four have the same result, and Ada was first.
        let remove = "ZREMRANGEBYRANK leaderboard:{laps}:all:results 0 0";
        assert_eq!(stores.redis_client().await.query::<u64>(remove).await, 1);
        of_laps.insert(0, format!("board laps, period all, user {ada}"));
        let junk = format!("ZADD leaderboard:{{week}}:{} 5 junk", week.period);
        let _: u64 = stores.redis_client().await.query(&junk).await;
        // The member, and the number of members.
        of_week.extend([board_week.clone(), board_week]);
    }
    of_week.sort();
    assert_eq!(subjects(node, Some("week")).await, of_week);
    assert_eq!(subjects(node, None).await, [of_laps.clone(), of_week].concat());

    let (succeeded, text) = run_laurel(stores, &["verify", "--board", "laps"]).await;
    let count = format!(", {} mismatches\n", of_laps.len());
    assert!(!succeeded && text.contains(&of_laps[0]) && text.contains(&count), "{text}");
    let ledger = format!("the ledger score 500, subscore 3, 2 attempts of {}", players[0].identity.username);
    assert!(text.contains("the board has score 1, subscore 3, 2 attempts of mallory at 1764"), "{text}");
    assert!(text.contains(&ledger), "{text}");
    let version = node.get("/api/v1/boards/week/entries?limit=1").await.body["version"].as_i64().unwrap();
    for (board, loaded) in [("week", "Loaded 4 players"), ("laps", "Loaded 4 players")] {
        let (succeeded, text) = run_laurel(stores, &["rebuild", "--board", board]).await;
        assert!(succeeded && text.contains(loaded), "{text}");
        let (succeeded, text) = run_laurel(stores, &["verify", "--board", board]).await;
        assert!(succeeded && text.contains(" board entries, 0 mismatches\n"), "{text}");
    }
    assert!(
        node.get("/api/v1/boards/week/entries?limit=1").await.body["version"].as_i64().unwrap() > version
    );
    for command in ["verify", "rebuild"] {
        let (succeeded, text) = run_laurel(stores, &[command, "--board", "nowhere"]).await;
        assert!(!succeeded && text.contains("there is no board nowhere, only global, week, laps"), "{text}");
    }
}

#[tokio::test]
async fn an_error_of_one_board_does_not_stop_the_others() {
    let stores = TestStores::with_shards(1).await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.wait_for_boards().await;
    let weekly = node.get("/api/v1/boards/weekly").await;
    let period = weekly.body["period"]["id"].as_str().unwrap();
    // Neither key has a value of the right type, so that one cannot be applied to, and the other cannot be found.
    for (score, ending) in [(10, "entries"), (20, "state")] {
        let key = format!("leaderboard:{{weekly}}:{period}:{ending}");
        let _: () = stores.redis_client().await.query(&format!("SET {key} broken")).await;
        node.award(&ada, "watch_ad").await;
        for board in ["daily", "monthly", "global"] {
            wait_for_score(&node, board, score).await;
        }
        let _: u64 = stores.redis_client().await.query(&format!("DEL {key}")).await;
        wait_for_score(&node, "weekly", score).await;
    }
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn an_award_that_is_written_during_a_ban_is_on_no_board() {
    let stores = TestStores::with_shards(1).await;
    let node = stores.start_node().await;
    let (ada, eve) = (node.register("ada").await, node.register("eve").await);
    node.wait_for_boards().await;
    // The leader has read the batch's users when it waits for the row. The ban has no correction, as if boards had made it already.
    let mut ban = node.app.database.begin().await.unwrap();
    let update = sqlx::query("UPDATE users SET banned_at = now() WHERE id = $1").bind(ada.identity.user);
    update.execute(&mut *ban).await.unwrap();
    node.award(&ada, "watch_ad").await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                   AND query LIKE 'UPDATE users SET score%'";
    eventually("the leader waits for the row", async || {
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&node.app.database).await.unwrap();
        (waiting == 1).then_some(())
    })
    .await;
    ban.commit().await.unwrap();
    node.wait_for_ledger().await;
    node.award(&eve, "watch_ad").await;
    wait_for_score(&node, "daily", 10).await;
    node.wait_for_boards().await;
    let page = node.get("/api/v1/boards/daily/entries").await;
    let users: Vec<&Value> =
        page.body["entries"].as_array().unwrap().iter().map(|entry| &entry["userId"]).collect();
    assert_eq!(users, [&json!(eve.identity.user)]);
}

async fn wait_for_score(node: &TestNode, board: &str, score: u64) {
    eventually(&format!("{score} on {board}"), async || {
        let page = node.get(&format!("/api/v1/boards/{board}/entries")).await;
        (page.body["entries"][0]["score"] == score && page.body["stale"] == false).then_some(())
    })
    .await;
}
