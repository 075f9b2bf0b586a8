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
            .about("Players and addresses apart, at most `limit` of each: an address may be shared by many, so their weights do not compare.")
            .answer(200, "The heaviest first", done(suspects())),
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
    operations.extend(letters());
    operations
}

/// What is told of each operation that takes a key.
const ONCE: &str = "Under an `Idempotency-Key` an operator does it once, on whichever nodes and however many repeat it at once. What was refused \
    because of the user's state (a total that would leave its range; a user who is set aside, or is not) is refused again, whatever has changed \
    since: take another key to try again. A 503 decides nothing about the key: a repeat goes on.";

fn letters() -> Vec<Operation> {
    let done = |data: Value| envelope(200, data, object(&[]));
    let path = "/api/admin/dead-letters";
    let list = Operation::get(path, "listDeadLetters", "What could not be written to the ledger");
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 50 });
    let list = admin(list)
        .parameter("query", "state", false, one_of(&["waiting", "all"]))
        .parameter("query", "limit", false, limit)
        .refused(&[Code::ValidationError])
        .answer(200, "The newest first", done(super::schema::list(letter())));
    let mut operations = vec![list];
    for (path, id, summary, state) in [
        ("/api/admin/dead-letters/{letterId}/retry", "retryDeadLetter", "Write it again", "retrying"),
        ("/api/admin/dead-letters/{letterId}/discard", "discardDeadLetter", "Leave it at that", "discarded"),
    ] {
        let decided = admin(Operation::post(path, id, summary))
            .parameter("path", "letterId", true, whole("The dead letter's number"))
            .refused(&[Code::NotFound, Code::ValidationError])
            .body(object(&[("reason", reason())]));
        let data = object(&[("letterId", whole("The dead letter's number")), ("state", one_of(&[state]))]);
        operations.push(decided.answer(200, "It is decided", done(data)));
    }
    operations
}

fn letter() -> Value {
    object(&[
        ("letterId", whole("The dead letter's number")),
        ("at", time("When it was taken out of the outbox")),
        ("streamId", text("Its place in the outbox")),
        ("eventId", or_null(uuid("The event; none if the entry cannot be read"))),
        ("id", or_null(uuid("Whose it is; none if the entry cannot be read"))),
        ("userId", or_null(whole("The user's number; none if Postgres does not know the user"))),
        ("username", or_null(text("The user's name"))),
        ("kind", or_null(text("What the entry says: awarded, issued, …"))),
        (
            "points",
            or_null(json!({ "type": "integer", "description": "What it moves, if it moves a total" })),
        ),
        ("reason", one_of(&["unknown_user", "unreadable", "refused"])),
        ("detail", text("The words of it")),
        ("entry", text("As it lay in the outbox")),
        ("state", one_of(&["waiting", "retrying", "written", "discarded"])),
        ("inRedis", flag("Whether Redis has what it moves; if not, a rebuild shows it once it is written")),
        ("decidedBy", or_null(text("Who decided last"))),
        ("decidedWhy", or_null(text("Why"))),
    ])
}

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

fn suspects() -> Value {
    object(&[
        ("players", list(suspect())),
        ("addresses", list(suspect())),
        ("weights", map(whole("How much a sign of this kind weighs"))),
    ])
}

/// A suspect and what was seen of it.
pub fn suspect() -> Value {
    object(&[
        ("suspect", text("A user's UUID, or an address")),
        ("userId", or_null(whole("The user's number; null for an address"))),
        ("username", or_null(text("The user's name; null for an address"))),
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
