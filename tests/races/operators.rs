//! Operators, raced against the awards of those whom they decide about.

use laurel::admin::{Decision, Restriction, adjust, find_user, restrict, void};
use serde_json::Value;

use super::track::{Track, outcomes};
use crate::harness::{Answer, Player};

fn decision() -> Decision {
    Decision { actor: "test".into(), reason: "a race".into() }
}

async fn decide(track: &Track, player: &Player, restriction: Restriction) {
    restrict(&track.nodes[1].app, player.identity.user, restriction, &decision()).await.unwrap();
}

/// Wins one award after the other, in the midst of which something is decided.
async fn play_through(track: &Track, player: &Player, restriction: Restriction) -> Vec<Answer> {
    let mut tokens = Vec::new();
    for node in [0, 1, 0] {
        tokens.push(track.nodes[node].token(player, "watch_ad").await);
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
async fn an_award_comes_before_a_ban_or_is_refused() {
    let track = Track::new().await;
    track
        .run(100, async |player| {
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
        .run(100, async |player| {
            let token = track.nodes[0].token(player, "watch_ad").await;
            let app = &track.nodes[1].app;
            let user = find_user(app, &player.identity.number.to_string()).await.unwrap();
            let decision = decision();
            let (answer, adjusted) = tokio::join!(
                track.nodes[0].finalize(player, &token, Value::Null),
                adjust(app, &user, 5, None, &decision),
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
            let answers = play_through(&track, player, Restriction::Confirm).await;
            assert_eq!(outcomes(&answers), [((200, ""), 3)].into());
            30
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_won_before_a_void_is_lost_and_what_is_won_after_it_stays() {
    let track = Track::new().await;
    track
        .run(100, async |player| {
            let app = &track.nodes[1].app;
            let user = find_user(app, &player.identity.number.to_string()).await.unwrap();
            decide(&track, player, Restriction::SetAside).await;
            let tokens = [
                track.nodes[0].token(player, "watch_ad").await,
                track.nodes[0].token(player, "watch_ad").await,
            ];
            let play = async {
                for token in &tokens {
                    assert_eq!(track.nodes[0].finalize(player, token, Value::Null).await.status, 200);
                }
            };
            let decision = decision();
            let ((), voided) = tokio::join!(play, void(app, user.id, &decision));
            let voided = voided.unwrap().unwrap();
            let after = app.store.totals(&[user.id]).await.unwrap()[0].own.unwrap_or(0);
            assert_eq!(after - voided.after, 20 - (voided.before - voided.after));
            after - voided.after
        })
        .await;
}
