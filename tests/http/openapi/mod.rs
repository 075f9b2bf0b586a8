//! Compares the OpenAPI document with the router and with the responses of a node.

mod clients;
pub mod driver;
mod examples;
mod flows;

use std::collections::BTreeSet;
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use self::driver::{Driver, Request};
use crate::harness::TestStores;

/// Operations that are refused only if the node fails.
const NEVER_REFUSED: [&str; 5] = ["getHealth", "getMetrics", "getReceiptKeys", "getOpenApi", "getAsyncApi"];

#[tokio::test]
async fn every_operation_responds_as_documented() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|config| {
            // Limits add their headers to responses.
            config.limits.updates_per_minute = 1000;
            config.limits.inits_per_minute = 1000;
            config.limits.starts_per_hour = 1000;
            config.limits.logins_per_minute = 1000;
            config.limits.registers_per_minute_per_ip = 1000;
        })
        .await;
    let mut driver = Driver::new();
    flows::auth(&mut driver, &node).await;
    flows::game(&mut driver, &node).await;
    flows::actions(&mut driver, &node).await;
    flows::callbacks(&mut driver, &node).await;
    flows::board(&mut driver, &node).await;
    flows::players(&mut driver, &node).await;
    flows::admin(&mut driver, &node).await;
    flows::analytics(&mut driver, &node).await;
    flows::dead_letters(&mut driver, &node).await;
    flows::realtime(&mut driver, &node).await;
    for operation in driver.operations().iter().filter(|it| it.needs_login()) {
        let without_login = Request::default().path_value("1").body(json!({}));
        driver.call(&node, &operation.id, without_login, 401).await.assert_refused(401, "UNAUTHORIZED");
    }
    flows::operations(&mut driver, &node).await;
    exceed_rate_limit(&mut driver).await;
    driver.assert_complete(&NEVER_REFUSED);
}

/// Every path below `/api/` has a rate limit per address.
async fn exceed_rate_limit(driver: &mut Driver) {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.limits.requests_per_minute_per_ip = 1).await;
    assert_eq!(node.get("/api/v1/actions").await.status, 200);
    for operation in driver.operations() {
        if operation.path.starts_with("/api/") || operation.path == "/socket.io/" {
            let request = Request::default().path_value("1").body(json!({}));
            driver.call(&node, &operation.id, request, 429).await.assert_refused(429, "RATE_LIMIT_EXCEEDED");
        }
    }
}

/// The paths are in the router's debug text. An undocumented method must get status 405.
#[tokio::test]
async fn the_document_lists_exactly_the_routes() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let text = format!("{:?}", laurel::http::router(node.app.clone()));
    let routes = text.split("fallback_router").next().unwrap();
    let pages = ["/", "/admin", "/admin/", "/docs", "/docs/", "/favicon.ico", "/assets/{*path}"];
    let paths = routes.split('"').filter(|path| path.starts_with('/') && !pages.contains(path));
    let paths: BTreeSet<&str> = paths.collect();
    let driver = Driver::new();
    let documented: BTreeSet<&str> =
        driver.document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(paths, documented);

    let operations = driver.operations();
    for path in paths {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            // Other tests call the documented ones.
            if operations.iter().any(|operation| operation.path == path && operation.method == method) {
                continue;
            }
            let response = node
                .send(
                    method.clone(),
                    &path
                        .replace("{userId}", "1")
                        .replace("{suspect}", "1")
                        .replace("{letterId}", "1")
                        .replace("{board}", "1")
                        .replace("{period}", "1"),
                    &[],
                    Vec::new(),
                )
                .await;
            if path == "/socket.io/" {
                assert_eq!((response.status, &response.body["code"]), (400, &json!(5)), "{method} {path}");
            } else {
                response.assert_refused(405, "METHOD_NOT_ALLOWED");
            }
        }
    }
    node.get("/api/v1/nowhere").await.assert_refused(404, "NOT_FOUND");
}

#[test]
fn every_error_code_is_documented() {
    let document = laurel::http::openapi();
    let text = document["paths"].to_string();
    for code in laurel::error::Code::ALL.iter().map(|it| it.as_str()) {
        // The document lists only supported methods.
        assert!(text.contains(&format!("\"{code}\"")) || code == "METHOD_NOT_ALLOWED", "{code}");
    }
}

/// Generated clients have a type for each body, and one for all errors.
#[test]
fn every_body_has_a_schema_name() {
    let document = laurel::http::openapi();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert_no_fields(&document["paths"], "paths");
    for (name, schema) in schemas {
        let parts = schema.as_object().unwrap();
        assert!(!parts.contains_key("title"), "{name}");
        for part in parts.get("properties").and_then(Value::as_object).into_iter().flat_map(|it| it.values())
        {
            assert_no_fields(part, name);
        }
    }
    let error = json!({ "$ref": "#/components/schemas/ErrorResponse" });
    for operation in Driver::new().operations() {
        for (status, response) in operation.definition["responses"].as_object().unwrap() {
            let at = format!("{} {status}", operation.id);
            let schema = &response["content"]["application/json"]["schema"];
            let alternatives = schema["anyOf"].as_array();
            let is_error = *schema == error || alternatives.is_some_and(|all| all.contains(&error));
            assert_eq!(is_error, response["content"]["application/json"]["examples"].is_object(), "{at}");
            assert!(is_error || status.as_str() < "400" || schema["$ref"].is_string(), "{at}");
        }
    }
}

/// A schema with fields must be a reference.
fn assert_no_fields(value: &Value, at: &str) {
    match value {
        Value::Object(fields) => {
            let has_fields =
                fields.get("properties").and_then(Value::as_object).is_some_and(|it| !it.is_empty());
            assert!(!has_fields, "{at} has a schema without a name: {value}");
            fields.iter().for_each(|(name, it)| assert_no_fields(it, &format!("{at}/{name}")));
        }
        Value::Array(items) => items.iter().for_each(|item| assert_no_fields(item, at)),
        _ => {}
    }
}

#[test]
fn every_operation_is_described() {
    let driver = Driver::new();
    assert!(driver.document["info"]["contact"]["name"].is_string());
    for operation in driver.operations() {
        let [summary, description] =
            ["summary", "description"].map(|name| operation.definition[name].as_str().unwrap_or_default());
        assert!(!summary.is_empty() && !summary.ends_with('.'), "{}: {summary}", operation.id);
        assert!(
            description.ends_with('.') && description.len() > summary.len(),
            "{}: {description}",
            operation.id
        );
        for parameter in operation.definition["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["$ref"].is_string() || parameter["description"].is_string(), "{parameter}");
        }
    }
}

#[test]
fn the_openapi_command_needs_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_laurel"));
    let output = command.arg("openapi").current_dir(folder.path()).output().unwrap();
    assert!(output.status.success());
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), laurel::http::openapi());
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "a store was created");
}
