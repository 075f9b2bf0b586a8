//! Sends the examples of the document, as the documentation page does.

use super::driver::{Driver, Operation, Request};
use crate::harness::TestStores;
use crate::http::admin::create_admin;
use crate::http::callbacks::start_ad_network;

/// Valid examples that a node refuses, because their user, dead letter, period or token does not exist: operation, status and code.
const REFUSED: [(&str, u16, &str); 18] = [
    ("updateScore", 401, "INVALID_TOKEN"),
    ("finalizeAction", 401, "INVALID_TOKEN"),
    ("redeemActionToken", 401, "INVALID_TOKEN"),
    // The catalogue of this node has no `admob` action.
    ("creditAd", 404, "NOT_FOUND"),
    // An unknown session is an error of Engine.IO, without a code.
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
    ("closePeriod", 404, "PERIOD_NOT_FOUND"),
    ("holdPeriod", 404, "PERIOD_NOT_FOUND"),
    ("releasePeriod", 404, "PERIOD_NOT_FOUND"),
];

#[tokio::test]
async fn every_example_is_a_valid_request() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = create_admin(&node).await;
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
        let expected = refused.map_or_else(|| success_status(&operation), |(_, status, _)| *status);
        let response = driver.call(&node, id, request, expected).await;
        let code = refused.map_or("", |(.., code)| code);
        assert_eq!(response.code(), code, "{id}: {}", response.text);
    }
    // Only the signature of the example of an ad callback is invalid.
    let ads = start_ad_network().await;
    let callback = driver.operations().into_iter().find(|it| it.id == "creditAd").unwrap();
    let response = driver.call(&ads.nodes[0], "creditAd", Request::example(&callback), 400).await;
    assert_eq!(response.fields(), ["signature"]);
}

/// The status of a successful response.
fn success_status(operation: &Operation) -> u16 {
    let responses = operation.definition["responses"].as_object().unwrap();
    let statuses: Vec<u16> = responses.keys().map(|status| status.parse().unwrap()).collect();
    statuses.iter().copied().find(|status| (200..300).contains(status)).unwrap_or(statuses[0])
}
