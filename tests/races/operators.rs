//! Admin calls race against awards of the same users.

use laurel::admin::{Adjustment, Decision, Restriction, adjust, find_user, restrict, void};
use laurel::error::{Error, Refusal};
use serde_json::Value;
use uuid::Uuid;

use super::track::{Track, outcomes};
use crate::harness::{Player, TestResponse};

fn decision() -> Decision {
    Decision { actor: "test".into(), host: None, reason: "a race".into() }
}

async fn decide(track: &Track, player: &Player, restriction: Restriction) {
    restrict(&track.nodes[1].app.admin, player.identity.user, restriction, None, &decision()).await.unwrap();
}

/// Wins one award after the other, in the midst of which something is decided.
async fn play_through(track: &Track, player: &Player, restriction: Restriction) -> Vec<TestResponse> {
    let mut tokens = Vec::new();
    for node in [0, 1, 0] {
        tokens.push(track.nodes[node].issue_token(player, "watch_ad").await);
    }
    let play = async {
        let mut answers = Vec::new();
        for token in &tokens {
            answers.push(track.nodes[0].finalize(player, token, Value::Null).await);
        }
        answers
    };
    tokio::join!(play, decide(track, player, restriction)).0
}

#[tokio::test(flavor = "multi_thread")]
async fn an_award_after_a_ban_is_refused() {
    let track = Track::new().await;
    track
        .run(10, async |player| {
            let answers = play_through(&track, player, Restriction::Ban).await;
            let won = answers.iter().take_while(|it| it.status == 200).count();
            answers[won..].iter().for_each(|it| it.assert_refused(403, "FORBIDDEN"));
            let banned = track.nodes[0].app.store.totals(&[player.identity.user]).await.unwrap()[0];
            assert_eq!(banned.board, None);
            decide(&track, player, Restriction::Unban).await;
            10 * won as u64
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_award_and_an_adjustment_both_count() {
    let track = Track::new().await;
    track
        .run(10, async |player| {
            let token = track.nodes[0].issue_token(player, "watch_ad").await;
            let app = &track.nodes[1].app;
            let user = find_user(&app.admin, &player.identity.number.to_string()).await.unwrap();
            let decision = decision();
            let (answer, adjusted) = tokio::join!(
                track.nodes[0].finalize(player, &token, Value::Null),
                adjust(&app.admin, &user, 5, None, &decision),
            );
            let (score, adjusted) = (answer.body["newScore"].as_u64().unwrap(), adjusted.unwrap());
            assert!(score == adjusted.after + 10 || adjusted.after == score + 5, "{score} {adjusted:?}");
            15
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn awards_around_an_approval_are_shown() {
    let track = Track::new().await;
    track
        .run(10, async |player| {
            decide(&track, player, Restriction::Quarantine).await;
            let answers = play_through(&track, player, Restriction::Approve).await;
            assert_eq!(outcomes(&answers), [((200, ""), 3)].into());
            30
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_removes_earlier_awards_only() {
    let track = Track::new().await;
    track
        .run(10, async |player| {
            let app = &track.nodes[1].app;
            let user = find_user(&app.admin, &player.identity.number.to_string()).await.unwrap();
            decide(&track, player, Restriction::Quarantine).await;
            let tokens = [
                track.nodes[0].issue_token(player, "watch_ad").await,
                track.nodes[0].issue_token(player, "watch_ad").await,
            ];
            let play = async {
                for token in &tokens {
                    assert_eq!(track.nodes[0].finalize(player, token, Value::Null).await.status, 200);
                }
            };
            let decision = decision();
            let ((), voided) = tokio::join!(play, void(&app.admin, user.id, None, &decision));
            let voided = voided.unwrap().unwrap();
            let after = app.store.totals(&[user.id]).await.unwrap()[0].own.unwrap_or(0);
            assert_eq!(after - voided.after, 20 - (voided.before - voided.after));
            after - voided.after
        })
        .await;
}

/// What came of an adjustment: the event with both totals, or nothing where it was refused.
fn outcome(adjusted: Result<Adjustment, Error>) -> Option<Adjustment> {
    match adjusted {
        Ok(changed) => Some(changed),
        Err(Error::Refused(Refusal::Validation(_))) => None,
        Err(error) => panic!("{error:?}"),
    }
}

/// Whether it is done depends on what comes first; that all who repeat it hear the same does not, nor that it is done once.
#[tokio::test(flavor = "multi_thread")]
async fn an_adjustment_runs_once_under_one_key() {
    let track = Track::new().await;
    let apps = [&track.nodes[0].app, &track.nodes[1].app];
    track
        .run(10, async |player| {
            let user = find_user(&apps[0].admin, &player.identity.number.to_string()).await.unwrap();
            let decision = decision();
            adjust(&apps[0].admin, &user, 45, None, &decision).await.unwrap();
            let (key, other) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
            let under = async |node: usize, key: &str, points| {
                outcome(adjust(&apps[node].admin, &user, points, Some(key), &decision).await)
            };
            let (one, two, three, more) = tokio::join!(
                under(0, &key, -50),
                under(1, &key, -50),
                under(0, &key, -50),
                under(1, &other, 10),
            );
            assert!(one == two && two == three, "{one:?} {two:?} {three:?}");
            assert!(more.is_some());
            let total = async || apps[0].store.totals(&[user.id]).await.unwrap()[0].own.unwrap_or(0);
            assert_eq!(total().await, if one.is_some() { 5 } else { 55 });
            // There is room for it by now; it is answered as before all the same.
            adjust(&apps[1].admin, &user, 100, None, &decision).await.unwrap();
            let before = total().await;
            assert_eq!((under(1, &key, -50).await, total().await), (one, before));
            let sql =
                "SELECT detail ? 'after', detail ? 'refused' FROM admin_audit WHERE idempotency_key = $1";
            let told: (bool, bool) =
                sqlx::query_as(sql).bind(&key).fetch_one(&apps[0].database).await.unwrap();
            assert_eq!(told, (one.is_some(), one.is_none()), "the audit says what came of it");
            adjust(&apps[0].admin, &user, -(before as i64), None, &decision).await.unwrap();
            0
        })
        .await;
}
