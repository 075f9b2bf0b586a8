//! What operators, balancers and tools ask: health, metrics, the keys of receipts, this document, and that of the sockets.

use serde_json::{Value, json};

use super::operation::Operation;
use super::schema::{flag, list, object, one_of, text, whole};

pub fn operations() -> Vec<Operation> {
    let ok = object(&[("status", json!({ "const": "ok" }))]);
    vec![
        Operation::get("/healthz", "getHealth", "The process lives").answer(200, "It does", ok),
        readiness(Operation::get("/readyz", "getReadiness", "Reads and sockets can be served")),
        readiness(Operation::get("/readyz/awards", "getAwardReadiness", "An award could be taken")),
        Operation::get("/metrics", "getMetrics", "Metrics").answer_as(
            200,
            "Prometheus' text format",
            "text/plain",
            text("One metric a line"),
        ),
        Operation::get("/.well-known/laurel-receipts.json", "getReceiptKeys", "The public keys of receipts")
            .answer(200, "A JWK set (RFC 7517)", object(&[("keys", list(key()))]))
            .answer_header(200, "Cache-Control", "CacheControl"),
        Operation::get("/openapi.json", "getOpenApi", "This document")
            .answer(200, "OpenAPI 3.1", json!({ "type": "object", "additionalProperties": true }))
            .answer_header(200, "Cache-Control", "CacheControl"),
        Operation::get("/asyncapi.json", "getAsyncApi", "What is said over sockets and streams")
            .answer(200, "AsyncAPI 3.0", json!({ "type": "object", "additionalProperties": true }))
            .answer_header(200, "Cache-Control", "CacheControl"),
    ]
}

fn readiness(operation: Operation) -> Operation {
    let state = object(&[
        ("ready", flag("Whether it can")),
        ("draining", flag("Whether the node stops")),
        ("degraded", list(one_of(&["redis", "postgres", "eviction", "redis_writes"]))),
        ("boardVersion", whole("The newest board's")),
        ("outboxEntries?", whole("What Postgres does not have yet; told to operators alone")),
    ]);
    operation.answer(200, "It can", state.clone()).answer(503, "It cannot", state)
}

fn key() -> Value {
    object(&[
        ("kty", json!({ "const": "OKP" })),
        ("crv", json!({ "const": "Ed25519" })),
        ("use", json!({ "const": "sig" })),
        ("alg", json!({ "const": "EdDSA" })),
        ("kid", text("The key's thumbprint (RFC 7638)")),
        ("x", text("The public key, in base64url")),
    ])
}
