//! Signed receipts of awards, their public keys, and `laurel receipt verify`.

use std::io::Write;
use std::process::{Output, Stdio};

use laurel::receipt::ReceiptVerifier;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use uuid::Uuid;

use crate::harness::{self, Player, Signer, TestNode, TestResponse, TestStores, assert_ledger_matches};

const KEYS_PATH: &str = "/.well-known/laurel-receipts.json";
const NEW_SECRET: &str = "another secret, another secret, another one";

/// A request for an award in each API: path, body and action type.
async fn requests(node: &TestNode, player: &Player) -> [(&'static str, Value, &'static str); 3] {
    let anti_spam = node.issue_token(player, "watch_ad").await;
    let proven = node.prove(player, &json!({ "actionType": "solve_puzzle" })).await;
    let game = node.start_game(player).await;
    let update = json!({ "actionToken": game.body["data"]["actionToken"], "actionType": "complete_level", "points": 20 });
    [
        ("/api/v1/actions/finalize", json!({ "antiSpamToken": anti_spam }), "watch_ad"),
        ("/api/v1/scores", json!({ "actionToken": proven.body["actionToken"] }), "solve_puzzle"),
        ("/api/score/update", update, "complete_level"),
    ]
}

fn receipt(response: &TestResponse) -> &str {
    assert_eq!(response.status, 200, "{}", response.text);
    let fields = [&response.body["receipt"], &response.body["data"]["receipt"]];
    fields.into_iter().find_map(Value::as_str).unwrap()
}

/// Downloads the published keys.
async fn download_keys(node: &TestNode) -> NamedTempFile {
    let response = node.get(KEYS_PATH).await;
    assert_eq!((response.status, response.header("cache-control")), (200, "public, max-age=300"));
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(response.text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn receipts_of_all_apis_match_the_ledger() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let verifier = ReceiptVerifier::open(download_keys(&node).await.path()).unwrap();
    for (path, body, action) in requests(&node, &ada).await {
        let response = node.post(path, &ada.token, &body).await;
        let claims = verifier.receipt(receipt(&response)).unwrap();
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
        // With one shard, the board's version is the award's HLC. With several, the merged board gets a later one.
        let is_merged = node.app.store.shard_count() > 1;
        assert!(
            claims.version == hlc_us || (is_merged && claims.version > hlc_us),
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
            config.auth.jwt_secret = NEW_SECRET.to_owned().into();
        })
        .await;
    let verifier = ReceiptVerifier::open(download_keys(&rotated).await.path()).unwrap();
    for (path, body, _) in requests(&one, &ada).await {
        let headers = [("idempotency-key", path)];
        let first = one.post_with(path, &ada.token, &headers, &body).await;
        assert!(verifier.receipt(receipt(&first)).is_ok());
        for node in [&one, &rotated] {
            let replay = node.post_with(path, &ada.token, &headers, &body).await;
            assert_eq!(replay.text, first.text);
            assert_eq!(replay.header("idempotent-replayed"), "true");
        }
    }
    // New receipts have the new key, which the old node does not trust.
    let award = rotated.award(&ada, "watch_ad").await;
    assert!(verifier.receipt(receipt(&award)).is_ok());
    assert!(one.app.receipts.verifier().receipt(receipt(&award)).is_err());
}

/// Runs `laurel receipt verify` without a store, settings or data.
fn verify(arguments: &[&str], secret: &str, input: &str) -> (bool, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = harness::laurel_binary();
    command.args(["receipt", "verify"]).args(arguments).current_dir(folder.path()).env("JWT_SECRET", secret);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "the command must write no file");
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[tokio::test]
async fn the_command_verifies_receipts_without_a_store() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let (first, second) = (node.award(&ada, "watch_ad").await, node.award(&ada, "watch_ad").await);
    let (first, second) = (receipt(&first), receipt(&second));
    let file = download_keys(&node).await;
    let keys = file.path().to_str().unwrap();
    let secret = stores.config.auth.jwt_secret.expose();

    let (is_genuine, output, _) = verify(&["--keys", keys, first], "", "");
    assert!(
        is_genuine
            && output.contains(&format!("user {} action watch_ad points 10 score 10", ada.identity.user))
    );
    let (is_genuine, output, _) = verify(&[], secret, &format!("{first}\n\n{second}\n"));
    assert!(is_genuine && output.lines().count() == 2, "{output}");

    let forged = Signer::new(laurel::keyring::Algorithm::EdDSA, "theirs");
    let mut header = forged.header.clone();
    header.typ = Some("laurel-receipt+jwt".into());
    let forged = forged.sign_as(&header, &json!({}));
    let (is_genuine, output, errors) =
        verify(&["--keys", keys], "", &format!("{forged}\n{}\n{second}\n", &first[..first.len() - 9]));
    assert!(!is_genuine && output.lines().count() == 1, "{output}");
    assert!(
        errors.contains("receipt 1: its key \"theirs\" is not among")
            && errors.contains("receipt 2: its signature"),
        "{errors}"
    );
    assert!(verify(&[first], NEW_SECRET, "").2.contains("is not among these keys"));
    assert!(verify(&[first], "", "").2.contains("--keys"));
    assert!(verify(&["--keys", "nowhere", first], "", "").2.contains("nowhere"));
    assert!(verify(&["--keys", keys], "", "\n").2.contains("no receipt was given"));
}
