//! The operators' API: `/api/admin`.

use serde_json::{Value, json};

use super::analytics;
use super::operation::Operation;
use super::schema::{envelope, flag, list, map, object, one_of, or_null, text, time, uuid, whole};
use crate::error::Code;

pub fn operations() -> Vec<Operation> {
    let done = |data: Value| envelope(200, data, object(&[]));
    let mut operations = vec![
        windowed(admin(Operation::get("/api/admin/suspects", "listSuspects", "Who looks like cheating")))
            .answer(200, "The heaviest first", done(list(suspect()))),
        windowed(admin(Operation::get("/api/admin/audit", "listAudit", "What operators did"))).answer(
            200,
            "The newest first",
            done(list(deed())),
        ),
        windowed(one(Operation::get("/api/admin/users/{userId}", "reportUser", "What is known of a user")))
            .answer(200, "The user", done(analytics::user())),
    ];
    for (path, id, summary) in [
        ("/api/admin/users/{userId}/ban", "banUser", "Off every board, no awards, sockets closed"),
        ("/api/admin/users/{userId}/unban", "unbanUser", "Back, with the score"),
        ("/api/admin/users/{userId}/set-aside", "setUserAside", "Awards are taken, but not shown"),
        ("/api/admin/users/{userId}/confirm", "confirmUser", "What was held is shown"),
    ] {
        let action = one_of(&["ban", "unban", "set_aside", "confirm"]);
        let data = object(&[
            ("userId", whole("The user's number")),
            ("username", text("The name")),
            ("action", action),
        ]);
        let decided = one(Operation::post(path, id, summary)).once().about(ONCE);
        let decided = decided.body(object(&[("reason", reason())]));
        operations.push(decided.answer(200, "It is decided", done(data)));
    }
    let void = Operation::post("/api/admin/users/{userId}/void", "voidUser", "What was held is taken away");
    let void = one(void).once().about(ONCE).body(object(&[("reason", reason())]));
    operations.push(void.answer(200, "It is gone", done(change())));
    let adjust = Operation::post("/api/admin/users/{userId}/adjust", "adjustUser", "Change a total");
    let points = json!({ "type": "integer", "not": { "const": 0 }, "description": "Below 0 to take away" });
    let adjust = one(adjust).once().about(ONCE).body(object(&[("points", points), ("reason", reason())]));
    operations.push(adjust.answer(200, "It is changed", done(change())));
    operations
}

/// What is told of each operation that takes a key.
const ONCE: &str = "Under an `Idempotency-Key` an operator does it once, on whichever nodes and however many repeat it at once. What was refused \
    because of the user's state (a total that would leave its range; a user who is set aside, or is not) is refused again, whatever has changed \
    since: take another key to try again. A 503 decides nothing about the key: a repeat goes on.";

/// For admins.
pub fn admin(operation: Operation) -> Operation {
    operation.login().refused(&[Code::Forbidden])
}

/// About one user.
pub fn one(operation: Operation) -> Operation {
    admin(operation)
        .parameter(
            "path",
            "userId",
            true,
            text("What is all digits is a number, what parses as a UUID is one, all else is a name"),
        )
        .refused(&[Code::UserNotFound, Code::ValidationError])
}

fn windowed(operation: Operation) -> Operation {
    let range = |most: u32, default: u32| json!({ "type": "integer", "minimum": 1, "maximum": most, "default": default });
    operation
        .parameter("query", "hours", false, range(720, 24))
        .parameter("query", "limit", false, range(1000, 50))
        .refused(&[Code::ValidationError])
}

fn reason() -> Value {
    json!({ "type": "string", "minLength": 1, "description": "Why, in at most 500 characters on one line" })
}

/// Signs of cheating.
pub fn signs() -> Value {
    map(whole("How often it was seen"))
}

fn suspect() -> Value {
    object(&[
        ("suspect", text("A user's UUID, or an address")),
        ("userId", or_null(whole("The user's number"))),
        ("username", or_null(text("The user's name"))),
        ("weight", whole("The signs' weights, each times its count")),
        ("signs", signs()),
        ("lastAt", time("When the last one was")),
        ("banned", flag("Whether the user is banned")),
        ("aside", flag("Whether the user is set aside")),
    ])
}

fn deed() -> Value {
    object(&[
        ("at", time("When")),
        ("actor", text("Who did it")),
        ("action", text("What")),
        ("userId", whole("To whom, by number")),
        ("username", text("To whom")),
        ("reason", text("Why")),
        (
            "detail",
            or_null(json!({ "type": "object", "additionalProperties": true,
            "description": "Totals `before` and `after`; or `refused`, if nothing was done" })),
        ),
    ])
}

fn change() -> Value {
    object(&[
        ("userId", whole("The user's number")),
        ("username", text("The name")),
        ("eventId", or_null(uuid("The ledger's entry; none if nothing was held"))),
        ("scoreBefore", or_null(whole("The total before"))),
        ("newScore", or_null(whole("The total after"))),
    ])
}
