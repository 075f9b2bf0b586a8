//! The game API: `/api/game`, `/api/score`.

use serde_json::{Value, json};

use super::operation::Operation;
use super::schema::{envelope, named, object, or_null, shared_as, text, time, whole};
use crate::error::Code;

/// A token of the right shape that nobody has.
pub const ACT_TOKEN: &str = "act_a1b2c3d4e5f6g7h8i9j0";

pub fn operations() -> Vec<Operation> {
    let done = |name: &str, data: &[(&str, Value)]| envelope(200, named(name, object(data)), object(&[]));
    let start = Operation::post(
        "/api/game/start",
        "startGame",
        "Start a game session",
        "Starts a session and returns its first action token. An earlier session of the user ends.",
    );
    let session = Operation::get(
        "/api/game/session",
        "getGameSession",
        "Get the live game session",
        "Returns the live session and its current token, so that a reloaded page can go on.",
    );
    let update = Operation::post(
        "/api/score/update",
        "updateScore",
        "Redeem the session's token",
        "Awards an action's points for the session's latest token, and returns the next token.",
    );
    let end = Operation::post(
        "/api/game/end",
        "endGame",
        "End the game session",
        "Ends the live session. Its tokens are worth nothing afterwards.",
    );
    vec![
        start
            .login()
            .metered()
            .answer(
                200,
                "The session has started",
                done(
                    "StartedGame",
                    &[
                        ("sessionId", text("`sess_` and 20 characters")),
                        ("actionToken", text("The first token")),
                        ("expiresAt", time("When the session runs out, and all its tokens with it")),
                        ("sessionDuration", whole("Seconds that it lives")),
                    ],
                ),
            )
            .refused(&[Code::Forbidden]),
        session
            .login()
            .answer(
                200,
                "The session",
                done(
                    "GameSession",
                    &[
                        ("sessionId", text("Its id")),
                        ("actionToken", or_null(text("The current token; none after a proof that failed"))),
                        ("startedAt", time("When it began")),
                        ("expiresAt", time("When it runs out")),
                        ("actionsCompleted", whole("Awards so far")),
                    ],
                ),
            )
            .refused(&[Code::TokenNotFound, Code::TokenExpired]),
        update
            .login()
            .metered()
            .says_replayed()
            .body(
                object(&[
                    ("actionToken?", or_null(text("The latest token of the session"))),
                    ("actionType", text("What was done")),
                    ("points", whole("What the catalogue says it is worth")),
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
                        ("newScore", whole("The total after the award")),
                        ("pointsEarned", whole("What the award was worth")),
                        ("rank", whole("The place after the award")),
                        ("newActionToken", text("The next token")),
                        ("expiresAt", time("When the session runs out")),
                        ("receipt?", text("What was won, as a compact JWS (RFC 7515)")),
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
                        ("finalScore", whole("The user's total")),
                        ("actionsCompleted", whole("Awards in the session")),
                        ("sessionDuration", whole("Seconds played")),
                    ],
                ),
            )
            .refused(&[Code::TokenNotFound, Code::TokenExpired]),
    ]
}
