//! Endpoints for balancers and tools: health, metrics, public receipt keys, the OpenAPI and the AsyncAPI document.

use serde_json::{Value, json};

use super::operation::Operation;
use super::schema::{boolean, integer, list, named, object, one_of, text};

pub fn operations() -> Vec<Operation> {
    let health = named("Health", object(&[("status", one_of(&["ok"]))]));
    let document = || json!({ "type": "object", "additionalProperties": true });
    vec![
        Operation::get("/healthz", "getHealth", "Check liveness", "Returns 200 while the process runs.")
            .answer(200, "The process runs", health),
        readiness(Operation::get(
            "/readyz",
            "getReadiness",
            "Check readiness for reads and sockets",
            "Returns 503 until the board is loaded and while the node drains. It stays 200 while Redis or Postgres is unavailable and \
                lists them in `degraded`.",
        )),
        readiness(Operation::get(
            "/readyz/awards",
            "getAwardReadiness",
            "Check readiness for awards",
            "Returns 503 while awards would be refused because of a store.",
        )),
        Operation::get("/metrics", "getMetrics", "Get metrics", "Returns the node's metrics for Prometheus.")
            .answer_as(200, "Prometheus text format", "text/plain", text("Metrics")),
        Operation::get(
            "/.well-known/laurel-receipts.json",
            "getReceiptKeys",
            "Get the public receipt keys",
            "Returns the keys that verify receipts. Fetch them again if a receipt has an unknown `kid`.",
        )
        .answer(200, "A JWK set (RFC 7517)", object(&[("keys", list(key()))]))
        .answer_header(200, "Cache-Control", "CacheControl"),
        Operation::get("/openapi.json", "getOpenApi", "Get this document", "Returns this document.")
            .answer(200, "OpenAPI 3.1", document())
            .answer_header(200, "Cache-Control", "CacheControl"),
        Operation::get(
            "/asyncapi.json",
            "getAsyncApi",
            "Get the AsyncAPI document",
            "Returns the document of the messages over WebSocket, Socket.IO and server-sent events.",
        )
        .answer(200, "AsyncAPI 3.0", document())
        .answer_header(200, "Cache-Control", "CacheControl"),
    ]
}

fn readiness(operation: Operation) -> Operation {
    let state = object(&[
        ("ready", boolean("Whether the check passed")),
        ("draining", boolean("Whether the node is shutting down")),
        ("degraded", list(one_of(&["redis", "postgres", "eviction", "redis_writes"]))),
        ("boardVersion", integer("Version of the node's board")),
        ("outboxEntries?", integer("Outbox entries not yet written to Postgres; not in public responses")),
    ]);
    let state = named("Readiness", state);
    operation.answer(200, "Ready", state.clone()).answer(503, "Not ready", state)
}

fn key() -> Value {
    let key = object(&[
        ("kty", one_of(&["OKP"])),
        ("crv", one_of(&["Ed25519"])),
        ("use", one_of(&["sig"])),
        ("alg", one_of(&["EdDSA"])),
        ("kid", text("The key's thumbprint (RFC 7638)")),
        ("x", text("The public key in base64url")),
    ]);
    named("ReceiptKey", key)
}
