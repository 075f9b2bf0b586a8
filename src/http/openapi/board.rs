//! The top list and user scores: `/api/scoreboard`, `/api/v1/scores/leaderboard`.

use serde_json::Value;

use super::operation::Operation;
use super::schema::{boolean, envelope, integer, named, object, or_null, text, top_top};
use crate::error::Code;

const CACHED: &str = "Returns the node's current snapshot. Send the `ETag` of the last response as `If-None-Match` to get 304 without a \
    body if nothing changed.";

pub fn operations() -> Vec<Operation> {
    let metadata = object(&[
        ("total", integer("Number of rows")),
        ("stale?", boolean("Redis is unavailable: there may be a newer board")),
    ]);
    let score = object(&[
        ("userId", integer("The user's number")),
        ("username", text("Username")),
        ("score", integer("Total score")),
        ("rank", or_null(integer("Rank; null without points"))),
    ]);
    let user = Operation::get(
        "/api/scoreboard/user/{userId}",
        "getUserScore",
        "Get a user's score and rank",
        "Returns the user's total score and rank. A user without points has score 0 and rank null.",
    );
    vec![
        board(
            Operation::get("/api/scoreboard/top10", "getTop10", "Get the top 10, by user number", CACHED),
            envelope(200, top_top("NumberedRow"), named("BoardMetadata", metadata)),
        ),
        user.login()
            .path_parameter("userId", text("The user's number or UUID"), "1")
            .answer(200, "The user's score", envelope(200, named("UserScore", score), object(&[])))
            .refused(&[Code::UserNotFound, Code::ValidationError]),
        board(
            Operation::get(
                "/api/v1/scores/leaderboard",
                "getLeaderboard",
                "Get the top 10, by user UUID",
                CACHED,
            ),
            object(&[
                ("leaderboard", top_top("Row")),
                (
                    "version",
                    integer("Version of the board. It only increases; about µs since the Unix epoch"),
                ),
                ("stale?", boolean("Redis is unavailable: there may be a newer board")),
            ]),
        ),
    ]
}

fn board(operation: Operation, schema: Value) -> Operation {
    let mut operation = operation
        .header("IfNoneMatch")
        .answer(200, "The node's current board", schema)
        .bare_answer(304, "The client's version is current");
    for status in [200, 304] {
        operation = operation
            .answer_header(status, "ETag", "ETag")
            .answer_header(status, "Age", "Age")
            .answer_header(status, "Cache-Control", "CacheControl");
    }
    operation
}
