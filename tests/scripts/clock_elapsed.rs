//! Spans of `elapsed` do not overlap, by a clock that the test sets.

use laurel::action::{Flow, Limits, ProofResult};
use laurel::store::{Issue, Redeem, ScriptRefusal};
use uuid::Uuid;

use super::clock::{midnight, stand, turned};
use super::{ANY, issue, redeem, user};

/// The three APIs end in the same script.
#[tokio::test]
async fn spans_of_elapsed_do_not_overlap_and_an_honest_pace_is_not_slowed() {
    let (stores, store) = turned().await;
    let start = midnight(&store).await;
    let limits = Limits { span_ms: 3000, ..ANY };
    let verdict = ProofResult { age_ms: (3000, 20_000), ..ProofResult::default() };
    let begin = async || {
        let id = Uuid::new_v4();
        let begun = store.issue(&Issue { limits: &limits, ..issue(user(1), id) }).await.unwrap().0;
        assert!(begun.is_ok(), "nobody waits for a token: {begun:?}");
        id.to_string()
    };
    let finish = async |id: &str| {
        let it = Redeem { limits: &limits, verdict: &verdict, flow: Flow::Actions, ..redeem(user(1), id) };
        match store.redeem(&it).await.unwrap().outcome {
            Ok(_) => 0,
            Err(ScriptRefusal::ActionLimited { wait_ms, .. }) => wait_ms,
            other => panic!("{other:?}"),
        }
    };
    stand(&stores, start);
    let mut ids = Vec::new();
    for _ in 0..9 {
        ids.push(begin().await);
    }
    // Each waits for the one before it; its token stays meanwhile.
    for (place, id) in ids.iter().enumerate().take(6) {
        stand(&stores, start + 3000 * (place as i64 + 1));
        assert_eq!(finish(id).await, 0);
        assert_eq!(finish(&ids[place + 1]).await, 3000);
    }
    // One after another.
    for _ in 0..3 {
        let at_ms = store.now_us().await.unwrap() / 1000;
        let id = begin().await;
        stand(&stores, at_ms + 3000);
        assert_eq!(finish(&id).await, 0);
    }
}
