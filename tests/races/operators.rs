//! Admin calls race against awards of the same users.

use laurel::admin::{Adjustment, Decision, Restriction, adjust, find_user, restrict, void};
use laurel::error::{Error, Refusal};
use serde_json::Value;
use uuid::Uuid;

use super::rounds::{Race, outcomes};
use crate::harness::{Player, TestResponse};

fn decision() -> Decision {
    Decision { actor: "test".into(), host: None, reason: "a race".into() }
}

async fn set_restriction(race: &Race, player: &Player, restriction: Restriction) {
    restrict(&race.nodes[1].app.admin, player.identity.user, restriction, None, &decision()).await.unwrap();
}

/// Makes three awards, one after another, while an admin changes a restriction.
async fn award_during(race: &Race, player: &Player, restriction: Restriction) -> Vec<TestResponse> {
    let mut tokens = Vec::new();
    for node in [0, 1, 0] {
        tokens.push(race.nodes[node].issue_token(player, "watch_ad").await);
    }
    let play = async {
        let mut answers = Vec::new();
        for token in &tokens {
            answers.push(race.nodes[0].finalize(player, token, Value::Null).await);
        }
        answers
    };
    tokio::join!(play, set_restriction(race, player, restriction)).0
}

#[tokio::test(flavor = "multi_thread")]
async fn an_award_after_a_ban_is_refused() {
    let race = Race::new().await;
    race.run(10, async |player| {
        let answers = award_during(&race, player, Restriction::Ban).await;
        let awards = answers.iter().take_while(|answer| answer.status == 200).count();
        answers[awards..].iter().for_each(|answer| answer.assert_refused(403, "FORBIDDEN"));
        let totals = race.nodes[0].app.store.totals(&[player.identity.user]).await.unwrap()[0];
        assert_eq!(totals.board, None);
        set_restriction(&race, player, Restriction::Unban).await;
        10 * awards as u64
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_award_and_an_adjustment_both_count() {
    let race = Race::new().await;
    race.run(10, async |player| {
        let token = race.nodes[0].issue_token(player, "watch_ad").await;
        let app = &race.nodes[1].app;
        let user = find_user(&app.admin, &player.identity.number.to_string()).await.unwrap();
        let decision = decision();
        let (answer, adjusted) = tokio::join!(
            race.nodes[0].finalize(player, &token, Value::Null),
            adjust(&app.admin, &user, 5, None, &decision),
        );
        let (score, adjusted) = (answer.body["newScore"].as_u64().unwrap(), adjusted.unwrap());
        assert!(score == adjusted.after + 10 || adjusted.after == score + 5, "{score} {adjusted:?}");
        15
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn awards_before_and_after_an_approval_count() {
    let race = Race::new().await;
    race.run(10, async |player| {
        set_restriction(&race, player, Restriction::Quarantine).await;
        let answers = award_during(&race, player, Restriction::Approve).await;
        assert_eq!(outcomes(&answers), [((200, ""), 3)].into());
        30
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_removes_only_earlier_awards() {
    let race = Race::new().await;
    race.run(10, async |player| {
        let app = &race.nodes[1].app;
        let user = find_user(&app.admin, &player.identity.number.to_string()).await.unwrap();
        set_restriction(&race, player, Restriction::Quarantine).await;
        let tokens = [
            race.nodes[0].issue_token(player, "watch_ad").await,
            race.nodes[0].issue_token(player, "watch_ad").await,
        ];
        let play = async {
            for token in &tokens {
                assert_eq!(race.nodes[0].finalize(player, token, Value::Null).await.status, 200);
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

/// The event of an adjustment with both totals; `None` if it was refused.
fn event(result: Result<Adjustment, Error>) -> Option<Adjustment> {
    match result {
        Ok(adjustment) => Some(adjustment),
        Err(Error::Refused(Refusal::Validation(_))) => None,
        Err(error) => panic!("{error:?}"),
    }
}

/// The order decides whether the adjustment is refused. In either case it runs once, and every repetition gets the same response.
#[tokio::test(flavor = "multi_thread")]
async fn an_adjustment_runs_once_under_one_key() {
    let race = Race::new().await;
    let apps = [&race.nodes[0].app, &race.nodes[1].app];
    race.run(10, async |player| {
        let user = find_user(&apps[0].admin, &player.identity.number.to_string()).await.unwrap();
        let decision = decision();
        adjust(&apps[0].admin, &user, 45, None, &decision).await.unwrap();
        let (key, other) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
        let adjust_with = async |node: usize, key: &str, points| {
            event(adjust(&apps[node].admin, &user, points, Some(key), &decision).await)
        };
        let (first, second, third, other_key) = tokio::join!(
            adjust_with(0, &key, -50),
            adjust_with(1, &key, -50),
            adjust_with(0, &key, -50),
            adjust_with(1, &other, 10),
        );
        assert!(first == second && second == third, "{first:?} {second:?} {third:?}");
        assert!(other_key.is_some());
        let total = async || apps[0].store.totals(&[user.id]).await.unwrap()[0].own.unwrap_or(0);
        assert_eq!(total().await, if first.is_some() { 5 } else { 55 });
        // It would succeed now; a repetition still gets the first response.
        adjust(&apps[1].admin, &user, 100, None, &decision).await.unwrap();
        let before = total().await;
        assert_eq!((adjust_with(1, &key, -50).await, total().await), (first, before));
        let sql = "SELECT detail ? 'after', detail ? 'refused' FROM admin_audit WHERE idempotency_key = $1";
        let (has_total, is_refused): (bool, bool) =
            sqlx::query_as(sql).bind(&key).fetch_one(&apps[0].database).await.unwrap();
        assert_eq!(
            (has_total, is_refused),
            (first.is_some(), first.is_none()),
            "the audit row has the result"
        );
        adjust(&apps[0].admin, &user, -(before as i64), None, &decision).await.unwrap();
        0
    })
    .await;
}
