//! Each example of the document, sent to a node as the documentation page sends it.

use super::driver::{Driver, Operation, Request};
use crate::harness::World;
use crate::http::admin::admin;
use crate::http::callbacks::ads;

/// Examples of the right shape that a node refuses: they name a user, a letter or a token that nobody has.
const REFUSED: [(&str, u16, &str); 15] = [
    ("updateScore", 401, "INVALID_TOKEN"),
    ("finalizeAction", 401, "INVALID_TOKEN"),
    ("redeemActionToken", 401, "INVALID_TOKEN"),
    // This node's catalogue has no ad.
    ("creditAd", 404, "NOT_FOUND"),
    // In Engine.IO's own words: an unknown session.
    ("sendSocketIo", 400, ""),
    ("reportUser", 404, "USER_NOT_FOUND"),
    ("banUser", 404, "USER_NOT_FOUND"),
    ("unbanUser", 404, "USER_NOT_FOUND"),
    ("quarantineUser", 404, "USER_NOT_FOUND"),
    ("approveUser", 404, "USER_NOT_FOUND"),
    ("voidUser", 404, "USER_NOT_FOUND"),
    ("adjustUser", 404, "USER_NOT_FOUND"),
    ("retryDeadLetter", 404, "NOT_FOUND"),
    ("discardDeadLetter", 404, "NOT_FOUND"),
    ("getHistory", 404, "USER_NOT_FOUND"),
];

#[tokio::test]
async fn every_example_is_well_formed() {
    let world = World::new().await;
    let node = world.node().await;
    let root = admin(&node).await;
    let mut driver = Driver::new();
    for operation in driver.operations() {
        let id = operation.id.as_str();
        let mut request = Request::example(&operation);
        if operation.needs_login() {
            request = request.login(&root);
        }
        if id == "openWebSocket" {
            request = request.handshake();
        }
        driver.check_request(&operation, &request);
        let refused = REFUSED.iter().find(|(name, ..)| *name == id);
        let expected = refused.map_or_else(|| success(&operation), |(_, status, _)| *status);
        let answer = driver.call(&node, id, request, expected).await;
        let code = refused.map_or("", |(.., code)| code);
        assert_eq!(answer.code(), code, "{id}: {}", answer.text);
    }
    // Of all that is wrong with the ad, only the signature is left.
    let ads = ads().await;
    let callback = driver.operations().into_iter().find(|it| it.id == "creditAd").unwrap();
    let answer = driver.call(&ads.nodes[0], "creditAd", Request::example(&callback), 400).await;
    assert_eq!(answer.fields(), ["signature"]);
}

fn success(operation: &Operation) -> u16 {
    let responses = operation.about["responses"].as_object().unwrap();
    let statuses: Vec<u16> = responses.keys().map(|status| status.parse().unwrap()).collect();
    statuses.iter().copied().find(|status| (200..300).contains(status)).unwrap_or(statuses[0])
}
