//! The operators' API: what they see at a glance, and of one user.

use serde_json::{Value, json};

use super::admin::{admin, one, signs, suspect};
use super::operation::Operation;
use super::schema::{envelope, flag, list, map, object, one_of, or_null, text, time, uuid, whole};
use crate::error::Code;

pub fn operations() -> Vec<Operation> {
    vec![
        get("/api/admin/activity", "getActivity", "Awards, users, sessions and refusals over time")
            .about("Whole hours or days in UTC, the present one the last; none is left out. A few seconds behind.")
            .parameter("query", "hours", false, range(8760, 24))
            .parameter("query", "step", false, one_of(&["hour", "day"]))
            .answer(200, "The activity", done(activity())),
        get("/api/admin/most-active", "getMostActive", "Who has most awards")
            .about("In the present hour, day, week (from Monday) or month, in UTC. A few seconds behind.")
            .parameter("query", "period", false, one_of(&["day", "hour", "week", "month"]))
            .parameter("query", "limit", false, range(100, 10))
            .answer(200, "Most awards first", done(most_active())),
        get("/api/admin/peak-hours", "getPeakHours", "Awards by weekday and hour")
            .parameter("query", "days", false, range(365, 28))
            .answer(200, "Seven days from Monday on, of 24 hours each, in UTC", done(peak_hours())),
        get("/api/admin/scores", "getScores", "How the board's scores are distributed")
            .about("In classes of one width, from 0 on. Where few scores are far above the others, the last class has no end and takes those.")
            .answer(200, "The classes, lowest first", done(scores())),
        get("/api/admin/sessions", "getSessions", "What game sessions were like that have ended")
            .parameter("query", "days", false, range(365, 28))
            .answer(200, "The sessions", done(sessions())),
        get("/api/admin/suspects/{suspect}", "getEvidence", "What there is against one suspect")
            .parameter("path", "suspect", true, text("An address, or a user's UUID, number or name"))
            .parameter("query", "hours", false, range(720, 24))
            .refused(&[Code::UserNotFound])
            .about("Of an address, `players` are those whose signs came from it; of a user, `addresses` are those that theirs came from: the \
                heaviest hundred, each with what was seen of both together.")
            .answer(200, "Signs by hour, newest first, and the user's newest refused attempts", done(evidence())),
        get("/api/admin/users", "searchUsers", "Users by name, number, UUID or e-mail address")
            .parameter("query", "search", false, text("Any part of a name, or all of the others; without it the newest users"))
            .parameter("query", "after", false, json!({ "type": "integer", "minimum": 1, "description": "`next` of the page before" }))
            .parameter("query", "limit", false, range(100, 20))
            .answer(200, "Whom the text means exactly, then names that begin with it, then the others, in order", done(found())),
        one(Operation::get("/api/admin/users/{userId}/history", "getHistory", "All that happened to a user"))
            .parameter("query", "before", false, text("`next` of the page before"))
            .parameter("query", "limit", false, range(200, 50))
            .answer(200, "Newest first", done(history())),
    ]
}

fn get(path: &'static str, id: &str, summary: &str) -> Operation {
    admin(Operation::get(path, id, summary)).refused(&[Code::ValidationError])
}

fn done(data: Value) -> Value {
    envelope(200, data, object(&[]))
}

fn range(most: u32, default: u32) -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": most, "default": default })
}

fn average(about: &str) -> Value {
    json!({ "type": "number", "minimum": 0, "description": about })
}

fn from() -> Value {
    time("It begins here")
}

fn to() -> Value {
    time("And ends before this")
}

fn activity() -> Value {
    let summary = object(&[
        ("activeUsers", whole("Users who had an award since `from`")),
        ("awards", whole("Awards")),
        ("points", whole("What they came to")),
        ("refusals", whole("Requests that were refused")),
        ("sessions", whole("Sessions that began since `from` and have ended")),
        ("actionsPerSession", average("Their actions, on average")),
        ("newUsers", whole("Users who registered")),
    ]);
    let row = object(&[
        ("at", time("When the hour or day begins")),
        ("awards", whole("Awards in it")),
        ("points", whole("What they came to")),
        ("activeUsers", whole("Users who had one")),
        ("refusals", map(whole("Requests that were refused with this code"))),
    ]);
    object(&[
        ("from", from()),
        ("to", to()),
        ("step", one_of(&["hour", "day"])),
        ("summary", summary),
        ("rows", list(row)),
    ])
}

fn most_active() -> Value {
    let user = object(&[
        ("userId", whole("The user's number")),
        ("id", uuid("The user's UUID")),
        ("username", text("The name")),
        ("awards", whole("Awards in the period")),
        ("points", whole("What they came to")),
        ("lastAt", time("The newest award")),
        ("banned", flag("Whether the user is banned")),
        ("aside", flag("Whether the user is set aside")),
    ]);
    object(&[("from", from()), ("to", to()), ("users", list(user))])
}

fn peak_hours() -> Value {
    let hours = json!({ "type": "array", "minItems": 24, "maxItems": 24, "items": whole("Awards") });
    let week = json!({ "type": "array", "minItems": 7, "maxItems": 7, "items": hours });
    object(&[("from", from()), ("to", to()), ("awards", week)])
}

fn scores() -> Value {
    let percentiles = object(&[
        ("p50", whole("Half of the users have no more than this")),
        ("p90", whole("Nine of ten have no more")),
        ("p99", whole("Ninety-nine of a hundred have no more")),
        ("max", whole("Nobody has more")),
    ]);
    let bucket = object(&[
        ("from", whole("The least score in it")),
        ("to", or_null(whole("Scores in it are below this; none if there is no end"))),
        ("users", whole("How many users there are")),
    ]);
    object(&[("users", whole("Users on the board")), ("percentiles", percentiles), ("buckets", list(bucket))])
}

fn sessions() -> Value {
    let bucket = object(&[
        (
            "actions",
            whole("At least so many actions, and fewer than in the next one; the last one has no end"),
        ),
        ("sessions", whole("How many sessions had them")),
    ]);
    object(&[
        ("from", from()),
        ("to", to()),
        ("sessions", whole("Sessions that began since `from` and have ended")),
        ("actionsPerSession", average("Their actions, on average")),
        ("averageSeconds", average("How long they were, on average")),
        ("buckets", list(bucket)),
    ])
}

fn evidence() -> Value {
    let sign = object(&[
        ("hour", time("When the hour begins")),
        ("sign", text("What was seen")),
        ("count", whole("How often")),
        ("firstAt", time("When first")),
        ("lastAt", time("When last")),
    ]);
    let refused = object(&[
        ("at", time("When")),
        ("eventId", uuid("The attempt")),
        ("actionType", text("What for")),
        ("points", whole("What it would have been worth")),
        ("proof", proof()),
    ]);
    object(&[
        ("suspect", text("A user's UUID, or an address")),
        ("userId", or_null(whole("The user's number"))),
        ("username", or_null(text("The user's name"))),
        ("signs", list(sign)),
        ("players", list(suspect())),
        ("addresses", list(suspect())),
        ("refused", list(refused)),
    ])
}

fn found() -> Value {
    let user = object(&[
        ("userId", whole("The user's number")),
        ("id", uuid("The user's UUID")),
        ("username", text("The name")),
        ("role", one_of(&["player", "admin"])),
        ("score", whole("The total, as far as the ledger has come")),
        ("banned", flag("Whether the user is banned")),
        ("aside", flag("Whether the user is set aside")),
        ("createdAt", time("When the user registered")),
    ]);
    object(&[
        ("total", whole("How many users match, on all pages")),
        ("users", list(user)),
        ("next", or_null(whole("Where the next page begins; null at the end"))),
    ])
}

/// What is known of a user.
pub fn user() -> Value {
    object(&[
        ("userId", whole("The user's number")),
        ("id", uuid("The user's UUID")),
        ("username", text("The name")),
        ("role", one_of(&["player", "admin"])),
        ("score", whole("The total")),
        ("shown", whole("How much of it others see")),
        ("rank", or_null(whole("The place on the board"))),
        ("banned", flag("Whether the user is banned")),
        ("aside", flag("Whether the user is set aside")),
        ("awards", whole("Awards; a few seconds behind")),
        ("createdAt", time("When the user registered")),
        ("lastAt", or_null(time("The newest award"))),
        ("signs", signs()),
    ])
}

fn proof() -> Value {
    json!({ "description": "The proof that was given; null if there was none" })
}

fn history() -> Value {
    let points = || json!({ "type": "integer", "description": "By how much the total changed" });
    let kind = |kinds: &[&str], fields: &[(&str, Value)]| {
        let mut all = vec![("kind", one_of(kinds)), ("at", time("When"))];
        all.extend_from_slice(fields);
        object(&all)
    };
    let entry = [
        ("eventId", uuid("The ledger's entry")),
        ("actionType", text("What for")),
        ("points", points()),
        ("scoreBefore", whole("The total before")),
        ("scoreAfter", whole("And after")),
        ("held", flag("Whether it is held back")),
        (
            "note",
            or_null(
                json!({ "type": "object", "additionalProperties": true, "description": "Of an operator: who and why" }),
            ),
        ),
    ];
    let award = [entry.as_slice(), &[("proof", proof())]].concat();
    let attempt = [
        ("eventId", uuid("The attempt")),
        ("actionType", text("What for")),
        ("points", whole("What it would have been worth")),
        ("proof", proof()),
        ("refusedAt", or_null(time("When its proof failed"))),
        ("expiresAt", time("When it runs out")),
    ];
    let session = [
        ("sessionId", text("The game session")),
        ("actions", whole("Awards in it")),
        ("active", flag("Whether it goes on")),
        ("endedAt", or_null(time("When it ended"))),
    ];
    let deed = [
        ("actor", text("Who did it")),
        ("action", text("What")),
        ("reason", text("Why")),
        ("detail", or_null(json!({ "type": "object", "additionalProperties": true }))),
    ];
    let event = json!({ "anyOf": [
        kind(&["award"], &award),
        kind(&["adjustment", "carried"], &entry),
        kind(&["refused", "expired", "open"], &attempt),
        kind(&["session"], &session),
        kind(&["deed"], &deed),
    ] });
    object(&[("events", list(event)), ("next", or_null(text("Where the next page begins; null at the end")))])
}
