//! The game API: `/api/game`, `/api/score`.

use serde_json::{Value, json};

use super::operation::Operation;
use super::schema::{envelope, integer, named, object, or_null, shared_as, text, time};
use crate::error::Code;

/// A well-formed token that does not exist.
pub const ACT_TOKEN: &str = "act_a1b2c3d4e5f6g7h8i9j0";

pub fn operations() -> Vec<Operation> {
    let done = |name: &str, data: &[(&str, Value)]| envelope(200, named(name, object(data)), object(&[]));
    let start = Operation::post(
        "/api/game/start",
        "startGame",
        "Start a game session",
        "Starts a session and returns its first action token. The user's previous session ends.",
    );
    let session = Operation::get(
        "/api/game/session",
        "getGameSession",
        "Get the active game session",
        "Returns the active session and its current token, so that a reloaded page can continue.",
    );
    let update = Operation::post(
        "/api/score/update",
        "updateScore",
        "Redeem the session's token for points",
        "Awards an action's points for the session's latest token and returns the next token.",
    );
    let end = Operation::post(
        "/api/game/end",
        "endGame",
        "End the game session",
        "Ends the active session. Its tokens become invalid.",
    );
    vec![
        start
            .login()
            .rate_limited()
            .answer(
                200,
                "The session has started",
                done(
                    "StartedGame",
                    &[
                        ("sessionId", text("`sess_` and 20 characters")),
                        ("actionToken", text("The first token")),
                        ("expiresAt", time("When the session and all its tokens expire")),
                        ("sessionDuration", integer("Lifetime of the session in seconds")),
                    ],
                ),
            )
            .refused(&[Code::Forbidden]),
        session
            .login()
            .answer(
                200,
                "The active session",
                done(
                    "GameSession",
                    &[
                        ("sessionId", text("`sess_` and 20 characters")),
                        ("actionToken", or_null(text("The current token; null after an invalid proof"))),
                        ("startedAt", time("Start of the session")),
                        ("expiresAt", time("When the session expires")),
                        ("actionsCompleted", integer("Awards in the session so far")),
                    ],
                ),
            )
            .refused(&[Code::TokenNotFound, Code::TokenExpired]),
        update
            .login()
            .rate_limited()
            .replayable()
            .body(
                object(&[
                    ("actionToken?", or_null(text("The session's latest token"))),
                    ("actionType", text("Action type in the catalogue")),
                    ("points", integer("The action's points in the catalogue")),
                    ("proof?", or_null(shared_as("Proof"))),
                ]),
                json!({ "actionToken": ACT_TOKEN, "actionType": "watch_ad", "points": 10 }),
            )
            .answer(
                200,
                "The points are awarded",
                done(
                    "GameAward",
                    &[
                        ("newScore", integer("Total score after the award")),
                        ("pointsEarned", integer("Points of the award")),
                        ("rank", or_null(integer("Rank after the award; null without points"))),
                        ("newActionToken", text("The next token")),
                        ("expiresAt", time("When the session expires")),
                        ("receipt?", text("Signed record of the award, a compact JWS (RFC 7515)")),
                    ],
                ),
            )
            .refused(&[
                Code::TokenExpired,
                Code::TokenNotFound,
                Code::TokenAlreadyUsed,
                Code::SessionMismatch,
                Code::InvalidAction,
                Code::InvalidPoints,
                Code::ProofInvalid,
                Code::ActionLimitReached,
                Code::Forbidden,
            ]),
        end.login()
            .answer(
                200,
                "The session has ended",
                done(
                    "EndedGame",
                    &[
                        ("finalScore", integer("The user's total score")),
                        ("actionsCompleted", integer("Awards in the session")),
                        ("sessionDuration", integer("Seconds played")),
                    ],
                ),
            )
            .refused(&[Code::TokenNotFound, Code::TokenExpired]),
    ]
}
