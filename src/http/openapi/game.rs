//! The game API: `/api/game`, `/api/score`.

use serde_json::Value;

use super::operation::Operation;
use super::schema::{envelope, object, or_null, shared_as, text, time, whole};
use crate::error::Code;

pub fn operations() -> Vec<Operation> {
    let done = |data: &[(&str, Value)]| envelope(200, object(data), object(&[]));
    vec![
        Operation::post("/api/game/start", "startGame", "Start a session; an earlier one ends")
            .login()
            .metered()
            .answer(
                200,
                "The session has begun",
                done(&[
                    ("sessionId", text("`sess_` and 20 characters")),
                    ("actionToken", text("The first token")),
                    ("expiresAt", time("When the session runs out, and all its tokens with it")),
                    ("sessionDuration", whole("Seconds that it lives")),
                ]),
            )
            .refused(&[Code::Forbidden]),
        Operation::get("/api/game/session", "getGameSession", "The live session")
            .about("So that a reloaded page can go on.")
            .login()
            .answer(
                200,
                "The session",
                done(&[
                    ("sessionId", text("Its id")),
                    ("actionToken", or_null(text("The current token; none after a proof that failed"))),
                    ("startedAt", time("When it began")),
                    ("expiresAt", time("When it runs out")),
                    ("actionsCompleted", whole("Awards so far")),
                ]),
            )
            .refused(&[Code::TokenNotFound, Code::TokenExpired]),
        Operation::post("/api/score/update", "updateScore", "Redeem a session's token")
            .login()
            .metered()
            .says_replayed()
            .body(object(&[
                ("actionToken?", or_null(text("The latest token of the session"))),
                ("actionType", text("What was done")),
                ("points", whole("What the catalogue says it is worth")),
                ("proof?", or_null(shared_as("Proof"))),
            ]))
            .answer(
                200,
                "The points are won",
                done(&[
                    ("newScore", whole("The total after the award")),
                    ("pointsEarned", whole("What the award was worth")),
                    ("rank", whole("The place after the award")),
                    ("newActionToken", text("The next token")),
                    ("expiresAt", time("When the session runs out")),
                    ("receipt?", text("What was won, as a compact JWS (RFC 7515)")),
                ]),
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
        Operation::post("/api/game/end", "endGame", "End the live session and its tokens")
            .login()
            .answer(
                200,
                "The session has ended",
                done(&[
                    ("finalScore", whole("The user's total")),
                    ("actionsCompleted", whole("Awards in the session")),
                    ("sessionDuration", whole("Seconds played")),
                ]),
            )
            .refused(&[Code::TokenNotFound, Code::TokenExpired]),
    ]
}
