use std::io::Write;
use std::process::{Output, Stdio};

use laurel::receipt::ReceiptVerifier;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use uuid::Uuid;

use crate::harness::{self, Answer, Player, Signer, TestNode, World, assert_verified};

const KEYS: &str = "/.well-known/laurel-receipts.json";
const NEW: &str = "another secret, another secret, another one";

/// A request of each door that awards; the receipt is the answer's, or in its data.
async fn permissions(node: &TestNode, player: &Player) -> [(&'static str, Value, &'static str); 3] {
    let anti_spam = node.token(player, "watch_ad").await;
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

fn receipt(answer: &Answer) -> &str {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let there = [&answer.body["receipt"], &answer.body["data"]["receipt"]];
    there.into_iter().find_map(Value::as_str).unwrap()
}

/// The keys as anybody can have them.
async fn published(node: &TestNode) -> NamedTempFile {
    let answer = node.get(KEYS).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "public, max-age=300"));
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(answer.text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn every_doors_receipt_says_what_the_ledger_says() {
    let world = World::new().await;
    let node = world.node().await;
    let ada = node.register("ada").await;
    let verifier = ReceiptVerifier::open(published(&node).await.path()).unwrap();
    for (path, body, action) in permissions(&node, &ada).await {
        let answer = node.post(path, &ada.token, &body).await;
        let it = verifier.receipt(receipt(&answer)).unwrap();
        assert_eq!((it.sub, it.act.as_str()), (ada.identity.user, action));
        node.written().await;
        let row: (Uuid, String, i64, i64, i64) = sqlx::query_as(
            "SELECT user_id, action_type, points_earned, score_after, hlc_us FROM score_history WHERE event_id = $1",
        )
        .bind(it.jti)
        .fetch_one(&node.app.database)
        .await
        .unwrap();
        let hlc_us = row.4;
        assert_eq!(row, (it.sub, it.act, it.points as i64, it.score as i64, hlc_us));
        assert_eq!(it.iat, hlc_us / 1_000_000);
        // Alone on the board, each award is a version; of several shards the merged board changes a moment later.
        let merged = node.app.store.shard_count() > 1;
        assert!(it.version == hlc_us || (merged && it.version > hlc_us), "{} {hlc_us}", it.version);
    }
    assert_verified(&world).await;
}

#[tokio::test]
async fn a_repeat_has_the_first_receipt_to_the_byte_even_after_a_rotation() {
    let world = World::new().await;
    let one = world.node().await;
    let ada = one.register("ada").await;
    let rotated = world
        .node_with(|it| {
            it.auth.previous_jwt_secrets = vec![it.auth.jwt_secret.clone()];
            it.auth.jwt_secret = NEW.to_owned().into();
        })
        .await;
    let verifier = ReceiptVerifier::open(published(&rotated).await.path()).unwrap();
    for (path, body, _) in permissions(&one, &ada).await {
        let keyed = [("idempotency-key", path)];
        let first = one.post_with(path, &ada.token, &keyed, &body).await;
        assert!(verifier.receipt(receipt(&first)).is_ok());
        for node in [&one, &rotated] {
            let again = node.post_with(path, &ada.token, &keyed, &body).await;
            assert_eq!(again.text, first.text);
            assert_eq!(again.header("idempotent-replayed"), "true");
        }
    }
    // What is new is signed by the new key, which the old node does not know.
    let newest = rotated.award(&ada, "watch_ad").await;
    assert!(verifier.receipt(receipt(&newest)).is_ok());
    assert!(one.app.receipts.verifier().receipt(receipt(&newest)).is_err());
}

#[tokio::test]
async fn an_answer_that_an_older_release_kept_comes_again_without_a_receipt() {
    let world = World::new().await;
    let (node, mut look) = (world.node().await, world.look().await);
    let ada = node.register("ada").await;
    for (path, body, _) in permissions(&node, &ada).await {
        let keyed = [("idempotency-key", "k")];
        let first = node.post_with(path, &ada.token, &keyed, &body).await;
        let kept: Vec<String> = look.ask("KEYS answer:*").await;
        let _: () = look.ask(&format!("LSET {} 10 gone", kept[0])).await;
        assert_eq!(look.ask::<u64>(&format!("LREM {} 1 gone", kept[0])).await, 1);
        let again = node.post_with(path, &ada.token, &keyed, &body).await;
        let without = first.text.replace(&format!(",\"receipt\":\"{}\"", receipt(&first)), "");
        assert_ne!(without, first.text);
        assert_eq!((again.status, again.text), (200, without));
        let _: u64 = look.ask(&format!("DEL {}", kept[0])).await;
    }
}

/// `laurel receipt verify` where there is no store, no settings and no data.
fn verify(words: &[&str], secret: &str, input: &str) -> (bool, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = harness::program();
    command.args(["receipt", "verify"]).args(words).current_dir(folder.path()).env("JWT_SECRET", secret);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing is made");
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[tokio::test]
async fn the_command_verifies_without_any_store() {
    let world = World::new().await;
    let node = world.node().await;
    let ada = node.register("ada").await;
    let (one, two) = (node.award(&ada, "watch_ad").await, node.award(&ada, "watch_ad").await);
    let (one, two) = (receipt(&one), receipt(&two));
    let file = published(&node).await;
    let keys = file.path().to_str().unwrap();
    let secret = world.config.auth.jwt_secret.expose();

    let (genuine, said, _) = verify(&["--keys", keys, one], "", "");
    assert!(
        genuine && said.contains(&format!("user {} action watch_ad points 10 score 10", ada.identity.user))
    );
    let (genuine, said, _) = verify(&[], secret, &format!("{one}\n\n{two}\n"));
    assert!(genuine && said.lines().count() == 2, "{said}");

    let forged = Signer::new(laurel::keys::Algorithm::EdDSA, "theirs");
    let mut header = forged.header.clone();
    header.typ = Some("laurel-receipt+jwt".into());
    let forged = forged.sign_as(&header, &json!({}));
    let (genuine, said, why) =
        verify(&["--keys", keys], "", &format!("{forged}\n{}\n{two}\n", &one[..one.len() - 9]));
    assert!(!genuine && said.lines().count() == 1, "{said}");
    assert!(
        why.contains("receipt 1: its key \"theirs\" is not among")
            && why.contains("receipt 2: its signature"),
        "{why}"
    );
    assert!(verify(&[one], NEW, "").2.contains("is not among these keys"));
    assert!(verify(&[one], "", "").2.contains("--keys"));
    assert!(verify(&["--keys", "nowhere", one], "", "").2.contains("nowhere"));
    assert!(verify(&["--keys", keys], "", "\n").2.contains("no receipt was given"));
}
