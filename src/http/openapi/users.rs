//! The operators' API: what they see of one user.

use serde_json::{Map, Value, json};

use super::admin::{done, one, signs, suspect};
use super::analytics::get;
use super::operation::Operation;
use super::schema::{flag, list, named, object, one_of, or_null, range, text, time, uuid, whole};
use crate::error::Code;

pub fn operations() -> Vec<Operation> {
    let history = Operation::get(
        "/api/admin/users/{userId}/history",
        "getHistory",
        "Get a user's history",
        "Returns the user's awards, adjustments, refused attempts, sessions and what admins did, newest first, in pages.",
    );
    vec![
        get(
            "/api/admin/suspects/{suspect}",
            "getEvidence",
            "Get the evidence against a suspect",
            "Returns abuse signals by hour, newest first, and the user's newest refused attempts. Of an address, `players` are those whose \
                signals came from it; of a user, `addresses` are those that theirs came from: the heaviest hundred.",
        )
        .path_parameter("suspect", text("An address, or a user's UUID, number or name"), "203.0.113.7")
        .optional_parameter("hours", range("How far back", 720, 24))
        .refused(&[Code::UserNotFound])
        .answer(200, "The evidence", done(evidence())),
        get(
            "/api/admin/users",
            "searchUsers",
            "Search users",
            "Finds users by number, UUID, e-mail address or any part of a name. Without a search it returns the newest users.",
        )
        .optional_parameter("search", text("Any part of a name, or all of a number, UUID or e-mail address"))
        .optional_parameter("after", json!({ "type": "integer", "minimum": 1, "maximum": (1u64 << 53) - 1, "description": "`next` of the page before" }))
        .optional_parameter("limit", range("How many at most", 100, 20))
        .answer(200, "Exact matches first, then names that begin with the text, then the others, in order", done(found())),
        one(history)
            .optional_parameter("before", text("`next` of the page before"))
            .optional_parameter("limit", range("How many at most", 200, 50))
            .answer(200, "Newest first", done(events())),
    ]
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
    let evidence = object(&[
        ("suspect", text("A user's UUID, or an address")),
        ("userId", or_null(whole("The user's number"))),
        ("username", or_null(text("The user's name"))),
        ("signs", list(named("EvidenceSign", sign))),
        ("players", list(suspect())),
        ("addresses", list(suspect())),
        ("refused", list(named("RefusedAttempt", refused))),
    ]);
    named("Evidence", evidence)
}

fn found() -> Value {
    let user = object(&[
        ("userId", whole("The user's number")),
        ("id", uuid("The user's UUID")),
        ("username", text("The name")),
        ("role", one_of(&["player", "admin"])),
        ("score", whole("The total, as far as the ledger has come")),
        ("banned", flag("Whether the user is banned")),
        ("quarantined", flag("Whether the user is set aside")),
        ("createdAt", time("When the user registered")),
    ]);
    let found = object(&[
        ("total", whole("How many users match, on all pages")),
        ("users", list(named("FoundUser", user))),
        ("next", or_null(whole("Where the next page begins; null at the end"))),
    ]);
    named("FoundUsers", found)
}

/// What is known of a user.
pub fn user() -> Value {
    let user = object(&[
        ("userId", whole("The user's number")),
        ("id", uuid("The user's UUID")),
        ("username", text("The name")),
        ("role", one_of(&["player", "admin"])),
        ("score", whole("The total")),
        ("shown", whole("How much of it others see")),
        ("rank", or_null(whole("The place on the board"))),
        ("banned", flag("Whether the user is banned")),
        ("quarantined", flag("Whether the user is set aside")),
        ("awards", whole("Awards; a few seconds behind")),
        ("createdAt", time("When the user registered")),
        ("lastAt", or_null(time("The newest award"))),
        ("signs", signs()),
    ]);
    named("UserReport", user)
}

fn proof() -> Value {
    json!({ "description": "The proof that was given; null if there was none" })
}

/// One page. Each event says by its `kind` which of the schemas it has.
fn events() -> Value {
    let points = || json!({ "type": "integer", "description": "By how much the total changed" });
    let mut mapping = Map::new();
    let mut kind = |name: &str, kinds: &[&str], fields: &[(&str, Value)]| {
        let mut all = vec![("kind", one_of(kinds)), ("at", time("When"))];
        all.extend_from_slice(fields);
        let place = format!("#/components/schemas/{name}");
        mapping.extend(kinds.iter().map(|kind| (String::from(*kind), place.as_str().into())));
        named(name, object(&all))
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
    let kinds = [
        kind("AwardEvent", &["award"], &award),
        kind("AdjustmentEvent", &["adjustment", "carried"], &entry),
        kind("AttemptEvent", &["refused", "expired", "open"], &attempt),
        kind("SessionEvent", &["session"], &session),
        kind("AdminEvent", &["deed"], &deed),
    ];
    let event = json!({ "oneOf": kinds, "discriminator": { "propertyName": "kind", "mapping": mapping } });
    let next = or_null(text("Where the next page begins; null at the end"));
    named("History", object(&[("events", list(named("HistoryEvent", event))), ("next", next)]))
}
