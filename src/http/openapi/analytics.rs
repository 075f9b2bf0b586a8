//! The operators' API: what they see at a glance.

use serde_json::{Value, json};

use super::admin::{admin, done};
use super::operation::Operation;
use super::schema::{
    choice, flag, list, map, named, object, one_of, or_null, range, text, time, uuid, whole,
};
use crate::error::Code;

pub fn operations() -> Vec<Operation> {
    vec![
        get(
            "/api/admin/activity",
            "getActivity",
            "Get activity over time",
            "Counts awards, users, sessions and refusals by whole hours or days in UTC. The last row is the present hour or day. The \
                counts are a few seconds behind.",
        )
        .optional_parameter("hours", range("How far back", 8760, 24))
        .optional_parameter("step", choice("What a row covers", &["hour", "day"]))
        .answer(200, "The activity", done(activity())),
        get(
            "/api/admin/most-active",
            "getMostActive",
            "List the most active users",
            "Returns the users with most awards in the present hour, day, week (from Monday) or month, in UTC. The counts are a few \
                seconds behind.",
        )
        .optional_parameter("period", choice("In which period", &["day", "hour", "week", "month"]))
        .optional_parameter("limit", range("How many at most", 100, 10))
        .answer(200, "Most awards first", done(most_active())),
        get(
            "/api/admin/peak-hours",
            "getPeakHours",
            "Get awards by weekday and hour",
            "Counts awards by weekday and hour, in UTC.",
        )
        .optional_parameter("days", range("How far back", 365, 28))
        .answer(200, "Seven days from Monday on, of 24 hours each", done(peak_hours())),
        get(
            "/api/admin/scores",
            "getScores",
            "Get the distribution of scores",
            "Returns percentiles and a histogram of the board's scores. Its buckets have one width and begin at 0. Where a few scores are far \
                above the others, the last bucket has no end and takes those.",
        )
        .answer(200, "The buckets, lowest first", done(scores())),
        get(
            "/api/admin/sessions",
            "getSessions",
            "Get statistics of game sessions",
            "Returns how long ended game sessions were, and how many actions they had.",
        )
        .optional_parameter("days", range("How far back", 365, 28))
        .answer(200, "The sessions", done(sessions())),
    ]
}

/// An answer about all users.
pub fn get(path: &'static str, id: &'static str, summary: &str, about: &str) -> Operation {
    admin(Operation::get(path, id, summary, about)).refused(&[Code::ValidationError])
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
    let activity = object(&[
        ("from", from()),
        ("to", to()),
        ("step", one_of(&["hour", "day"])),
        ("summary", named("ActivitySummary", summary)),
        ("rows", list(named("ActivityRow", row))),
    ]);
    named("Activity", activity)
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
        ("quarantined", flag("Whether the user is set aside")),
    ]);
    let users = list(named("ActiveUser", user));
    named("MostActive", object(&[("from", from()), ("to", to()), ("users", users)]))
}

fn peak_hours() -> Value {
    let hours = json!({ "type": "array", "minItems": 24, "maxItems": 24, "items": whole("Awards") });
    let week = json!({ "type": "array", "minItems": 7, "maxItems": 7, "items": hours });
    named("PeakHours", object(&[("from", from()), ("to", to()), ("awards", week)]))
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
    let distribution = object(&[
        ("users", whole("Users on the board")),
        ("percentiles", named("ScorePercentiles", percentiles)),
        ("buckets", list(named("ScoreBucket", bucket))),
    ]);
    named("ScoreDistribution", distribution)
}

fn sessions() -> Value {
    let bucket = object(&[
        (
            "actions",
            whole("At least so many actions, and fewer than in the next one; the last one has no end"),
        ),
        ("sessions", whole("How many sessions had them")),
    ]);
    let sessions = object(&[
        ("from", from()),
        ("to", to()),
        ("sessions", whole("Sessions that began since `from` and have ended")),
        ("actionsPerSession", average("Their actions, on average")),
        ("averageSeconds", average("How long they were, on average")),
        ("buckets", list(named("SessionBucket", bucket))),
    ]);
    named("SessionStatistics", sessions)
}
