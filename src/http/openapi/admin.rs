//! The admin API: `/api/admin`.

use serde_json::{Value, json};

use super::operation::Operation;
use super::schema::{
    boolean, choice, envelope, integer, list, map, named, object, one_of, or_null, range, text, time, uuid,
};
use super::users;
use crate::error::Code;

/// A UUID that no user has, so that trying an example bans nobody.
const UNKNOWN_USER: &str = "019a2c5e-7b1d-7c40-9f3a-2d5b8e6f1a04";

pub fn operations() -> Vec<Operation> {
    let suspects = Operation::get(
        "/api/admin/suspects",
        "listSuspects",
        "List suspects",
        "Returns the users and the addresses with abuse signals in the last `hours`, at most `limit` of each. Several players may share an \
            address, so the weights of users and addresses are not comparable. Nobody is banned automatically.",
    );
    let audit = Operation::get(
        "/api/admin/audit",
        "listAudit",
        "List the audit log",
        "Returns the newest entries of the audit log: actor, action, user and reason.",
    );
    let report = Operation::get(
        "/api/admin/users/{userId}",
        "reportUser",
        "Get a user",
        "Returns a user's score, rank, restrictions and abuse signals.",
    );
    let mut operations = vec![
        windowed(admin(suspects)).answer(200, "Highest weight first", done(found_suspects())),
        windowed(admin(audit)).answer(200, "Newest first", done(list(audit_entry()))),
        windowed(one(report)).answer(200, "The user", done(users::user())),
    ];
    for (path, id, summary, about) in [
        (
            "/api/admin/users/{userId}/ban",
            "banUser",
            "Ban a user",
            "Hides the user from the board, refuses awards and closes the user's connections.",
        ),
        ("/api/admin/users/{userId}/unban", "unbanUser", "Lift a ban", "Restores the user and the score."),
        (
            "/api/admin/users/{userId}/quarantine",
            "quarantineUser",
            "Quarantine a user",
            "The user keeps earning, but new points are held: they stay off the board until an admin approves them.",
        ),
        (
            "/api/admin/users/{userId}/approve",
            "approveUser",
            "Approve held points",
            "Adds the held points to the public score and ends the quarantine.",
        ),
    ] {
        let action = one_of(&["ban", "unban", "quarantine", "approve"]);
        let data = object(&[
            ("userId", integer("The user's number")),
            ("username", text("Username")),
            ("action", action),
        ]);
        let response = named("RestrictionResponse", done(named("Restriction", data)));
        let decided = with_reason(decision(path, id, summary, about));
        operations.push(decided.answer(200, "Done", response));
    }
    let change = || named("ScoreChangeResponse", done(named("ScoreChange", change())));
    let void = decision(
        "/api/admin/users/{userId}/void",
        "voidUser",
        "Void held points",
        "Removes the held points and ends the quarantine.",
    );
    operations.push(with_reason(void).answer(200, "The held points are removed", change()));
    let adjust = decision(
        "/api/admin/users/{userId}/adjust",
        "adjustUser",
        "Adjust a score",
        "Adds points to the user's total score, or removes points.",
    );
    let points = json!({ "type": "integer", "not": { "const": 0 }, "description": "Points to add; negative to remove" });
    let adjust = adjust.body(
        object(&[("points", points), ("reason", reason())]),
        json!({ "points": -10, "reason": "Awarded twice by mistake" }),
    );
    operations.push(adjust.answer(200, "The score is adjusted", change()));
    operations.extend(letters());
    operations.extend(periods());
    operations.extend(super::admin_boards::operations());
    operations
}

fn periods() -> Vec<Operation> {
    let list = Operation::get(
        "/api/admin/boards/{board}/periods",
        "listAdminPeriods",
        "List the periods of a board with holds",
        "Returns the periods as players see them, newest first, with when they are closed, who holds them, and who made the newest revision.",
    );
    let board = || text("The board's id");
    let list = admin(list)
        .path_parameter("board", board(), "weekly")
        .optional_parameter("limit", range("Most periods of the page", 200, 25))
        .optional_parameter("cursor", text("`next` of a page of this list"))
        .refused(&[Code::BoardNotFound, Code::ValidationError])
        .answer(200, "Newest first", done(super::boards::admin_periods()));
    let one = Operation::get(
        "/api/admin/boards/{board}/periods/{period}",
        "getAdminPeriod",
        "Get a period of a board with holds and revisions",
        "Returns a period as players see it, with when it is closed, who holds it, and who made each revision, oldest first.",
    );
    let one = admin(one)
        .path_parameter("board", board(), "global")
        .path_parameter("period", text("Id of the period"), "all")
        .refused(&[Code::BoardNotFound, Code::PeriodNotFound])
        .answer(200, "The period", done(super::boards::admin_period()));
    let mut operations = vec![list, one];
    for (path, id, summary, about) in [
        (
            "/api/admin/boards/{board}/periods/{period}/close",
            "closePeriod",
            "Close a period",
            "Closes a period that has ended, without waiting until the time to settle is over. The leader does it within a second.",
        ),
        (
            "/api/admin/boards/{board}/periods/{period}/hold",
            "holdPeriod",
            "Hold a period",
            "The period is not closed until it is released.",
        ),
        (
            "/api/admin/boards/{board}/periods/{period}/release",
            "releasePeriod",
            "Release a period",
            "Ends a hold. The period is closed when the time to settle is over.",
        ),
    ] {
        let data = object(&[
            ("board", board()),
            ("period", text("Id of the period")),
            ("action", one_of(&["close", "hold", "release"])),
        ]);
        let response = named("PeriodDecisionResponse", done(named("PeriodDecision", data)));
        let decided = admin(Operation::post(path, id, summary, &format!("{about} {PERIOD_IDEMPOTENCY}")))
            .path_parameter("board", board(), "weekly")
            .path_parameter("period", text("Id of the period"), "2026-W01")
            .refused(&[Code::BoardNotFound, Code::PeriodNotFound]);
        operations.push(with_reason(decided.idempotent()).answer(200, "Done", response));
    }
    let data = object(&[("board", board()), ("periods", super::schema::list(text("Id of an open period")))]);
    let rebuild = Operation::post(
        "/api/admin/boards/{board}/rebuild",
        "rebuildBoard",
        "Rebuild a board",
        "The ledger's leader loads the open periods from the ledger again. They stay readable, and stale until they are loaded. A repeat loads \
         them once more.",
    );
    let rebuild = admin(rebuild).path_parameter("board", board(), "weekly").refused(&[Code::BoardNotFound]);
    let response = named("RebuildBoardResponse", done(named("BoardRebuild", data)));
    operations.push(with_reason(rebuild.idempotent()).answer(200, "The leader loads the board", response));
    operations
}

const PERIOD_IDEMPOTENCY: &str = "With an `Idempotency-Key` a repeat changes nothing. A refusal because of the period's state is not stored.";

/// A decision about one user. It accepts an `Idempotency-Key`.
fn decision(path: &'static str, id: &'static str, summary: &str, about: &str) -> Operation {
    one(Operation::post(path, id, summary, &format!("{about} {IDEMPOTENCY}"))).idempotent()
}

const IDEMPOTENCY: &str = "With an `Idempotency-Key` the operation runs once, however many nodes receive a repeat at the same time. A \
    refusal because of the user's state (a score out of range; already quarantined, or not quarantined) is stored too: use another \
    key to try again. After a 503 a repeat with the same key continues.";

/// A success in the envelope.
pub fn done(data: Value) -> Value {
    envelope(200, data, object(&[]))
}

fn letters() -> Vec<Operation> {
    let list = Operation::get(
        "/api/admin/dead-letters",
        "listDeadLetters",
        "List dead letters",
        "Returns the outbox entries that the ledger could not store.",
    );
    let list = admin(list)
        .optional_parameter("state", choice("State of the dead letters", &["waiting", "all"]))
        .optional_parameter("limit", range("Maximum number of entries", 1000, 50))
        .refused(&[Code::ValidationError])
        .answer(200, "Newest first", done(super::schema::list(letter())));
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
            "Leaves the entry out of the ledger permanently.",
            "discarded",
            "DiscardedDeadLetter",
        ),
    ] {
        let decided = admin(Operation::post(path, id, summary, about))
            .path_parameter("letterId", integer("Number of the dead letter"), 1_000_000)
            .refused(&[Code::NotFound, Code::ValidationError]);
        let data = object(&[("letterId", integer("Number of the dead letter")), ("state", one_of(&[state]))]);
        operations.push(with_reason(decided).answer(200, "Done", done(named(schema, data))));
    }
    operations
}

fn letter() -> Value {
    let letter = object(&[
        ("letterId", integer("Number of the dead letter")),
        ("at", time("When it was taken out of the outbox")),
        ("streamId", text("Id of the entry in the outbox stream")),
        ("eventId", or_null(uuid("The event; null if the entry is unreadable"))),
        ("id", or_null(uuid("The user's UUID; null if the entry is unreadable"))),
        ("userId", or_null(integer("The user's number; null if Postgres has no such user"))),
        ("username", or_null(text("Username"))),
        ("kind", or_null(text("Kind of the entry: awarded, issued, …"))),
        ("points", or_null(json!({ "type": "integer", "description": "Change of the total score, if any" }))),
        ("reason", one_of(&["unknown_user", "unreadable", "refused"])),
        ("detail", text("Error message")),
        ("entry", text("The entry as it was in the outbox")),
        ("state", one_of(&["waiting", "retrying", "written", "discarded"])),
        (
            "inRedis",
            boolean("Whether Redis has the change; if not, run `laurel rebuild` after the entry is written"),
        ),
        ("decidedBy", or_null(text("Actor of the last decision"))),
        ("decidedReason", or_null(text("Reason of the last decision"))),
    ]);
    named("DeadLetter", letter)
}

/// Requires the role `admin`.
pub fn admin(operation: Operation) -> Operation {
    operation.login().refused(&[Code::Forbidden])
}

/// An admin operation on one user.
pub fn one(operation: Operation) -> Operation {
    let about = "The user's number (digits only), UUID or username";
    admin(operation)
        .path_parameter("userId", text(about), UNKNOWN_USER)
        .refused(&[Code::UserNotFound, Code::ValidationError])
}

fn windowed(operation: Operation) -> Operation {
    operation
        .optional_parameter("hours", range("Period in hours, up to now", 720, 24))
        .optional_parameter("limit", range("Maximum number of entries", 1000, 50))
        .refused(&[Code::ValidationError])
}

/// Adds a body with a reason only.
fn with_reason(operation: Operation) -> Operation {
    let schema = named("ReasonRequest", object(&[("reason", reason())]));
    operation.body(schema, json!({ "reason": "Plays with a modified client" }))
}

fn reason() -> Value {
    json!({ "type": "string", "minLength": 1, "description": "Reason for the audit log: one line of at most 500 characters" })
}

/// Counts of abuse signals by kind.
pub fn signals() -> Value {
    map(integer("Occurrences"))
}

fn found_suspects() -> Value {
    let found = object(&[
        ("players", list(suspect())),
        ("addresses", list(suspect())),
        ("weights", map(integer("Weight of one signal of this kind"))),
    ]);
    named("Suspects", found)
}

/// A suspect and its abuse signals.
pub fn suspect() -> Value {
    let suspect = object(&[
        ("suspect", text("A user's UUID, or an IP address")),
        ("userId", or_null(integer("The user's number; null for an address"))),
        ("username", or_null(text("Username; null for an address"))),
        ("weight", integer("Sum over all signals: weight × count")),
        ("signals", signals()),
        ("lastAt", time("Time of the last signal")),
        ("banned", boolean("Whether the user is banned")),
        ("quarantined", boolean("Whether the user is quarantined")),
    ]);
    named("Suspect", suspect)
}

fn audit_entry() -> Value {
    let entry = object(&[
        ("at", time("Time of the action")),
        ("actor", text("Who acted: an admin, or `cli:` and an account")),
        ("action", text("The action")),
        ("userId", or_null(integer("Number of the affected user; null for an operation on a board"))),
        ("username", or_null(text("Name of the affected user"))),
        ("reason", text("The reason given")),
        (
            "detail",
            or_null(json!({ "type": "object", "additionalProperties": true,
            "description": "Total scores `before` and `after`, or `refused` if nothing was done; `board`, `period`, `definition` and `changes`" })),
        ),
    ]);
    named("AuditEntry", entry)
}

fn change() -> Value {
    object(&[
        ("userId", integer("The user's number")),
        ("username", text("Username")),
        ("eventId", or_null(uuid("The ledger entry; null if nothing was held"))),
        ("scoreBefore", or_null(integer("Total score before"))),
        ("newScore", or_null(integer("Total score after"))),
    ])
}
