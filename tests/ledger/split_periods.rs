//! A split board on three shards over the end of a period: bounds to the microsecond, a definition that changes in between, a dead letter that
//! arrives after the close, and changes in Postgres that `laurel verify` finds.

use std::collections::BTreeMap;

use laurel::action::ProofResult;
use laurel::admin::{DeadLetterAction, Decision, dead_letters, decide_dead_letter};
use laurel::ledger::{Mismatch, retry_dead_letters, verify_boards};
use serde_json::Value;
use uuid::Uuid;

use super::insert_user_with_id;
use super::periods::{assert_signed_of, day_before, set_clock, stores_before_midnight, wait_for_close_of};
use crate::harness::{TestNode, eventually, wait_until_boards_follow};
use crate::scripts::{award_result, user};

const BOARDS: &str = "[[board]]
id = \"laps\"
measure = \"value\"
aggregate = \"best\"
order = \"asc\"
ranking = \"dense\"
split_by = \"country\"
period = \"day\"
settle = \"10m\"
";
const SETTLE_MS: i64 = 10 * 60 * 1000;
const ADDRESSES: [&str; 3] = ["laps", "laps@DE", "laps@FR"];

#[derive(Clone, Copy)]
struct Lap {
    user: Uuid,
    value: u64,
    country: &'static str,
    hlc_us: i64,
}

/// Awards a lap. The ledger refuses one with 15 points at first.
async fn race(node: &TestNode, user: Uuid, value: u64, country: &'static str, points: u64) -> Lap {
    let mut proof = ProofResult::default();
    proof.award.value = Some(value);
    proof.award.tags.insert("country".to_owned(), country.to_owned());
    let reply = award_result(&node.app.store, user, "watch_ad", points, &proof).await;
    Lap { user, value, country, hlc_us: reply.outcome.unwrap().receipt_data.hlc_us }
}

/// The fastest lap of each user on a board, best first.
fn fastest(laps: &[Lap], address: &str) -> Vec<(Uuid, u64)> {
    let mut best: BTreeMap<Uuid, u64> = BTreeMap::new();
    for lap in laps.iter().filter(|lap| ["laps", &format!("laps@{}", lap.country)].contains(&address)) {
        let value = best.entry(lap.user).or_insert(lap.value);
        *value = lap.value.min(*value);
    }
    let mut best: Vec<_> = best.into_iter().collect();
    best.sort_by_key(|it| it.1);
    best
}

/// Users and scores of a board in a period, best first.
async fn scores(node: &TestNode, address: &str, period: &str) -> Vec<(Uuid, u64)> {
    let page = node.get(&format!("/api/v1/boards/{address}/entries?period={period}&limit=200")).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let entries = page.body["entries"].as_array().unwrap().iter();
    let user = |entry: &Value| entry["userId"].as_str().unwrap().parse().unwrap();
    entries.map(|entry| (user(entry), entry["score"].as_u64().unwrap())).collect()
}

async fn problems(node: &TestNode) -> Vec<String> {
    let mut found = Vec::new();
    let report = &mut |it: Mismatch| found.push(format!("{}: {}", it.subject, it.detail));
    verify_boards(&node.app.ledger, Some("laps"), report).await.unwrap();
    found
}

async fn execute(node: &TestNode, sql: String) {
    let result = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&node.app.database).await;
    assert!(result.unwrap().rows_affected() > 0);
}

#[tokio::test]
async fn split_boards_close_on_all_shards_and_changes_are_found() {
    let (stores, midnight_ms) = stores_before_midnight(BOARDS, 3).await;
    let node = stores.start_node().await;
    let users: Vec<Uuid> = (1..=7).map(user).collect();
    for user in &users {
        insert_user_with_id(&node.app, *user).await;
    }
    let constraint = "ALTER TABLE score_history ADD CONSTRAINT not_15 CHECK (points_earned <> 15)";
    sqlx::raw_sql(constraint).execute(&node.app.database).await.unwrap();
    let (today, tomorrow) = (day_before(midnight_ms), day_before(midnight_ms + 1000));
    let late = race(&node, users[6], 100, "DE", 15).await;
    // Each shard's next award is in the last microsecond of the day, and its later ones are in the next day.
    let last_us = midnight_ms * 1000 - 1;
    stores.redis_client().await.query::<()>(&format!("HSET shard:state hlc_us {}", last_us - 1)).await;
    let mut laps = Vec::new();
    for (number, user) in (0_u64..).zip(&users[..6]) {
        let (first, second) = if number % 2 == 0 { ("DE", "FR") } else { ("FR", "DE") };
        laps.push(race(&node, *user, 900 - 20 * number, first, 10).await);
        laps.push(race(&node, *user, 500 + 30 * number, second, 10).await);
    }
    let in_last = laps.iter().filter(|lap| lap.hlc_us == last_us).count();
    let in_first = laps.iter().filter(|lap| lap.hlc_us == last_us + 1).count();
    assert_eq!((in_last, in_first), (3, 3), "one of each shard");
    let (mut of_today, of_tomorrow): (Vec<Lap>, Vec<Lap>) =
        laps.iter().partition(|lap| lap.hlc_us <= last_us);

    // Another definition takes effect with the next period.
    node.wait_for_ledger().await;
    node.stop().await;
    stores.write_boards(&BOARDS.replace("asc", "desc").replace("best", "sum"));
    let node = stores.start_node().await;
    wait_until_boards_follow(&node.app).await;
    for address in ADDRESSES {
        assert_eq!(scores(&node, address, &today).await, fastest(&of_today, address), "{address}");
    }
    set_clock(&stores, midnight_ms + SETTLE_MS);
    let mut roots = Vec::new();
    for address in ADDRESSES {
        let closed = wait_for_close_of(&node, address, &today).await;
        assert_signed_of(&node, address, &closed).await;
        assert_eq!(scores(&node, address, &today).await, fastest(&of_today, address), "{address}");
        roots.push(closed["root"].clone());
    }
    let mut sums: BTreeMap<Uuid, u64> = BTreeMap::new();
    of_tomorrow.iter().for_each(|lap| *sums.entry(lap.user).or_default() += lap.value);
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|it| std::cmp::Reverse(it.1));
    eventually("the next period to follow its own rules", async || {
        (scores(&node, "laps", &tomorrow).await == sums).then_some(())
    })
    .await;

    // The refused award arrives after the close, which makes a revision of its boards.
    sqlx::raw_sql("ALTER TABLE score_history DROP CONSTRAINT not_15")
        .execute(&node.app.database)
        .await
        .unwrap();
    let letter = dead_letters(&node.app.admin, true, 10).await.unwrap().remove(0);
    let decision = Decision { actor: "root".into(), host: None, reason: "was refused".into() };
    decide_dead_letter(&node.app.admin, letter.id, DeadLetterAction::Retry, &decision).await.unwrap();
    retry_dead_letters(&node.app.ledger).await.unwrap();
    wait_until_boards_follow(&node.app).await;
    of_today.push(late);
    for (address, root) in ADDRESSES.iter().zip(roots) {
        let period = wait_for_close_of(&node, address, &today).await;
        let is_changed = *address != "laps@FR";
        assert_eq!(period["root"] != root, is_changed, "{address}: {period}");
        assert_signed_of(&node, address, &period).await;
        assert_eq!(scores(&node, address, &today).await, fastest(&of_today, address), "{address}");
        let causes: Vec<_> = period["revisions"].as_array().unwrap().iter().map(|it| &it["reason"]).collect();
        assert_eq!(causes, if is_changed { vec!["closed", "was refused"] } else { vec!["closed"] });
    }

    assert_eq!(problems(&node).await, [""; 0]);
    let of_late = format!("WHERE split = 'DE' AND user_id = '{}'", late.user);
    execute(&node, format!("UPDATE board_entries SET score = 99 {of_late}")).await;
    let board = format!("board laps@DE, period {today}");
    let entry = |score: u64| format!("position 1 rank 1 score {score} at {}", late.hlc_us);
    let expected = [
        format!("{board}: its entries differ from its signed root"),
        format!("{board}, user {}: it has {}, the ledger {}", late.user, entry(99), entry(100)),
    ];
    assert_eq!(problems(&node).await, expected);
    execute(&node, format!("DELETE FROM board_entries {of_late}")).await;
    let expected = [
        format!("{board}: its entries differ from its signed root"),
        format!("{board}, user {}: it has no entry, the ledger {}", late.user, entry(100)),
    ];
    assert_eq!(problems(&node).await, expected);
    execute(&node, "DELETE FROM board_revisions WHERE split = 'DE' AND revision = 1".to_owned()).await;
    execute(&node, "UPDATE board_revisions SET signature = 'x' WHERE split = 'FR'".to_owned()).await;
    execute(&node, "UPDATE board_revisions SET entries = 9 WHERE split = '' AND revision = 1".to_owned())
        .await;
    let revisions = [
        format!("board laps, period {today}: revision 1: it differs from what was signed"),
        format!("{board}: revision 2: the one before it is missing"),
        format!("board laps@FR, period {today}: revision 1: not a signed text (compact JWS, RFC 7515)"),
    ];
    assert_eq!(problems(&node).await, [&revisions[..], &expected].concat());
    node.stop().await;
}
