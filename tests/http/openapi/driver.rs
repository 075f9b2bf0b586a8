//! Calls operations as documented and checks each response against the document.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::harness::{Player, TestNode, TestResponse};

/// Headers that must be documented if they are present.
const TOLD: [&str; 8] = [
    "retry-after",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "idempotent-replayed",
    "etag",
    "age",
    "sec-websocket-version",
];

/// One operation of the document.
#[derive(Clone)]
pub struct Operation {
    pub id: String,
    pub path: String,
    pub method: Method,
    pub about: Value,
}

impl Operation {
    pub fn needs_login(&self) -> bool {
        let ways = self.about["security"].as_array().unwrap();
        !ways.is_empty() && !ways.contains(&json!({}))
    }
}

/// The request to send.
#[derive(Clone, Default)]
pub struct Request {
    user: String,
    query: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Request {
    pub fn login(mut self, player: &Player) -> Self {
        self.headers.push(("authorization", format!("Bearer {}", player.token)));
        self
    }

    pub fn user(mut self, user: &str) -> Self {
        self.user = user.to_owned();
        self
    }

    pub fn query(mut self, query: &str) -> Self {
        self.query = format!("?{query}");
        self
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The request that the documentation page sends without changes: examples and query defaults.
    pub fn example(operation: &Operation) -> Self {
        let mut request = Self::default();
        for parameter in operation.about["parameters"].as_array().into_iter().flatten() {
            let value = parameter.get("example").or(parameter.pointer("/schema/default"));
            let Some(value) = value.map(|it| it.as_str().map_or(it.to_string(), str::to_owned)) else {
                assert_ne!(parameter["required"], true, "{}: {parameter} has no example", operation.id);
                continue;
            };
            if parameter["in"] == "path" {
                request.user = value;
            } else {
                let separator = if request.query.is_empty() { '?' } else { '&' };
                request.query += &format!("{separator}{}={value}", parameter["name"].as_str().unwrap());
            }
        }
        let content = operation.about["requestBody"]["content"].as_object();
        for body in content.into_iter().flat_map(|kinds| kinds.values()) {
            request.body = Some(body.get("example").expect("a body has an example").clone());
        }
        request
    }

    pub fn handshake(self) -> Self {
        self.header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
    }

    /// A JSON body; a string is sent as plain text.
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

pub struct Driver {
    pub document: Value,
    seen: BTreeMap<String, BTreeSet<u16>>,
}

impl Driver {
    pub fn new() -> Self {
        Self { document: laurel::http::openapi(), seen: BTreeMap::new() }
    }

    pub fn operations(&self) -> Vec<Operation> {
        let paths = self.document["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, methods)| {
            methods.as_object().unwrap().iter().map(|(method, about)| Operation {
                id: about["operationId"].as_str().unwrap().to_owned(),
                path: path.clone(),
                method: method.to_uppercase().parse().unwrap(),
                about: about.clone(),
            })
        });
        all.collect()
    }

    /// Sends a documented request and expects a documented response with this status.
    #[track_caller]
    pub fn call<'a>(
        &'a mut self,
        node: &'a TestNode,
        id: &'a str,
        request: Request,
        status: u16,
    ) -> impl Future<Output = TestResponse> + 'a {
        let operation = self.operations().into_iter().find(|it| it.id == id).unwrap();
        async move {
            if status < 400 {
                self.check_request(&operation, &request);
            }
            let answer = send(node, &operation, request).await;
            assert_eq!(answer.status, status, "{id}: {}", answer.text);
            self.check_answer(&operation, &answer);
            self.seen.entry(operation.id).or_default().insert(status);
            answer
        }
    }

    /// Asserts that every operation succeeded and was refused once, except those that are never refused.
    pub fn assert_all_seen(&self, never_refused: &[&str]) {
        for Operation { id, .. } in self.operations() {
            let seen = self.seen.get(&id).cloned().unwrap_or_default();
            assert!(seen.iter().any(|it| *it < 400), "{id} was never seen to succeed");
            let refused = seen.iter().any(|it| *it >= 400);
            assert_ne!(refused, never_refused.contains(&id.as_str()), "{id} was seen with {seen:?}");
        }
    }

    pub fn check_request(&self, operation: &Operation, request: &Request) {
        let content = &operation.about["requestBody"]["content"];
        match &request.body {
            Some(body) if body.is_string() => assert!(content["text/plain"].is_object()),
            Some(body) => self.check(&content["application/json"]["schema"], body, &operation.id),
            None => assert!(content.is_null(), "{} needs a body", operation.id),
        }
        let query = request.query.trim_start_matches('?').split('&').filter(|it| !it.is_empty());
        let given: Vec<_> = query.map(|it| it.split('=').next().unwrap()).collect();
        let parameters: Vec<_> = operation.about["parameters"].as_array().into_iter().flatten().collect();
        let of_query = || parameters.iter().filter(|it| it["in"] == "query");
        for parameter in &parameters {
            if let Some(example) = parameter.get("example") {
                self.check(&parameter["schema"], example, &operation.id);
            }
        }
        for name in &given {
            assert!(of_query().any(|it| it["name"] == **name), "{}: {name} is not documented", operation.id);
        }
        for needed in of_query().filter(|it| it["required"] == true) {
            assert!(given.iter().any(|it| needed["name"] == **it), "{}: {needed} is needed", operation.id);
        }
    }

    fn check_answer(&self, operation: &Operation, answer: &TestResponse) {
        let at = format!("{} {}", operation.id, answer.status);
        let documented = &operation.about["responses"][answer.status.to_string()];
        assert!(documented.is_object(), "{at} is not documented: {}", answer.text);
        self.check_headers(&documented["headers"], &answer.headers, &at);
        if let Some(code) = answer.body.pointer("/metadata/errorCode") {
            let examples = &documented["content"]["application/json"]["examples"];
            assert!(examples.get(code.as_str().unwrap()).is_some(), "{at}: {code} is not documented");
            assert_eq!(answer.body["statusCode"], answer.status, "{at}");
        }
        let kind = answer.header("content-type").split(';').next().unwrap();
        let Some(content) = documented["content"].as_object() else {
            assert_eq!(answer.text, "", "{at} has a body");
            return;
        };
        let content = content.get(kind).unwrap_or_else(|| panic!("{at}: {kind:?} is not documented"));
        let body = if kind == "application/json" { answer.body.clone() } else { json!(answer.text) };
        self.check(&content["schema"], &body, &at);
    }

    fn check_headers(&self, documented: &Value, headers: &HeaderMap, at: &str) {
        let documented = documented.as_object().unwrap();
        for (name, reference) in documented {
            let place = reference["$ref"].as_str().unwrap().trim_start_matches('#');
            let header = self.document.pointer(place).unwrap();
            match headers.get(name) {
                Some(value) => {
                    let text = value.to_str().unwrap();
                    let number = text.parse().map(|it: u64| json!(it));
                    let typed = header["schema"]["type"] == "integer";
                    let value = if typed { number.unwrap() } else { json!(text) };
                    self.check(&header["schema"], &value, &format!("{at} {name}"));
                }
                None => assert_eq!(header["required"], false, "{at} has no {name}"),
            }
        }
        for name in TOLD.iter().filter(|it| headers.contains_key(**it)) {
            let there = documented.keys().any(|it| it.eq_ignore_ascii_case(name));
            assert!(there, "{at}: the header {name} is not documented");
        }
    }

    fn check(&self, schema: &Value, value: &Value, at: &str) {
        let validator = self.validator(schema);
        let problems: Vec<_> = validator.iter_errors(value).map(|it| it.to_string()).collect();
        assert!(problems.is_empty(), "{at}: {problems:#?}\n{value:#}");
    }

    /// A schema that refuses undocumented fields.
    fn validator(&self, schema: &Value) -> Validator {
        assert!(schema.is_object(), "there is no schema");
        let mut root = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": self.document["components"],
        });
        close(&mut root);
        jsonschema::options().should_validate_formats(true).build(&root).unwrap()
    }
}

/// Refuses additional fields, although clients should ignore them. Schemas that only narrow another one have no required fields and are
/// left open.
pub fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            let whole = object.get("properties").is_some_and(Value::is_object)
                && object.get("required").is_some_and(Value::is_array);
            if whole {
                object.entry("additionalProperties").or_insert(json!(false));
            }
            object.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Bodies of streams are not read.
async fn send(node: &TestNode, operation: &Operation, request: Request) -> TestResponse {
    let path = operation.path.replace("{userId}", &request.user).replace("{suspect}", &request.user);
    let path = path.replace("{letterId}", &request.user);
    let url = format!("{}{path}{}", node.base, request.query);
    let mut sent = reqwest::Client::new().request(operation.method.clone(), url);
    for (name, value) in request.headers {
        sent = sent.header(name, value);
    }
    sent = match request.body {
        Some(Value::String(text)) => sent.header("content-type", "text/plain").body(text),
        Some(body) => sent.json(&body),
        None => sent,
    };
    let response = sent.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let kind = headers.get("content-type").map_or("", |it| it.to_str().unwrap());
    let endless = status == 101 || kind == "text/event-stream";
    let text = if endless { String::new() } else { response.text().await.unwrap() };
    let body = serde_json::from_str(&text).unwrap_or_default();
    TestResponse { status, headers, text, body }
}
