//! Operators, raced against the awards of those whom they decide about.

use laurel::admin::{Change, Decision, Restriction, adjust, find_user, restrict};
use serde_json::Value;

use super::track::Track;
use crate::harness::Player;

fn decision() -> Decision {
    Decision { actor: "test".into(), reason: "a race".into() }
}

async fn decide(track: &Track, player: &Player, restriction: Restriction) {
    restrict(&track.nodes[1].app, player.identity.user, restriction, &decision()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_award_comes_before_a_ban_or_is_refused() {
    let track = Track::new().await;
    track
        .run(100, async |player| {
            let token = track.nodes[0].token(player, "watch_ad").await;
            let (answer, ()) = tokio::join!(
                track.nodes[0].finalize(player, &token, Value::Null),
                decide(&track, player, Restriction::Ban),
            );
            let banned = track.nodes[0].app.store.totals(&[player.identity.user]).await.unwrap()[0];
            assert_eq!(banned.board, None);
            decide(&track, player, Restriction::Unban).await;
            if answer.status != 200 {
                answer.assert_refused(403, "FORBIDDEN");
            }
            10 * u64::from(answer.status == 200)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_award_and_an_adjustment_both_count() {
    let track = Track::new().await;
    track
        .run(100, async |player| {
            let token = track.nodes[0].token(player, "watch_ad").await;
            let app = &track.nodes[1].app;
            let user = find_user(app, &player.identity.number.to_string()).await.unwrap();
            let decision = decision();
            let (answer, adjusted) = tokio::join!(
                track.nodes[0].finalize(player, &token, Value::Null),
                adjust(app, &user, Change::By(5), app.clock.new_id(), &decision),
            );
            let (score, adjusted) = (answer.body["newScore"].as_u64().unwrap(), adjusted.unwrap());
            assert!(score == adjusted.after + 10 || adjusted.after == score + 5, "{score} {adjusted:?}");
            15
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_won_around_a_confirmation_is_shown() {
    let track = Track::new().await;
    track
        .run(100, async |player| {
            decide(&track, player, Restriction::SetAside).await;
            let token = track.nodes[0].token(player, "watch_ad").await;
            let (answer, ()) = tokio::join!(
                track.nodes[0].finalize(player, &token, Value::Null),
                decide(&track, player, Restriction::Confirm),
            );
            assert_eq!(answer.status, 200, "{}", answer.text);
            10
        })
        .await;
}
