//! The admin API: statistics.

use serde_json::{Value, json};

use super::admin::{admin, done};
use super::operation::Operation;
use super::schema::{
    boolean, choice, integer, list, map, named, object, one_of, or_null, range, text, time, uuid,
};
use crate::error::Code;

pub fn operations() -> Vec<Operation> {
    vec![
        get(
            "/api/admin/activity",
            "getActivity",
            "Get activity over time",
            "Counts awards, users, sessions and refusals by hour or day in UTC. The last row is the current, incomplete hour or day. The \
                counts are a few seconds behind.",
        )
        .optional_parameter("hours", range("Period in hours, up to now", 8760, 24))
        .optional_parameter("step", choice("Length of a row", &["hour", "day"]))
        .answer(200, "The activity", done(activity())),
        get(
            "/api/admin/most-active",
            "getMostActive",
            "List the most active users",
            "Returns the users with the most awards in the current hour, day, week (from Monday) or month, in UTC. The counts are a few \
                seconds behind.",
        )
        .optional_parameter("period", choice("Period", &["day", "hour", "week", "month"]))
        .optional_parameter("limit", range("Maximum number of users", 100, 10))
        .answer(200, "Most awards first", done(most_active())),
        get(
            "/api/admin/peak-hours",
            "getPeakHours",
            "Get awards by weekday and hour",
            "Counts awards by weekday and hour, in UTC.",
        )
        .optional_parameter("days", range("Period in days, including today", 365, 28))
        .answer(200, "Seven days from Monday, 24 hours each", done(peak_hours())),
        get(
            "/api/admin/scores",
            "getScores",
            "Get the distribution of scores",
            "Returns percentiles and a histogram of the board's scores. All buckets have the same width and start at 0. If a few scores are \
                far above the others, the last bucket is open-ended and contains them.",
        )
        .answer(200, "The buckets, lowest first", done(scores())),
        get(
            "/api/admin/sessions",
            "getSessions",
            "Get game session statistics",
            "Returns the duration and the number of actions of ended game sessions.",
        )
        .optional_parameter("days", range("Period in days, including today", 365, 28))
        .answer(200, "The sessions", done(sessions())),
    ]
}

/// A read-only admin operation.
pub fn get(path: &'static str, id: &'static str, summary: &str, about: &str) -> Operation {
    admin(Operation::get(path, id, summary, about)).refused(&[Code::ValidationError])
}

fn average(about: &str) -> Value {
    json!({ "type": "number", "minimum": 0, "description": about })
}

fn from() -> Value {
    time("Start of the period")
}

fn to() -> Value {
    time("End of the period, exclusive")
}

fn activity() -> Value {
    let summary = object(&[
        ("activeUsers", integer("Users with an award since `from`")),
        ("awards", integer("Awards")),
        ("points", integer("Points of these awards")),
        ("refusals", integer("Refused requests")),
        ("sessions", integer("Sessions that started since `from` and have ended")),
        ("actionsPerSession", average("Average number of actions per session")),
        ("newUsers", integer("Users who registered since `from`")),
    ]);
    let row = object(&[
        ("at", time("Start of the hour or day")),
        ("awards", integer("Awards")),
        ("points", integer("Points of these awards")),
        ("activeUsers", integer("Users with an award")),
        ("refusals", map(integer("Requests refused with this code"))),
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
        ("userId", integer("The user's number")),
        ("id", uuid("The user's UUID")),
        ("username", text("Username")),
        ("awards", integer("Awards in the period")),
        ("points", integer("Points of these awards")),
        ("lastAt", time("Time of the last award")),
        ("banned", boolean("Whether the user is banned")),
        ("quarantined", boolean("Whether the user is quarantined")),
    ]);
    let users = list(named("ActiveUser", user));
    named("MostActive", object(&[("from", from()), ("to", to()), ("users", users)]))
}

fn peak_hours() -> Value {
    let hours = json!({ "type": "array", "minItems": 24, "maxItems": 24, "items": integer("Awards") });
    let week = json!({ "type": "array", "minItems": 7, "maxItems": 7, "items": hours });
    named("PeakHours", object(&[("from", from()), ("to", to()), ("awards", week)]))
}

fn scores() -> Value {
    let percentiles = object(&[
        ("p50", integer("Median score")),
        ("p90", integer("90th percentile")),
        ("p99", integer("99th percentile")),
        ("max", integer("Highest score")),
    ]);
    let bucket = object(&[
        ("from", integer("Lowest score of the bucket")),
        ("to", or_null(integer("Exclusive upper bound; null if open-ended"))),
        ("users", integer("Users in the bucket")),
    ]);
    let distribution = object(&[
        ("users", integer("Users on the board")),
        ("percentiles", named("ScorePercentiles", percentiles)),
        ("buckets", list(named("ScoreBucket", bucket))),
    ]);
    named("ScoreDistribution", distribution)
}

fn sessions() -> Value {
    let bucket = object(&[
        ("actions", integer("Lowest number of actions of the bucket; the last bucket is open-ended")),
        ("sessions", integer("Sessions in the bucket")),
    ]);
    let sessions = object(&[
        ("from", from()),
        ("to", to()),
        ("sessions", integer("Sessions that started since `from` and have ended")),
        ("actionsPerSession", average("Average number of actions per session")),
        ("averageSeconds", average("Average duration in seconds")),
        ("buckets", list(named("SessionBucket", bucket))),
    ]);
    named("SessionStatistics", sessions)
}
