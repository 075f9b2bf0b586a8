//! Bodies, headers and paths over real HTTP. Every refusal has the envelope and changes no key in Redis; no request gets a 500.

use std::collections::BTreeMap;

use laurel::http::MAX_BODY_BYTES;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::change::{apply, changes};
use super::{fuzz, runtime};
use crate::harness::{Player, RedisClient, TestNode, TestResponse, TestStores};

/// Every POST endpoint, with a body that has all its fields. None of the tokens exists.
const ENDPOINTS: [(&str, &str); 14] = [
    ("/api/auth/register", r#"{"username":"ada","email":"ada@example.com","password":"correct horse"}"#),
    ("/api/auth/login", r#"{"username":"nobody at all","password":"correct horse"}"#),
    ("/api/game/start", "{}"),
    ("/api/game/end", "{}"),
    (
        "/api/score/update",
        r#"{"actionToken":"act_a1b2c3d4e5f6g7h8i9j0","actionType":"watch_ad","points":10,"proof":{}}"#,
    ),
    ("/api/v1/actions/init", r#"{"actionType":"watch_ad"}"#),
    ("/api/v1/actions/finalize", r#"{"antiSpamToken":"a.b.c","proof":{"quizResult":"Paris"}}"#),
    (
        "/api/v1/action-tokens",
        r#"{"actionType":"demo_quiz","actionId":102,"antiSpamToken":"a.b.c","sessionId":"s","proof":{"nonce":"1"}}"#,
    ),
    (
        "/api/v1/scores",
        r#"{"actionToken":"act_a1b2c3d4e5f6g7h8i9j0","sessionId":"sess_a1b2c3d4e5f6g7h8i9j0"}"#,
    ),
    ("/api/admin/users/1/ban", r#"{"reason":"x"}"#),
    ("/api/admin/users/999999/quarantine", r#"{"reason":"x"}"#),
    ("/api/admin/users/nobody/approve", r#"{"reason":"x"}"#),
    ("/api/admin/users/999999/void", r#"{"reason":"x"}"#),
    ("/api/admin/users/999999/adjust", r#"{"points":-1,"reason":"x"}"#),
];

const FIELDS: [&str; 10] = [
    "username",
    "email",
    "password",
    "actionToken",
    "actionType",
    "points",
    "proof",
    "antiSpamToken",
    "sessionId",
    "reason",
];

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        prop::sample::select(vec!["watch_ad", "demo_quiz", "\0", "act_a1b2c3d4e5f6g7h8i9j0", "a.b.c"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(".{0,6}", inner, 0..4).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let field = || prop::sample::select(FIELDS.to_vec());
    let object = prop::collection::vec((field(), values()), 0..5).prop_map(|fields| {
        // Written as text, so that a field can occur twice.
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(",")).into_bytes()
    });
    let number = (field(), "-?[0-9]{1,400}(\\.[0-9]{1,30})?(e[+-]?[0-9]{1,6})?")
        .prop_map(|(name, number)| format!("{{\"{name}\":{number}}}").into_bytes());
    let deep = (field(), 1..8000_usize, any::<bool>()).prop_map(|(name, depth, closed)| {
        let end = if closed { "]".repeat(depth) } else { String::new() };
        format!("{{\"{name}\":{}{end}}}", "[".repeat(depth)).into_bytes()
    });
    prop_oneof![
        6 => object,
        2 => number,
        1 => deep,
        1 => prop::collection::vec("\\{\"[a-z]{1,3}\":", 1..2000).prop_map(|parts| parts.concat().into_bytes()),
        1 => values().prop_map(|value| value.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..100),
        1 => (16_000..=MAX_BODY_BYTES).prop_map(|length| vec![b' '; length]),
    ]
}

/// A node with an admin, and the content of Redis after the last accepted request.
struct Target {
    _stores: TestStores,
    node: TestNode,
    root: Player,
    redis: Mutex<(RedisClient, BTreeMap<String, String>)>,
}

impl Target {
    async fn open() -> Self {
        let stores = TestStores::new().await;
        // No token expires during the test, as that would change a key.
        let long_lived = |config: &mut laurel::config::Config| {
            config.tokens.anti_spam_seconds = 36_000;
            config.tokens.action_seconds = 36_000;
            config.tokens.action_interval_seconds = 0;
            config.tokens.session_seconds = 36_000;
        };
        let node = stores.start_node_with(long_lived).await;
        let root = node.register("root").await;
        let user = laurel::admin::find_user(&node.app.admin, "root").await.unwrap();
        let decision = laurel::admin::Decision { actor: "test".into(), host: None, reason: "a test".into() };
        laurel::admin::grant(&node.app.admin, &user, true, &decision).await.unwrap();
        let mut redis_client = stores.redis_client().await;
        let before = redis_client.dump().await;
        Self { _stores: stores, node, root, redis: Mutex::new((redis_client, before)) }
    }

    /// Checks a response: a refusal has the envelope, and Redis is unchanged.
    async fn check(&self, answer: TestResponse) -> TestCaseResult {
        let mut redis = self.redis.lock().await;
        if answer.status < 300 {
            self.node.wait_for_ledger().await;
            redis.1 = redis.0.dump().await;
            return Ok(());
        }
        let body = &answer.body;
        prop_assert!(!answer.code().is_empty() && body["data"].is_null(), "{}", answer.text);
        prop_assert_eq!(&body["statusCode"], answer.status);
        prop_assert!(body["metadata"]["timestamp"].is_string() && body["message"].is_string());
        prop_assert_eq!(redis.0.dump().await, redis.1.clone());
        Ok(())
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> TestCaseResult {
        let bearer = format!("Bearer {}", self.root.token);
        let mut all = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        all.extend(headers);
        self.check(self.node.send(Method::POST, path, &all, body).await).await
    }
}

#[test]
fn refused_bodies_change_nothing() {
    let runtime = runtime();
    let target = runtime.block_on(Target::open());
    fuzz(1.0, (0..ENDPOINTS.len(), bodies()), |(index, body)| {
        runtime.block_on(target.post(ENDPOINTS[index].0, &[], body))
    });
    let indices = (0..ENDPOINTS.len(), 0..ENDPOINTS.len());
    fuzz(1.0, (indices, changes()), |((index, other), changes)| {
        let (path, valid) = ENDPOINTS[index];
        let body = apply(valid.as_bytes(), ENDPOINTS[other].1.as_bytes(), &changes);
        // User 1 is the admin, who must not be banned.
        runtime.block_on(target.post(&path.replace("/1/", "/999999/"), &[], body))
    });
}

#[test]
fn invalid_idempotency_keys_are_refused() {
    let runtime = runtime();
    let target = runtime.block_on(Target::open());
    fuzz(0.5, prop_oneof!["[!-~]{0,80}", "[ -~\\t]{0,70}", "[!-~¡-ÿ]{0,66}"], |key| {
        // HTTP trims spaces at both ends.
        let received = key.trim_matches([' ', '\t']);
        let is_valid =
            (1..=64).contains(&received.len()) && received.bytes().all(|byte| byte.is_ascii_graphic());
        let expected = if is_valid { "INVALID_TOKEN" } else { "VALIDATION_ERROR" };
        for (path, body) in [ENDPOINTS[4], ENDPOINTS[6], ENDPOINTS[7], ENDPOINTS[8]] {
            let body: Value = serde_json::from_str(body).unwrap();
            let session = json!({});
            runtime.block_on(async {
                target.node.post("/api/game/start", &target.root.token, &session).await;
                let headers = [("idempotency-key", key.as_str())];
                let answer = target.node.post_with(path, &target.root.token, &headers, &body).await;
                prop_assert_eq!(answer.code(), expected, "{:?}", key);
                Ok(())
            })?;
        }
        Ok(())
    });
}

#[test]
fn any_user_in_a_path_gets_200_400_or_404() {
    let runtime = runtime();
    let target = runtime.block_on(Target::open());
    let bearer = format!("Bearer {}", target.root.token);
    let user = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..30),
        any::<i128>().prop_map(|number| number.to_string().into_bytes()),
        "[{(]?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}[})]?"
            .prop_map(String::into_bytes),
    ];
    fuzz(1.0, user, |user| {
        let escaped: String = user.iter().map(|byte| format!("%{byte:02X}")).collect();
        runtime.block_on(async {
            for path in ["/api/scoreboard/user/", "/api/admin/users/"] {
                let path = format!("{path}{escaped}");
                let answer =
                    target.node.send(Method::GET, &path, &[("authorization", &bearer)], Vec::new()).await;
                prop_assert!([200, 400, 404].contains(&answer.status), "{}", answer.text);
                target.check(answer).await?;
            }
            Ok(())
        })
    });
}
