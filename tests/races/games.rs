//! Requests race for one game token, and against the end of the game.

use serde_json::{Value, json};

use super::rounds::{Race, USED, assert_one_wins};
use crate::harness::{Player, TestResponse};

const UPDATE: &str = "/api/score/update";

fn update(token: &str) -> Value {
    json!({ "actionToken": token, "actionType": "watch_ad", "points": 10 })
}

async fn get_session(race: &Race, player: &Player) -> TestResponse {
    let bearer = format!("Bearer {}", player.token);
    let headers = [("authorization", bearer.as_str())];
    race.nodes[1].send(reqwest::Method::GET, "/api/game/session", &headers, Vec::new()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_game_token_is_redeemed_once_and_gives_one_next_token() {
    let race = Race::new().await;
    race.run(10, async |player| {
        let (_, token) = race.start(player).await;
        let answers = race.send_at_once(4, player, UPDATE, &[], &update(&token)).await;
        assert_one_wins(&answers, USED);
        let updated = answers.iter().find(|answer| answer.status == 200).unwrap();
        let session = get_session(&race, player).await;
        assert_eq!(session.body["data"]["actionToken"], updated.body["data"]["newActionToken"]);
        10
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_after_the_end_of_the_game_is_refused() {
    let race = Race::new().await;
    race.run(10, async |player| {
        let (_, token) = race.start(player).await;
        let (body, empty) = (update(&token), json!({}));
        let (updated, ended) = tokio::join!(
            race.nodes[0].post(UPDATE, &player.token, &body),
            race.nodes[1].post("/api/game/end", &player.token, &empty),
        );
        assert_eq!(ended.status, 200, "{}", ended.text);
        let actions = ended.body["data"]["actionsCompleted"].as_u64().unwrap();
        match updated.status {
            200 => assert_eq!(
                (actions, &updated.body["data"]["newScore"]),
                (1, &ended.body["data"]["finalScore"])
            ),
            _ => {
                updated.assert_refused(404, "TOKEN_NOT_FOUND");
                assert_eq!(actions, 0);
            }
        }
        10 * actions
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_after_the_start_of_a_new_game_is_refused() {
    let race = Race::new().await;
    race.run(10, async |player| {
        let (_, token) = race.start(player).await;
        let body = update(&token);
        let (updated, (new_id, next)) =
            tokio::join!(race.nodes[0].post(UPDATE, &player.token, &body), race.start(player));
        if updated.status != 200 {
            updated.assert_refused(409, "SESSION_MISMATCH");
        }
        let session = get_session(&race, player).await.body["data"].clone();
        assert_eq!((&session["sessionId"], &session["actionToken"]), (&json!(new_id), &json!(next)));
        assert_eq!(session["actionsCompleted"], 0);
        10 * u64::from(updated.status == 200)
    })
    .await;
}
