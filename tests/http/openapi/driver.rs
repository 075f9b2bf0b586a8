//! Calls operations as documented, and compares each response with the document.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::harness::{Player, TestNode, TestResponse};

/// A response may have these headers only if they are documented.
const DOCUMENTED: [&str; 8] = [
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
    pub definition: Value,
}

impl Operation {
    pub fn needs_login(&self) -> bool {
        let alternatives = self.definition["security"].as_array().unwrap();
        !alternatives.is_empty() && !alternatives.contains(&json!({}))
    }
}

/// A request to send.
#[derive(Clone, Default)]
pub struct Request {
    /// The value of the path's parameter.
    path_value: String,
    query: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Request {
    pub fn login(mut self, player: &Player) -> Self {
        self.headers.push(("authorization", format!("Bearer {}", player.token)));
        self
    }

    pub fn path_value(mut self, value: &str) -> Self {
        self.path_value = value.to_owned();
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

    /// The request of the documentation page: examples, and defaults of query parameters.
    pub fn example(operation: &Operation) -> Self {
        let mut request = Self::default();
        for parameter in operation.definition["parameters"].as_array().into_iter().flatten() {
            let value = parameter.get("example").or(parameter.pointer("/schema/default"));
            let Some(value) = value.map(|value| value.as_str().map_or(value.to_string(), str::to_owned))
            else {
                assert_ne!(parameter["required"], true, "{}: {parameter} has no example", operation.id);
                continue;
            };
            // `send` fills in one period.
            if parameter["name"] == "period" && parameter["in"] == "path" {
                continue;
            } else if parameter["in"] == "path" {
                request.path_value = value;
            } else {
                let separator = if request.query.is_empty() { '?' } else { '&' };
                request.query += &format!("{separator}{}={value}", parameter["name"].as_str().unwrap());
            }
        }
        let content = operation.definition["requestBody"]["content"].as_object();
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
    /// The statuses received from each operation.
    statuses: BTreeMap<String, BTreeSet<u16>>,
}

impl Driver {
    pub fn new() -> Self {
        Self { document: laurel::http::openapi(), statuses: BTreeMap::new() }
    }

    pub fn operations(&self) -> Vec<Operation> {
        let paths = self.document["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, methods)| {
            methods.as_object().unwrap().iter().map(|(method, definition)| Operation {
                id: definition["operationId"].as_str().unwrap().to_owned(),
                path: path.clone(),
                method: method.to_uppercase().parse().unwrap(),
                definition: definition.clone(),
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
            let response = send(node, &operation, request).await;
            assert_eq!(response.status, status, "{id}: {}", response.text);
            self.check_response(&operation, &response);
            self.statuses.entry(operation.id).or_default().insert(status);
            response
        }
    }

    /// Asserts that every operation has succeeded, and has been refused unless it never is.
    pub fn assert_complete(&self, never_refused: &[&str]) {
        for Operation { id, .. } in self.operations() {
            let statuses = self.statuses.get(&id).cloned().unwrap_or_default();
            assert!(statuses.iter().any(|it| *it < 400), "{id} never succeeded");
            let refused = statuses.iter().any(|it| *it >= 400);
            assert_ne!(refused, never_refused.contains(&id.as_str()), "{id} returned {statuses:?}");
        }
    }

    pub fn check_request(&self, operation: &Operation, request: &Request) {
        let content = &operation.definition["requestBody"]["content"];
        match &request.body {
            Some(body) if body.is_string() => assert!(content["text/plain"].is_object()),
            Some(body) => self.check(&content["application/json"]["schema"], body, &operation.id),
            None => assert!(content.is_null(), "{} needs a body", operation.id),
        }
        let query = request.query.trim_start_matches('?').split('&').filter(|it| !it.is_empty());
        let names: Vec<_> = query.map(|pair| pair.split('=').next().unwrap()).collect();
        let parameters: Vec<_> =
            operation.definition["parameters"].as_array().into_iter().flatten().collect();
        let query_parameters = || parameters.iter().filter(|it| it["in"] == "query");
        for parameter in &parameters {
            if let Some(example) = parameter.get("example") {
                self.check(&parameter["schema"], example, &operation.id);
            }
        }
        for name in &names {
            assert!(
                query_parameters().any(|it| it["name"] == **name),
                "{}: {name} is not documented",
                operation.id
            );
        }
        for required in query_parameters().filter(|it| it["required"] == true) {
            assert!(
                names.iter().any(|name| required["name"] == **name),
                "{}: {required} is missing",
                operation.id
            );
        }
    }

    fn check_response(&self, operation: &Operation, response: &TestResponse) {
        let at = format!("{} {}", operation.id, response.status);
        let documented = &operation.definition["responses"][response.status.to_string()];
        assert!(documented.is_object(), "{at} is not documented: {}", response.text);
        self.check_headers(&documented["headers"], &response.headers, &at);
        if let Some(code) = response.body.pointer("/metadata/errorCode") {
            let examples = &documented["content"]["application/json"]["examples"];
            assert!(examples.get(code.as_str().unwrap()).is_some(), "{at}: {code} is not documented");
            assert_eq!(response.body["statusCode"], response.status, "{at}");
        }
        let kind = response.header("content-type").split(';').next().unwrap();
        let Some(content) = documented["content"].as_object() else {
            assert_eq!(response.text, "", "{at} has a body");
            return;
        };
        let content = content.get(kind).unwrap_or_else(|| panic!("{at}: {kind:?} is not documented"));
        let body = if kind == "application/json" { response.body.clone() } else { json!(response.text) };
        self.check(&content["schema"], &body, &at);
    }

    fn check_headers(&self, documented: &Value, headers: &HeaderMap, at: &str) {
        let documented = documented.as_object().unwrap();
        for (name, reference) in documented {
            let pointer = reference["$ref"].as_str().unwrap().trim_start_matches('#');
            let header = self.document.pointer(pointer).unwrap();
            match headers.get(name) {
                Some(value) => {
                    let text = value.to_str().unwrap();
                    let number = text.parse().map(|number: u64| json!(number));
                    let is_number = header["schema"]["type"] == "integer";
                    let value = if is_number { number.unwrap() } else { json!(text) };
                    self.check(&header["schema"], &value, &format!("{at} {name}"));
                }
                None => assert_eq!(header["required"], false, "{at} has no {name}"),
            }
        }
        for name in DOCUMENTED.iter().filter(|name| headers.contains_key(**name)) {
            let is_documented = documented.keys().any(|it| it.eq_ignore_ascii_case(name));
            assert!(is_documented, "{at}: the header {name} is not documented");
        }
    }

    fn check(&self, schema: &Value, value: &Value, at: &str) {
        let validator = self.validator(schema);
        let problems: Vec<_> = validator.iter_errors(value).map(|it| it.to_string()).collect();
        assert!(problems.is_empty(), "{at}: {problems:#?}\n{value:#}");
    }

    /// A schema that refuses undocumented fields.
    fn validator(&self, schema: &Value) -> Validator {
        assert!(schema.is_object(), "the document has no schema for this");
        let mut root = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": self.document["components"],
        });
        close(&mut root);
        jsonschema::options().should_validate_formats(true).build(&root).unwrap()
    }
}

/// Makes a schema refuse undocumented fields. Schemas without required fields only narrow another one, and stay open.
pub fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            let is_complete = object.get("properties").is_some_and(Value::is_object)
                && object.get("required").is_some_and(Value::is_array);
            if is_complete {
                object.entry("additionalProperties").or_insert(json!(false));
            }
            object.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Sends a request. The body of a stream is not read.
async fn send(node: &TestNode, operation: &Operation, request: Request) -> TestResponse {
    let path =
        operation.path.replace("{userId}", &request.path_value).replace("{suspect}", &request.path_value);
    let path = path.replace("{letterId}", &request.path_value).replace("{board}", &request.path_value);
    let path = path.replace("{period}", "all");
    let url = format!("{}{path}{}", node.base, request.query);
    let mut builder = reqwest::Client::new().request(operation.method.clone(), url);
    for (name, value) in request.headers {
        builder = builder.header(name, value);
    }
    builder = match request.body {
        Some(Value::String(text)) => builder.header("content-type", "text/plain").body(text),
        Some(body) => builder.json(&body),
        None => builder,
    };
    let response = builder.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let kind = headers.get("content-type").map_or("", |it| it.to_str().unwrap());
    let is_stream = status == 101 || kind == "text/event-stream";
    let text = if is_stream { String::new() } else { response.text().await.unwrap() };
    let body = serde_json::from_str(&text).unwrap_or_default();
    TestResponse { status, headers, text, body }
}
