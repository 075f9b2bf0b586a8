//! Peculiarities of providers' tokens and key sets: fractions of seconds, many groups, new kinds of keys.

use laurel::account::identify;
use laurel::keyring::Algorithm;
use serde_json::{Value, json};

use crate::harness::{IdentityProvider, Signer, TestNode, TestResponse, TestStores, eventually};
use crate::live::clients::{ALL, Subscriber};

async fn try_token(node: &TestNode, token: &str) -> TestResponse {
    node.post("/api/v1/actions/init", token, &json!({ "actionType": "watch_ad" })).await
}

/// `time.time() + 60` has a fraction (RFC 7519, section 2).
#[tokio::test]
async fn fractional_times_never_extend_a_token() {
    let stores = TestStores::new().await;
    let provider = IdentityProvider::new(Algorithm::ES256);
    let node = provider.start_node(&stores).await;
    let now_s = stores.clock.now_s();
    let mut claims = provider.claims(&stores, "ada");
    // The leeway of `nbf` is five seconds.
    for (name, seconds, fraction, status) in [
        ("exp", 60, 0.5, 200),
        ("exp", 60, 0.999, 200),
        ("exp", -1, 0.999, 401),
        ("nbf", -60, 0.25, 200),
        ("nbf", 600, 0.25, 401),
        ("iat", -1, 0.75, 200),
    ] {
        let whole = std::mem::replace(&mut claims[name], json!((now_s + seconds) as f64 + fraction));
        let token = provider.signer.sign(&claims);
        assert_eq!(try_token(&node, &token).await.status, status, "{name} {seconds} {fraction}");
        if let (200, Ok(login)) = (status, identify(&node.app.accounts, &token).await) {
            let wanted = if name == "exp" { now_s + seconds } else { now_s + 600 };
            assert_eq!(login.expires_at_s, wanted, "{name} {seconds} {fraction}");
        }
        claims[name] = whole;
    }
}

/// A token of this length, with many groups as from a company's directory.
fn long_token(stores: &TestStores, provider: &IdentityProvider, bytes: usize) -> String {
    let mut claims = provider.claims(stores, "ada");
    let token = |claims: &Value| provider.signer.sign(claims);
    let plain = token(&claims).len();
    claims["groups"] = json!([""]);
    // Base64 encodes three bytes as four, so the length may differ by a few bytes.
    claims["groups"][0] = "g".repeat((bytes - plain - 40) * 3 / 4).into();
    while token(&claims).len() + 1 < bytes {
        claims["groups"][0] = format!("{}g", claims["groups"][0].as_str().unwrap()).into();
    }
    token(&claims)
}

#[tokio::test]
async fn long_logins_work_everywhere_and_too_long_ones_are_no_abuse() {
    let stores = TestStores::new().await;
    let provider = IdentityProvider::new(Algorithm::EdDSA);
    let node = provider.start_node(&stores).await;
    for bytes in [4_096, 4_100, 8_200, 11_000, 12 * 1024] {
        let long = long_token(&stores, &provider, bytes);
        assert!((bytes - 1..=bytes).contains(&long.len()), "{}", long.len());
        assert_eq!(try_token(&node, &long).await.status, 200, "{bytes}");
        for protocol in ALL {
            let mut subscriber = Subscriber::open(&node.base, protocol, &long).await;
            assert_eq!(subscriber.receive().await.unwrap().name, "connect_success", "{protocol:?} {bytes}");
        }
    }
    let signs = || {
        let text = node.app.metrics.text();
        let counts = text.lines().filter(|it| it.starts_with("laurel_abuse_signals_total"));
        counts.map(|it| it.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum::<u64>()
    };
    let before = signs();
    for bytes in [12 * 1024 + 4, 13_000, 14_000] {
        let refused = try_token(&node, &long_token(&stores, &provider, bytes)).await;
        refused.assert_refused(401, "INVALID_TOKEN");
        assert_eq!(refused.body["message"], "Invalid or expired access token");
        assert_eq!(refused.body["metadata"]["expected"], "an access token of at most 12288 bytes");
    }
    assert_eq!(signs(), before);
    try_token(&node, &"x".repeat(12 * 1024)).await.assert_refused(401, "INVALID_TOKEN");
    assert_eq!(signs(), before + 1, "a forged token still counts");
}

/// RFC 7517, section 5.
#[tokio::test]
async fn an_unsupported_key_does_not_block_rotation() {
    let stores = TestStores::new().await;
    let provider = IdentityProvider::new(Algorithm::RS256);
    let node = provider.start_node(&stores).await;
    let claims = provider.claims(&stores, "ada");
    let next = Signer::new(Algorithm::RS256, "next");
    let (by_old, by_next) = (provider.signer.sign(&claims), next.sign(&claims));
    assert_eq!(try_token(&node, &by_old).await.status, 200);
    let unserved = [
        json!({ "kty": "AKP", "alg": "ML-DSA-65", "kid": "pq", "pub": "AAAA" }),
        json!({ "kty": "EC", "crv": "P-384", "x": "AAAA", "y": "AAAA" }),
        Signer::new(Algorithm::HS256, "secret").jwk(),
        Value::Null,
    ];
    let keys: Vec<_> = unserved.into_iter().chain([next.jwk()]).collect();
    provider.publish_keys(&json!(keys));
    eventually("the new key", async || (try_token(&node, &by_next).await.status == 200).then_some(())).await;
    try_token(&node, &by_old).await.assert_refused(401, "INVALID_TOKEN");
    let restarted = provider.start_node(&stores).await;
    assert_eq!(try_token(&restarted, &by_next).await.status, 200);
}
