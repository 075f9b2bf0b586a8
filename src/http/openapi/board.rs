//! The board as both APIs show it: `/api/scoreboard`, `/api/v1/scores/leaderboard`.

use serde_json::Value;

use super::operation::Operation;
use super::schema::{envelope, flag, object, or_null, ten, text, whole};
use crate::error::Code;

pub fn operations() -> Vec<Operation> {
    let metadata =
        object(&[("total", whole("Rows")), ("stale?", flag("Redis is away: there may be a newer board"))]);
    let place = object(&[
        ("userId", whole("The user's number")),
        ("username", text("The name")),
        ("score", whole("The total")),
        ("rank", or_null(whole("The place; none without points"))),
    ]);
    vec![
        board(
            Operation::get("/api/scoreboard/top10", "getTop10", "The ten best, by user number"),
            envelope(200, ten("NumberedRow"), metadata),
        ),
        Operation::get("/api/scoreboard/user/{userId}", "getUserScore", "A user's score and place")
            .login()
            .parameter("path", "userId", true, text("The user's number or UUID"))
            .answer(200, "The user's place", envelope(200, place, object(&[])))
            .refused(&[Code::UserNotFound, Code::ValidationError]),
        board(
            Operation::get("/api/v1/scores/leaderboard", "getLeaderboard", "The ten best, by user UUID"),
            object(&[
                ("leaderboard", ten("Row")),
                ("version", whole("It only grows; µs since the Unix epoch, or a little more")),
                ("stale?", flag("Redis is away: there may be a newer board")),
            ]),
        ),
    ]
}

fn board(operation: Operation, schema: Value) -> Operation {
    let mut operation = operation
        .header("IfNoneMatch")
        .answer(200, "The board as this node knows it", schema)
        .bare_answer(304, "The client has it");
    for status in [200, 304] {
        operation = operation
            .answer_header(status, "ETag", "ETag")
            .answer_header(status, "Age", "Age")
            .answer_header(status, "Cache-Control", "CacheControl");
    }
    operation
}
