//! Requests race for one anti-spam or proven token.

use std::collections::HashSet;

use futures::future::join_all;
use serde_json::{Value, json};

use super::rounds::{Race, USED, assert_one_wins, outcomes};
use crate::harness::Player;

const FINALIZE: &str = "/api/v1/actions/finalize";

/// Gets a proven token.
async fn prove(race: &Race, player: &Player, body: Value) -> String {
    let answer = race.nodes[0].post("/api/v1/action-tokens", &player.token, &body).await;
    answer.body["actionToken"].as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_is_finalized_once() {
    let race = Race::new().await;
    race.run(10, async |player| {
        let body = json!({ "antiSpamToken": race.nodes[0].issue_token(player, "watch_ad").await });
        assert_one_wins(&race.send_at_once(4, player, FINALIZE, &[], &body).await, USED);
        10
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_proven_token_is_redeemed_once() {
    let race = Race::new().await;
    race.run(10, async |player| {
        let token = prove(&race, player, json!({ "actionType": "watch_ad" })).await;
        let body = json!({ "actionToken": token });
        assert_one_wins(&race.send_at_once(4, player, "/api/v1/scores", &[], &body).await, USED);
        10
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_is_finalized_or_exchanged() {
    let race = Race::new().await;
    race.run(10, async |player| {
        let body = json!({ "antiSpamToken": race.nodes[0].issue_token(player, "watch_ad").await });
        let flows = [FINALIZE, "/api/v1/action-tokens"];
        let attempts = (0..4).map(|attempt| {
            let node = &race.nodes[(attempt / 2) % 2];
            node.post(flows[attempt % 2], &player.token, &body)
        });
        let answers = join_all(attempts).await;
        let mut outcomes = outcomes(&answers);
        assert_eq!(outcomes.remove(&USED), Some(3));
        let proven = answers.iter().find(|it| it.status == 201);
        assert_eq!(outcomes, [((if proven.is_some() { 201 } else { 200 }, ""), 1)].into());
        if let Some(proven) = proven {
            let body = json!({ "actionToken": proven.body["actionToken"] });
            let redeemed = race.nodes[1].post("/api/v1/scores", &player.token, &body).await;
            assert_eq!(redeemed.status, 200, "{}", redeemed.text);
        }
        10
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_idempotency_key_gives_one_response_and_one_award() {
    let race = Race::new().await;
    race.run(10, async |player| {
        let token = race.nodes[0].issue_token(player, "watch_ad").await;
        let (key, body) =
            (laurel::crypto::sha256_hex(&[token.as_bytes()]), json!({ "antiSpamToken": token }));
        let answers = race.send_at_once(4, player, FINALIZE, &[("idempotency-key", &key)], &body).await;
        assert_eq!(outcomes(&answers), [((200, ""), 4)].into());
        let texts: HashSet<&str> = answers.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(texts.len(), 1, "{texts:#?}");
        let first = answers.iter().filter(|it| it.header("idempotent-replayed").is_empty());
        assert_eq!(first.count(), 1);
        10
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_idempotency_key_gives_one_proven_token() {
    let race = Race::new().await;
    race.run(10, async |player| {
        let token = race.nodes[0].issue_token(player, "watch_ad").await;
        let (key, body) =
            (laurel::crypto::sha256_hex(&[token.as_bytes()]), json!({ "antiSpamToken": token }));
        let headers = [("idempotency-key", key.as_str())];
        let answers = race.send_at_once(4, player, "/api/v1/action-tokens", &headers, &body).await;
        assert_eq!(outcomes(&answers), [((201, ""), 4)].into());
        let texts: HashSet<&str> = answers.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(texts.len(), 1, "{texts:#?}");
        let first = answers.iter().filter(|it| it.header("idempotent-replayed").is_empty());
        assert_eq!(first.count(), 1);
        let body = json!({ "actionToken": answers[0].body["actionToken"] });
        assert_one_wins(&race.send_at_once(2, player, "/api/v1/scores", &[], &body).await, USED);
        10
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daily_cap_of_one_holds_with_two_tokens() {
    let race = Race::new().await;
    race.run(1, async |player| {
        let today = async || race.nodes[0].app.store.now_us().await.unwrap() / 86_400_000_000;
        let day = today().await;
        let tokens = [
            race.nodes[0].issue_token(player, "daily_bonus").await,
            race.nodes[1].issue_token(player, "daily_bonus").await,
        ];
        let attempts = [0, 1].map(|node| race.nodes[node].finalize(player, &tokens[node], Value::Null));
        let answers = join_all(attempts).await;
        let awards = answers.iter().filter(|it| it.status == 200).count();
        // Over midnight in UTC, each of two days has its award.
        if today().await == day {
            assert_one_wins(&answers, (429, "ACTION_LIMIT_REACHED"));
        }
        5 * awards as u64
    })
    .await;
}
