//! The operators' API: `/api/admin`.

use serde_json::{Value, json};

use super::operation::Operation;
use super::schema::{
    choice, envelope, flag, list, map, named, object, one_of, or_null, range, text, time, uuid, whole,
};
use super::users;
use crate::error::Code;

/// A UUID of the right shape that no user has: nobody is banned by an example.
const NOBODY: &str = "019a2c5e-7b1d-7c40-9f3a-2d5b8e6f1a04";

pub fn operations() -> Vec<Operation> {
    let suspects = Operation::get(
        "/api/admin/suspects",
        "listSuspects",
        "List suspects",
        "Returns the users and the addresses with abuse signals in the last hours, at most `limit` of each. Many players may share an \
            address, so the weights of users and addresses do not compare. Nobody is banned by them.",
    );
    let audit = Operation::get(
        "/api/admin/audit",
        "listAudit",
        "List what admins did",
        "Returns the newest entries of the audit log: who did what to whom, and why.",
    );
    let report = Operation::get(
        "/api/admin/users/{userId}",
        "reportUser",
        "Get a user",
        "Returns a user's score, rank, restrictions and abuse signals.",
    );
    let mut operations = vec![
        windowed(admin(suspects)).answer(200, "The heaviest first", done(found_suspects())),
        windowed(admin(audit)).answer(200, "The newest first", done(list(audit_entry()))),
        windowed(one(report)).answer(200, "The user", done(users::user())),
    ];
    for (path, id, summary, about) in [
        (
            "/api/admin/users/{userId}/ban",
            "banUser",
            "Ban a user",
            "Takes the user off every board, refuses awards and closes the user's sockets.",
        ),
        (
            "/api/admin/users/{userId}/unban",
            "unbanUser",
            "Lift a ban",
            "Puts the user back on the board, with the score from before.",
        ),
        (
            "/api/admin/users/{userId}/quarantine",
            "quarantineUser",
            "Set a user aside",
            "Awards are still taken, but their points are held back from the board.",
        ),
        (
            "/api/admin/users/{userId}/approve",
            "approveUser",
            "Confirm held points",
            "Shows the points that were held back, and ends the hold.",
        ),
    ] {
        let action = one_of(&["ban", "unban", "quarantine", "approve"]);
        let data = object(&[
            ("userId", whole("The user's number")),
            ("username", text("The name")),
            ("action", action),
        ]);
        let response = named("RestrictionResponse", done(named("Restriction", data)));
        let decided = with_reason(decision(path, id, summary, about));
        operations.push(decided.answer(200, "It is decided", response));
    }
    let change = || named("ScoreChangeResponse", done(named("ScoreChange", change())));
    let void = decision(
        "/api/admin/users/{userId}/void",
        "voidUser",
        "Void held points",
        "Takes away the points that were held back, and ends the hold.",
    );
    operations.push(with_reason(void).answer(200, "The points are gone", change()));
    let adjust = decision(
        "/api/admin/users/{userId}/adjust",
        "adjustUser",
        "Adjust a score",
        "Adds points to the user's total, or takes points away.",
    );
    let points = json!({ "type": "integer", "not": { "const": 0 }, "description": "Below 0 to take away" });
    let adjust = adjust.body(
        object(&[("points", points), ("reason", reason())]),
        json!({ "points": -10, "reason": "Awarded twice by mistake" }),
    );
    operations.push(adjust.answer(200, "The score is adjusted", change()));
    operations.extend(letters());
    operations
}

/// A decision about one user, which is made once under a key.
fn decision(path: &'static str, id: &'static str, summary: &str, about: &str) -> Operation {
    one(Operation::post(path, id, summary, &format!("{about} {ONCE}"))).once()
}

const ONCE: &str = "Under an `Idempotency-Key` this is done once, on whichever nodes and however many repeat it at once. What was \
    refused because of the user's state (a total that would leave its range; a user who is set aside, or is not) is refused again, \
    whatever has changed since: take another key to try again. A 503 decides nothing about the key: a repeat goes on.";

/// A success.
pub fn done(data: Value) -> Value {
    envelope(200, data, object(&[]))
}

fn letters() -> Vec<Operation> {
    let list = Operation::get(
        "/api/admin/dead-letters",
        "listDeadLetters",
        "List dead letters",
        "Returns the outbox entries that could not be written to the ledger.",
    );
    let list = admin(list)
        .optional_parameter("state", choice("Which to list", &["waiting", "all"]))
        .optional_parameter("limit", range("How many at most", 1000, 50))
        .refused(&[Code::ValidationError])
        .answer(200, "The newest first", done(super::schema::list(letter())));
    let mut operations = vec![list];
    for (path, id, summary, about, state, schema) in [
        (
            "/api/admin/dead-letters/{letterId}/retry",
            "retryDeadLetter",
            "Retry a dead letter",
            "Writes the entry to the ledger again.",
            "retrying",
            "RetriedDeadLetter",
        ),
        (
            "/api/admin/dead-letters/{letterId}/discard",
            "discardDeadLetter",
            "Discard a dead letter",
            "Leaves the entry out of the ledger for good.",
            "discarded",
            "DiscardedDeadLetter",
        ),
    ] {
        let decided = admin(Operation::post(path, id, summary, about))
            .path_parameter("letterId", whole("The dead letter's number"), 1_000_000)
            .refused(&[Code::NotFound, Code::ValidationError]);
        let data = object(&[("letterId", whole("The dead letter's number")), ("state", one_of(&[state]))]);
        operations.push(with_reason(decided).answer(200, "It is decided", done(named(schema, data))));
    }
    operations
}

fn letter() -> Value {
    let letter = object(&[
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
    ]);
    named("DeadLetter", letter)
}

/// For admins.
pub fn admin(operation: Operation) -> Operation {
    operation.login().refused(&[Code::Forbidden])
}

/// About one user.
pub fn one(operation: Operation) -> Operation {
    let about = "A number if it is all digits, a UUID if it parses as one, else a name";
    admin(operation)
        .path_parameter("userId", text(about), NOBODY)
        .refused(&[Code::UserNotFound, Code::ValidationError])
}

fn windowed(operation: Operation) -> Operation {
    operation
        .optional_parameter("hours", range("How far back", 720, 24))
        .optional_parameter("limit", range("How many at most", 1000, 50))
        .refused(&[Code::ValidationError])
}

/// It takes a reason, and nothing else.
fn with_reason(operation: Operation) -> Operation {
    let schema = named("ReasonRequest", object(&[("reason", reason())]));
    operation.body(schema, json!({ "reason": "Plays with a modified client" }))
}

fn reason() -> Value {
    json!({ "type": "string", "minLength": 1, "description": "Why, in at most 500 characters on one line" })
}

/// Signs of cheating.
pub fn signs() -> Value {
    map(whole("How often it was seen"))
}

fn found_suspects() -> Value {
    let found = object(&[
        ("players", list(suspect())),
        ("addresses", list(suspect())),
        ("weights", map(whole("How much a sign of this kind weighs"))),
    ]);
    named("Suspects", found)
}

/// A suspect and what was seen of it.
pub fn suspect() -> Value {
    let suspect = object(&[
        ("suspect", text("A user's UUID, or an address")),
        ("userId", or_null(whole("The user's number; null for an address"))),
        ("username", or_null(text("The user's name; null for an address"))),
        ("weight", whole("The signs' weights, each times its count")),
        ("signs", signs()),
        ("lastAt", time("When the last one was")),
        ("banned", flag("Whether the user is banned")),
        ("quarantined", flag("Whether the user is set aside")),
    ]);
    named("Suspect", suspect)
}

fn audit_entry() -> Value {
    let entry = object(&[
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
    ]);
    named("AuditEntry", entry)
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
