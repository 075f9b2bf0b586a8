//! The board as both APIs show it: `/api/scoreboard`, `/api/v1/scores/leaderboard`.

use serde_json::Value;

use super::operation::Operation;
use super::schema::{envelope, flag, named, object, or_null, text, top_top, whole};
use crate::error::Code;

const CACHED: &str = "The answer comes from the node's own snapshot. Send the `ETag` of the last answer as `If-None-Match`, and an \
    unchanged board costs no body.";

pub fn operations() -> Vec<Operation> {
    let metadata =
        object(&[("total", whole("Rows")), ("stale?", flag("Redis is away: there may be a newer board"))]);
    let place = object(&[
        ("userId", whole("The user's number")),
        ("username", text("The name")),
        ("score", whole("The total")),
        ("rank", or_null(whole("The place; none without points"))),
    ]);
    let user = Operation::get(
        "/api/scoreboard/user/{userId}",
        "getUserScore",
        "Get a user's score and rank",
        "Returns the user's total and rank. A user without points has score 0 and rank null.",
    );
    vec![
        board(
            Operation::get("/api/scoreboard/top10", "getTop10", "Get the top 10, by user number", CACHED),
            envelope(200, top_top("NumberedRow"), named("BoardMetadata", metadata)),
        ),
        user.login()
            .path_parameter("userId", text("The user's number or UUID"), "1")
            .answer(200, "The user's score", envelope(200, named("UserScore", place), object(&[])))
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
