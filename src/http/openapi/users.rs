//! The admin API: search, history and evidence.

use serde_json::{Map, Value, json};

use super::admin::{done, one, signals, suspect};
use super::analytics::get;
use super::operation::Operation;
use super::schema::{boolean, integer, list, map, named, object, one_of, or_null, range, text, time, uuid};
use crate::error::Code;

pub fn operations() -> Vec<Operation> {
    let history = Operation::get(
        "/api/admin/users/{userId}/history",
        "getHistory",
        "Get a user's history",
        "Returns the user's awards, adjustments, refused attempts, sessions and admin actions in pages, newest first.",
    );
    vec![
        get(
            "/api/admin/suspects/{suspect}",
            "getEvidence",
            "Get the abuse signals of a suspect",
            "Returns abuse signals by hour, newest first, and the user's newest refused attempts. For an address, `players` lists the users \
                whose signals came from it. For a user, `addresses` lists the sources of the signals. Each list has the 100 with the \
                highest weight.",
        )
        .path_parameter("suspect", text("An IP address, or a user's UUID, number or username"), "203.0.113.7")
        .optional_parameter("hours", range("Period in hours, up to now", 720, 24))
        .refused(&[Code::UserNotFound])
        .answer(200, "The evidence", done(evidence())),
        get(
            "/api/admin/users",
            "searchUsers",
            "Search users",
            "Finds users by number, UUID, e-mail address or any part of a name. Without a search it returns the newest users.",
        )
        .optional_parameter("search", text("Any part of a username, or a whole number, UUID or e-mail address"))
        .optional_parameter("after", json!({ "type": "integer", "minimum": 1, "maximum": (1u64 << 53) - 1, "description": "`next` of the previous page" }))
        .optional_parameter("limit", range("Maximum number of users", 100, 20))
        .answer(200, "Exact matches first, then names that start with the text, then the others, in alphabetical order", done(found())),
        one(history)
            .optional_parameter("before", text("`next` of the previous page"))
            .optional_parameter("limit", range("Maximum number of events", 200, 50))
            .answer(200, "Newest first", done(events())),
    ]
}

fn evidence() -> Value {
    let signal = object(&[
        ("hour", time("Start of the hour")),
        ("signal", text("Kind of abuse signal")),
        ("count", integer("Occurrences in the hour")),
        ("firstAt", time("First occurrence")),
        ("lastAt", time("Last occurrence")),
    ]);
    let refused = object(&[
        ("at", time("Time of the refusal")),
        ("eventId", uuid("The attempt's id")),
        ("actionType", text("Action type")),
        ("points", integer("Points that the action would have awarded")),
        ("proof", proof()),
    ]);
    let evidence = object(&[
        ("suspect", text("A user's UUID, or an IP address")),
        ("userId", or_null(integer("The user's number"))),
        ("username", or_null(text("Username"))),
        ("signals", list(named("HourlySignal", signal))),
        ("players", list(suspect())),
        ("addresses", list(suspect())),
        ("refused", list(named("RefusedAttempt", refused))),
    ]);
    named("Evidence", evidence)
}

fn found() -> Value {
    let user = object(&[
        ("userId", integer("The user's number")),
        ("id", uuid("The user's UUID")),
        ("username", text("Username")),
        ("role", one_of(&["player", "admin"])),
        ("score", integer("Total score in the ledger")),
        ("banned", boolean("Whether the user is banned")),
        ("quarantined", boolean("Whether the user is quarantined")),
        ("createdAt", time("Time of registration")),
    ]);
    let found = object(&[
        ("total", integer("Number of matching users on all pages")),
        ("users", list(named("FoundUser", user))),
        ("next", or_null(integer("Send it as `after` for the next page; null on the last page"))),
    ]);
    named("FoundUsers", found)
}

/// The report about a user.
pub fn user() -> Value {
    let user = object(&[
        ("userId", integer("The user's number")),
        ("id", uuid("The user's UUID")),
        ("username", text("Username")),
        ("role", one_of(&["player", "admin"])),
        ("score", integer("Total score, held points included")),
        ("shown", integer("Public score on the board")),
        ("rank", or_null(integer("Rank on the board"))),
        ("banned", boolean("Whether the user is banned")),
        ("quarantined", boolean("Whether the user is quarantined")),
        ("awards", integer("Number of awards; a few seconds behind")),
        ("createdAt", time("Time of registration")),
        ("lastAt", or_null(time("Time of the last award"))),
        ("signals", signals()),
    ]);
    named("UserReport", user)
}

fn proof() -> Value {
    json!({ "description": "The submitted proof, or null" })
}

fn award_result() -> Value {
    let result = object(&[
        ("value?", integer("The value that the proof established, such as ms")),
        ("subscore?", integer("What decides between equal values")),
        ("tags?", map(text("The tag's value"))),
    ]);
    named("AwardResult", result)
}

/// One page of events. The `kind` of an event selects its schema.
fn events() -> Value {
    let points = || json!({ "type": "integer", "description": "Change of the total score" });
    let mut mapping = Map::new();
    let mut kind = |name: &str, kinds: &[&str], fields: &[(&str, Value)]| {
        let mut all = vec![("kind", one_of(kinds)), ("at", time("Time of the event"))];
        all.extend_from_slice(fields);
        let place = format!("#/components/schemas/{name}");
        mapping.extend(kinds.iter().map(|kind| (String::from(*kind), place.as_str().into())));
        named(name, object(&all))
    };
    let entry = [
        ("eventId", uuid("The ledger entry")),
        ("actionType", text("Action type")),
        ("points", points()),
        ("scoreBefore", integer("Total score before")),
        ("scoreAfter", integer("Total score after")),
        ("held", boolean("Whether the points are held")),
        ("voidedBy", or_null(uuid("The void that removed the points"))),
    ];
    let note = or_null(
        json!({ "type": "object", "additionalProperties": true, "description": "Actor and reason of an admin's change" }),
    );
    let adjustment = [entry.as_slice(), &[("note", note)]].concat();
    let award = [entry.as_slice(), &[("result", or_null(award_result())), ("proof", proof())]].concat();
    let attempt = [
        ("eventId", uuid("The attempt's id")),
        ("actionType", text("Action type")),
        ("points", integer("Points that the action would have awarded")),
        ("proof", proof()),
        ("refusedAt", or_null(time("When the proof was refused"))),
        ("expiresAt", time("When the token expires")),
    ];
    let session = [
        ("sessionId", text("The game session")),
        ("actions", integer("Awards in the session")),
        ("active", boolean("Whether the session is active")),
        ("endedAt", or_null(time("End of the session"))),
    ];
    let admin_action = [
        ("actor", text("Who acted")),
        ("action", text("The action")),
        ("reason", text("The reason given")),
        ("detail", or_null(json!({ "type": "object", "additionalProperties": true }))),
    ];
    let kinds = [
        kind("AwardEvent", &["award"], &award),
        kind("AdjustmentEvent", &["adjustment", "carried"], &adjustment),
        kind("AttemptEvent", &["refused", "expired", "open"], &attempt),
        kind("SessionEvent", &["session"], &session),
        kind("AdminEvent", &["admin"], &admin_action),
    ];
    let event = json!({ "oneOf": kinds, "discriminator": { "propertyName": "kind", "mapping": mapping } });
    let next = or_null(text("Send it as `before` for the next page; null on the last page"));
    named("History", object(&[("events", list(named("HistoryEvent", event))), ("next", next)]))
}
