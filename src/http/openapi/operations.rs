//! What operators, balancers and tools ask: health, metrics, the keys of receipts, this document, and that of the sockets.

use serde_json::{Value, json};

use super::operation::Operation;
use super::schema::{flag, list, named, object, one_of, text, whole};

pub fn operations() -> Vec<Operation> {
    let health = named("Health", object(&[("status", one_of(&["ok"]))]));
    let document = || json!({ "type": "object", "additionalProperties": true });
    vec![
        Operation::get(
            "/healthz",
            "getHealth",
            "Check that the process lives",
            "Answers as long as the process runs.",
        )
        .answer(200, "It lives", health),
        readiness(Operation::get(
            "/readyz",
            "getReadiness",
            "Check that reads and sockets are served",
            "Answers 503 before the board is loaded and while the node drains. It stays 200 while Redis or Postgres is away, and names \
                them in `degraded`.",
        )),
        readiness(Operation::get(
            "/readyz/awards",
            "getAwardReadiness",
            "Check that awards are taken",
            "Answers 503 as soon as an award would be refused because of a store.",
        )),
        Operation::get(
            "/metrics",
            "getMetrics",
            "Get the metrics",
            "Returns the node's metrics for Prometheus.",
        )
        .answer_as(200, "Prometheus' text format", "text/plain", text("One metric a line")),
        Operation::get(
            "/.well-known/laurel-receipts.json",
            "getReceiptKeys",
            "Get the public keys of receipts",
            "Returns the keys that verify receipts. Ask again when a receipt names an unknown key.",
        )
        .answer(200, "A JWK set (RFC 7517)", object(&[("keys", list(key()))]))
        .answer_header(200, "Cache-Control", "CacheControl"),
        Operation::get("/openapi.json", "getOpenApi", "Get this document", "Returns this document.")
            .answer(200, "OpenAPI 3.1", document())
            .answer_header(200, "Cache-Control", "CacheControl"),
        Operation::get(
            "/asyncapi.json",
            "getAsyncApi",
            "Get the document of sockets and streams",
            "Returns the AsyncAPI document of the messages over WebSocket, Socket.IO and server-sent events.",
        )
        .answer(200, "AsyncAPI 3.0", document())
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
    let state = named("Readiness", state);
    operation.answer(200, "It can", state.clone()).answer(503, "It cannot", state)
}

fn key() -> Value {
    let key = object(&[
        ("kty", one_of(&["OKP"])),
        ("crv", one_of(&["Ed25519"])),
        ("use", one_of(&["sig"])),
        ("alg", one_of(&["EdDSA"])),
        ("kid", text("The key's thumbprint (RFC 7638)")),
        ("x", text("The public key, in base64url")),
    ]);
    named("ReceiptKey", key)
}
