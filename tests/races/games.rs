//! Requests race for one game token, and against the end of the game.

use serde_json::{Value, json};

use super::track::{Track, USED, assert_one_wins};
use crate::harness::{Player, TestResponse};

const UPDATE: &str = "/api/score/update";

fn update(token: &str) -> Value {
    json!({ "actionToken": token, "actionType": "watch_ad", "points": 10 })
}

async fn session(track: &Track, player: &Player) -> TestResponse {
    let bearer = format!("Bearer {}", player.token);
    let headers = [("authorization", bearer.as_str())];
    track.nodes[1].send(reqwest::Method::GET, "/api/game/session", &headers, Vec::new()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_game_token_is_redeemed_once_and_gives_one_next() {
    let track = Track::new().await;
    track
        .run(10, async |player| {
            let (_, token) = track.start(player).await;
            let answers = track.attempts(4, player, UPDATE, &[], &update(&token)).await;
            assert_one_wins(&answers, USED);
            let won = answers.iter().find(|it| it.status == 200).unwrap();
            let kept = session(&track, player).await;
            assert_eq!(kept.body["data"]["actionToken"], won.body["data"]["newActionToken"]);
            10
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_after_the_games_end_is_refused() {
    let track = Track::new().await;
    track
        .run(10, async |player| {
            let (_, token) = track.start(player).await;
            let (body, nothing) = (update(&token), json!({}));
            let (updated, ended) = tokio::join!(
                track.nodes[0].post(UPDATE, &player.token, &body),
                track.nodes[1].post("/api/game/end", &player.token, &nothing),
            );
            assert_eq!(ended.status, 200, "{}", ended.text);
            let counted = ended.body["data"]["actionsCompleted"].as_u64().unwrap();
            match updated.status {
                200 => assert_eq!(
                    (counted, &updated.body["data"]["newScore"]),
                    (1, &ended.body["data"]["finalScore"])
                ),
                _ => {
                    updated.assert_refused(404, "TOKEN_NOT_FOUND");
                    assert_eq!(counted, 0);
                }
            }
            10 * counted
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_after_a_new_game_is_refused() {
    let track = Track::new().await;
    track
        .run(10, async |player| {
            let (_, token) = track.start(player).await;
            let body = update(&token);
            let (updated, (fresh, next)) =
                tokio::join!(track.nodes[0].post(UPDATE, &player.token, &body), track.start(player));
            if updated.status != 200 {
                updated.assert_refused(409, "SESSION_MISMATCH");
            }
            let kept = session(&track, player).await.body["data"].clone();
            assert_eq!((&kept["sessionId"], &kept["actionToken"]), (&json!(fresh), &json!(next)));
            assert_eq!(kept["actionsCompleted"], 0);
            10 * u64::from(updated.status == 200)
        })
        .await;
}
