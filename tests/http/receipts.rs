use std::io::Write;
use std::process::{Output, Stdio};

use laurel::receipt::ReceiptVerifier;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use uuid::Uuid;

use crate::harness::{self, Player, Signer, TestNode, TestResponse, TestStores, assert_ledger_matches};

const KEYS: &str = "/.well-known/laurel-receipts.json";
const NEW: &str = "another secret, another secret, another one";

/// One awarding request per API: path, body and action type.
async fn requests(node: &TestNode, player: &Player) -> [(&'static str, Value, &'static str); 3] {
    let anti_spam = node.issue_token(player, "watch_ad").await;
    let proven =
        node.post("/api/v1/action-tokens", &player.token, &json!({ "actionType": "solve_puzzle" })).await;
    let game = node.post("/api/game/start", &player.token, &json!({})).await;
    let update = json!({ "actionToken": game.body["data"]["actionToken"], "actionType": "complete_level", "points": 20 });
    [
        ("/api/v1/actions/finalize", json!({ "antiSpamToken": anti_spam }), "watch_ad"),
        ("/api/v1/scores", json!({ "actionToken": proven.body["actionToken"] }), "solve_puzzle"),
        ("/api/score/update", update, "complete_level"),
    ]
}

fn receipt(answer: &TestResponse) -> &str {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let fields = [&answer.body["receipt"], &answer.body["data"]["receipt"]];
    fields.into_iter().find_map(Value::as_str).unwrap()
}

/// Downloads the published keys.
async fn published(node: &TestNode) -> NamedTempFile {
    let answer = node.get(KEYS).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "public, max-age=300"));
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(answer.text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn receipts_of_all_apis_match_the_ledger() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let verifier = ReceiptVerifier::open(published(&node).await.path()).unwrap();
    for (path, body, action) in requests(&node, &ada).await {
        let answer = node.post(path, &ada.token, &body).await;
        let claims = verifier.receipt(receipt(&answer)).unwrap();
        assert_eq!((claims.sub, claims.act.as_str()), (ada.identity.user, action));
        node.wait_for_ledger().await;
        let row: (Uuid, String, i64, i64, i64) = sqlx::query_as(
            "SELECT user_id, action_type, points_earned, score_after, hlc_us FROM score_history WHERE event_id = $1",
        )
        .bind(claims.jti)
        .fetch_one(&node.app.database)
        .await
        .unwrap();
        let hlc_us = row.4;
        assert_eq!(row, (claims.sub, claims.act, claims.points as i64, claims.score as i64, hlc_us));
        assert_eq!(claims.iat, hlc_us / 1_000_000);
        // With one shard each award is a board version; with several shards the merged board changes a little later.
        let merged = node.app.store.shard_count() > 1;
        assert!(
            claims.version == hlc_us || (merged && claims.version > hlc_us),
            "{} {hlc_us}",
            claims.version
        );
    }
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_replay_has_the_same_receipt_after_a_key_rotation() {
    let stores = TestStores::new().await;
    let one = stores.start_node().await;
    let ada = one.register("ada").await;
    let rotated = stores
        .start_node_with(|config| {
            config.auth.previous_jwt_secrets = vec![config.auth.jwt_secret.clone()];
            config.auth.jwt_secret = NEW.to_owned().into();
        })
        .await;
    let verifier = ReceiptVerifier::open(published(&rotated).await.path()).unwrap();
    for (path, body, _) in requests(&one, &ada).await {
        let keyed = [("idempotency-key", path)];
        let first = one.post_with(path, &ada.token, &keyed, &body).await;
        assert!(verifier.receipt(receipt(&first)).is_ok());
        for node in [&one, &rotated] {
            let again = node.post_with(path, &ada.token, &keyed, &body).await;
            assert_eq!(again.text, first.text);
            assert_eq!(again.header("idempotent-replayed"), "true");
        }
    }
    // New receipts are signed with the new key, which the old node does not have.
    let newest = rotated.award(&ada, "watch_ad").await;
    assert!(verifier.receipt(receipt(&newest)).is_ok());
    assert!(one.app.receipts.verifier().receipt(receipt(&newest)).is_err());
}

/// Runs `laurel receipt verify` without a store, settings or data.
fn verify(words: &[&str], secret: &str, input: &str) -> (bool, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = harness::laurel_binary();
    command.args(["receipt", "verify"]).args(words).current_dir(folder.path()).env("JWT_SECRET", secret);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "no file is written");
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[tokio::test]
async fn the_command_verifies_without_a_store() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let (one, two) = (node.award(&ada, "watch_ad").await, node.award(&ada, "watch_ad").await);
    let (one, two) = (receipt(&one), receipt(&two));
    let file = published(&node).await;
    let keys = file.path().to_str().unwrap();
    let secret = stores.config.auth.jwt_secret.expose();

    let (genuine, output, _) = verify(&["--keys", keys, one], "", "");
    assert!(
        genuine && output.contains(&format!("user {} action watch_ad points 10 score 10", ada.identity.user))
    );
    let (genuine, output, _) = verify(&[], secret, &format!("{one}\n\n{two}\n"));
    assert!(genuine && output.lines().count() == 2, "{output}");

    let forged = Signer::new(laurel::keyring::Algorithm::EdDSA, "theirs");
    let mut header = forged.header.clone();
    header.typ = Some("laurel-receipt+jwt".into());
    let forged = forged.sign_as(&header, &json!({}));
    let (genuine, output, errors) =
        verify(&["--keys", keys], "", &format!("{forged}\n{}\n{two}\n", &one[..one.len() - 9]));
    assert!(!genuine && output.lines().count() == 1, "{output}");
    assert!(
        errors.contains("receipt 1: its key \"theirs\" is not among")
            && errors.contains("receipt 2: its signature"),
        "{errors}"
    );
    assert!(verify(&[one], NEW, "").2.contains("is not among these keys"));
    assert!(verify(&[one], "", "").2.contains("--keys"));
    assert!(verify(&["--keys", "nowhere", one], "", "").2.contains("nowhere"));
    assert!(verify(&["--keys", keys], "", "\n").2.contains("no receipt was given"));
}
