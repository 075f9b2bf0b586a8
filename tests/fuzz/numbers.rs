//! A number with a zero fraction is an integer in any spelling (JSON Schema 2020-12, section 6.1.1), in every body and query string.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use reqwest::Method;
use serde_json::Value;

use super::{fuzz, runtime};
use crate::harness::{Player, TestNode, TestResponse, TestStores};
use crate::http::admin::create_admin;

/// Integers are exact below this.
const MAX_EXACT: i64 = 1 << 53;
/// All integer fields of request bodies, without those of boards: path and name.
const BODY_FIELDS: [(&str, &str); 3] = [
    ("/api/score/update", "points"),
    ("/api/v1/action-tokens", "actionId"),
    ("/api/admin/users/{userId}/adjust", "points"),
];
/// The integer keys of a board, with the least and the greatest value.
const BOARD_KEYS: [(&str, i64, i64); 4] =
    [("attempts", 0, 1_000_000), ("decimals", 0, 9), ("keep_periods", 1, 10_000), ("top", 3, 100)];
const GAME_TOKEN: &str = "act_a1b2c3d4e5f6g7h8i9j0";

/// Spellings of an integer in JSON. Godot, PHP and Gson write some of these.
fn spellings(number: i64) -> Vec<String> {
    let sign = if number < 0 { "-" } else { "" };
    let digits = number.unsigned_abs().to_string();
    let (first, rest) = digits.split_at(1);
    let exponent = rest.len();
    let rest = if rest.is_empty() { "0" } else { rest };
    vec![
        number.to_string(),
        format!("{number}.0"),
        format!("{number}.000"),
        format!("{number}e0"),
        format!("{number}.0E+0"),
        format!("{}e-2", i128::from(number) * 100),
        format!("{sign}{first}.{rest}e{exponent}"),
        format!("{sign}{first}.{rest}00E+{exponent}"),
        format!("{sign}0.{digits}e{}", digits.len()),
    ]
}

/// Numbers that are not integers, or not exact in a double.
fn non_integers() -> impl Strategy<Value = String> {
    prop_oneof![
        (-1_000_000_000..1_000_000_000_i64, 1..100_u8)
            .prop_map(|(integer, fraction)| format!("{integer}.{fraction:02}")),
        (-1_000_000..1_000_000_i64).prop_map(|integer| format!("{}e-1", integer * 10 + 5)),
        prop::sample::select(vec![
            "1e400",
            "-1e400",
            "9007199254740993.0",
            "1e16",
            "-1e300",
            "0.1",
            "10.000000000000002"
        ])
        .prop_map(str::to_owned),
    ]
}

/// A node, and an admin who sends the requests.
struct Target {
    stores: TestStores,
    node: TestNode,
    root: Player,
}

impl Target {
    async fn open() -> Self {
        let stores = TestStores::new().await;
        let unlimited = |config: &mut laurel::config::Config| {
            (config.limits.updates_per_minute, config.limits.inits_per_minute) = (0, 0);
            config.limits.requests_per_minute_per_user = 0;
        };
        let node = stores.start_node_with(unlimited).await;
        let root = create_admin(&node).await;
        Self { stores, node, root }
    }

    async fn send(&self, method: Method, path: &str, body: String) -> TestResponse {
        let bearer = format!("Bearer {}", self.root.token);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.node.send(method, path, &headers, body.into_bytes()).await
    }

    async fn update(&self, points: &str) -> TestResponse {
        let body =
            format!("{{\"actionToken\":\"{GAME_TOKEN}\",\"actionType\":\"watch_ad\",\"points\":{points}}}");
        self.send(Method::POST, "/api/score/update", body).await
    }

    async fn prove(&self, number: &str) -> TestResponse {
        // The session does not exist, so no token is issued.
        let body = format!("{{\"actionId\":{number},\"sessionId\":\"sess_a1b2c3d4e5f6g7h8i9j0\"}}");
        self.send(Method::POST, "/api/v1/action-tokens", body).await
    }

    async fn adjust(&self, points: &str) -> TestResponse {
        let body = format!("{{\"points\":{points},\"reason\":\"a number\"}}");
        self.send(Method::POST, "/api/admin/users/root/adjust", body).await
    }

    async fn preview_board(&self, key: &str, number: &str) -> TestResponse {
        let body = format!("{{\"id\":\"cup\",\"{key}\":{number}}}");
        self.send(Method::POST, "/api/admin/board-preview", body).await
    }
}

/// Follows the `$ref` of a schema.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let pointer = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.map_or(schema, |pointer| resolve(document, document.pointer(pointer).unwrap()))
}

fn is_integer(schema: &Value) -> bool {
    schema["type"] == "integer"
        || schema["type"].as_array().is_some_and(|types| types.contains(&"integer".into()))
}

/// All operations: path, method and description.
fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
    })
}

#[test]
fn the_list_of_integer_fields_is_complete() {
    let document = laurel::http::openapi();
    let mut found = Vec::new();
    for (path, _, operation) in operations(&document) {
        let body = resolve(&document, &operation["requestBody"]);
        let schema = resolve(&document, &body["content"]["application/json"]["schema"]);
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let property = resolve(&document, property);
            let choices =
                property["anyOf"].as_array().into_iter().chain(property["oneOf"].as_array()).flatten();
            if is_integer(property) || choices.map(|choice| resolve(&document, choice)).any(is_integer) {
                found.push((path.as_str(), name.as_str()));
            }
        }
    }
    let mut expected = BODY_FIELDS.to_vec();
    for path in ["/api/admin/boards", "/api/admin/board-preview"] {
        expected.extend(BOARD_KEYS.map(|(key, ..)| (path, key)));
    }
    expected.push(("/api/admin/boards/{board}", "keep_periods"));
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn bodies_accept_every_spelling_of_an_integer() {
    let runtime = runtime();
    let target = runtime.block_on(Target::open());
    let actions: Vec<i64> =
        target.node.app.catalogue.all().iter().map(|action| action.number.into()).collect();
    let watch_ad = actions[0];
    let integers = prop_oneof![
        1 => -30..30_i64,
        2 => 1 - MAX_EXACT..MAX_EXACT,
        1 => (0..64_i64).prop_map(|distance| MAX_EXACT - 1 - distance),
        1 => (0..53_u32, any::<bool>()).prop_map(|(bit, negative)| if negative { -(1 << bit) } else { 1 << bit }),
    ];
    fuzz(1.0, integers, |number| {
        for text in spellings(number) {
            runtime.block_on(async {
                let expected = if number == 10 { "TOKEN_NOT_FOUND" } else { "INVALID_POINTS" };
                let answer = target.update(&text).await;
                prop_assert_eq!(answer.code(), expected, "{}", text);
                // Each key with a part of the numbers.
                let (key, least, most) = BOARD_KEYS[number.unsigned_abs() as usize % BOARD_KEYS.len()];
                let answer = target.preview_board(key, &text).await;
                let refused = if (least..=most).contains(&number) { vec![] } else { vec![key] };
                prop_assert_eq!(answer.fields(), refused, "{} {}: {}", key, text, answer.text);
                let answer = target.prove(&text).await;
                let expected = match number {
                    ..0 => "VALIDATION_ERROR",
                    _ if !actions.contains(&number) => "INVALID_ACTION",
                    _ if number == watch_ad => "TOKEN_NOT_FOUND",
                    _ => return check_adjustment(&target, number, &text).await,
                };
                prop_assert_eq!(answer.code(), expected, "{}", text);
                check_adjustment(&target, number, &text).await
            })?;
        }
        Ok(())
    });
    runtime.block_on(crate::harness::assert_ledger_matches(&target.stores));
}

/// Checks an admin adjustment by this number of points.
async fn check_adjustment(target: &Target, number: i64, text: &str) -> TestCaseResult {
    let answer = target.adjust(text).await;
    if number > 0 {
        prop_assert_eq!(&answer.body["data"]["newScore"], number, "{}: {}", text, answer.text);
        let back = target.adjust(&format!("-{text}")).await;
        prop_assert_eq!(&back.body["data"]["newScore"], 0, "-{}: {}", text, back.text);
    } else {
        // A score cannot go below 0, and 0 points is no change.
        prop_assert_eq!(answer.code(), "VALIDATION_ERROR", "{}", text);
        let problem = answer.body["metadata"]["fields"][0]["problem"].as_str().unwrap();
        prop_assert!(problem != "must be a whole number", "{}: {}", text, problem);
    }
    Ok(())
}

#[test]
fn bodies_refuse_non_integers() {
    let runtime = runtime();
    let target = runtime.block_on(Target::open());
    fuzz(1.0, non_integers(), |text| {
        runtime.block_on(async {
            let answer = target.update(&text).await;
            prop_assert_eq!(answer.code(), "INVALID_POINTS", "{}", text);
            prop_assert_eq!(&answer.body["message"], "Invalid points value");
            for (key, ..) in BOARD_KEYS {
                let answer = target.preview_board(key, &text).await;
                prop_assert_eq!(answer.fields(), [key], "{}", text);
            }
            for answer in [target.prove(&text).await, target.adjust(&text).await] {
                prop_assert_eq!(answer.code(), "VALIDATION_ERROR", "{}", text);
                prop_assert!([["actionId"], ["points"]].iter().any(|fields| answer.fields() == fields));
            }
            Ok(())
        })
    });
}

#[test]
fn query_strings_accept_every_spelling_of_an_integer() {
    let runtime = runtime();
    let target = runtime.block_on(Target::open());
    let document = laurel::http::openapi();
    let mut parameters = Vec::new();
    for (path, method, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = resolve(&document, parameter);
            let schema = resolve(&document, &parameter["schema"]);
            if parameter["in"] == "query" && is_integer(schema) {
                assert_eq!(method, "get");
                let range = schema["minimum"].as_i64().unwrap()..=schema["maximum"].as_i64().unwrap();
                parameters.push((
                    path.replace("{userId}", "1").replace("{suspect}", "root").replace("{board}", "weekly"),
                    parameter["name"].as_str().unwrap().to_owned(),
                    range,
                ));
            }
        }
    }
    assert!(parameters.len() >= 10, "{parameters:?}");
    for (path, name, range) in &parameters {
        let (start, end) = (*range.start(), *range.end());
        let get = async |text: &str| {
            let text = text.replace('+', "%2B");
            target.send(Method::GET, &format!("{path}?{name}={text}"), String::new()).await
        };
        for number in [start, end, (start + end) / 2] {
            for text in spellings(number) {
                let answer = runtime.block_on(get(&text));
                assert_eq!(answer.status, 200, "{path} {name}={text}: {}", answer.text);
            }
        }
        for number in [start - 1, end + 1] {
            for text in spellings(number) {
                let answer = runtime.block_on(get(&text));
                answer.assert_refused(400, "VALIDATION_ERROR");
                assert_eq!(answer.fields(), [name.as_str()], "{path} {text}");
            }
        }
        fuzz(0.25, non_integers(), |text| {
            let answer = runtime.block_on(get(&text));
            prop_assert_eq!(
                (answer.status, answer.fields()),
                (400, vec![name.as_str()]),
                "{} {}",
                path,
                text
            );
            Ok(())
        });
    }
}
