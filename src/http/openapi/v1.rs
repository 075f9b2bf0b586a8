//! The actions API and verified tokens: `/api/v1/actions`, `action-tokens`, `scores`, `callbacks`.

use serde_json::Value;

use super::operation::Operation;
use super::schema::{flag, list, map, object, one_of, or_null, shared_as, text, time, uuid, whole};
use crate::error::Code;

const KINDS: [&str; 6] = ["elapsed", "quiz", "hashcash", "signed", "webhook", "admob"];

pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/actions", "listActions", "The catalogue")
            .about("With a login, each action says how long the player has to wait for it.")
            .answer(200, "Every action, in the catalogue's order", object(&[("actions", list(action()))])),
        init(),
        finalize(),
        prove(),
        redeem(),
        admob(),
    ]
}

fn action() -> Value {
    let open = object(&[("from", text("`HH:MM`, in UTC")), ("to", text("`HH:MM`, in UTC"))]);
    let mut kinds = vec!["none", "all"];
    kinds.extend(KINDS);
    object(&[
        ("actionType", text("Its name")),
        ("actionId", whole("Its number")),
        ("points", whole("What an award is worth")),
        ("pointsByDifficulty", map(whole("What it is worth where the proof says how hard it was"))),
        ("proof", one_of(&kinds)),
        ("checks", list(one_of(&KINDS))),
        ("doors", list(one_of(&["actions", "tokens", "game"]))),
        (
            "limits",
            object(&[
                ("cooldownMs", whole("Least time between two awards; 0: none")),
                ("capPerHour", whole("Awards in a UTC hour; 0: any number")),
                ("capPerDay", whole("Awards in a UTC day; 0: any number")),
                ("openUtc", or_null(open)),
            ]),
        ),
        (
            "availableInMs?",
            whole("With a login: ms until the action's cooldown and caps let the player start it; 0: now"),
        ),
    ])
}

fn init() -> Operation {
    Operation::post("/api/v1/actions/init", "initAction", "Start an action")
        .login()
        .metered()
        .body(object(&[("actionType", text("Its name in the catalogue"))]))
        .answer(
            200,
            "A token that works once, and what has to be shown with it",
            object(&[
                ("antiSpamToken", text("The token, a JWT")),
                ("expiresIn", whole("Seconds that it lives")),
                ("actionId", uuid("The attempt's id")),
                ("challenge?", shared_as("Challenge")),
            ]),
        )
        .refused(&[Code::InvalidAction, Code::ActionLimitReached, Code::Forbidden])
}

fn finalize() -> Operation {
    Operation::post("/api/v1/actions/finalize", "finalizeAction", "Prove an action, and win its points")
        .login()
        .metered()
        .says_replayed()
        .body(object(&[
            ("antiSpamToken?", or_null(text("The token of `init`"))),
            ("proof?", or_null(shared_as("Proof"))),
        ]))
        .answer(200, "The points are won", shared_as("Award"))
        .refused(&[
            Code::TokenExpired,
            Code::TokenAlreadyUsed,
            Code::InvalidAction,
            Code::InvalidPoints,
            Code::ProofInvalid,
            Code::ActionLimitReached,
            Code::Forbidden,
        ])
}

fn prove() -> Operation {
    Operation::post("/api/v1/action-tokens", "issueActionToken", "Prove an action first")
        .about("One of `actionType`, `actionId` and `antiSpamToken` has to be there.")
        .login()
        .metered()
        .says_replayed()
        .body(object(&[
            ("actionType?", or_null(text("The action's name"))),
            ("actionId?", or_null(whole("The action's number"))),
            ("antiSpamToken?", or_null(text("The token of `init`, where the proof needs a challenge"))),
            ("sessionId?", or_null(text("The live game session"))),
            ("proof?", or_null(shared_as("Proof"))),
        ]))
        .answer(
            201,
            "A token that is redeemed later, without any further proof",
            object(&[
                ("actionToken", text("`act_` and more")),
                ("actionType", text("What it is for")),
                ("expiresAt", time("When it runs out")),
                ("expiresIn", whole("Seconds that it lives")),
            ]),
        )
        .refused(&[
            Code::TokenExpired,
            Code::TokenNotFound,
            Code::TokenAlreadyUsed,
            Code::SessionMismatch,
            Code::InvalidAction,
            Code::ProofInvalid,
            Code::ActionLimitReached,
            Code::Forbidden,
        ])
}

fn redeem() -> Operation {
    Operation::post("/api/v1/scores", "redeemActionToken", "Redeem a proven token")
        .login()
        .metered()
        .says_replayed()
        .body(object(&[
            ("actionToken?", or_null(text("The token of `action-tokens`"))),
            ("sessionId?", or_null(text("The session that it is bound to"))),
        ]))
        .answer(200, "The points are won", shared_as("Award"))
        .refused(&[
            Code::TokenExpired,
            Code::TokenNotFound,
            Code::TokenAlreadyUsed,
            Code::SessionMismatch,
            Code::InvalidAction,
            Code::InvalidPoints,
            Code::ActionLimitReached,
            Code::Forbidden,
        ])
}

fn admob() -> Operation {
    let mut operation = Operation::get(
        "/api/v1/callbacks/admob",
        "creditAd",
        "AdMob says that an ad was watched",
    )
    .about(
        "Only where the catalogue has an action with the proof `admob`. The signature is over the raw query.",
    );
    let asked = [
        ("ad_unit", "The ad unit"),
        ("timestamp", "When the ad was watched, in ms since the Unix epoch"),
        ("transaction_id", "The reward's id"),
        ("signature", "ECDSA, in base64url"),
        ("key_id", "The number of Google's key"),
    ];
    for (name, about) in asked {
        operation = operation.parameter("query", name, true, text(about));
    }
    operation = operation.parameter(
        "query",
        "custom_data",
        false,
        text("The `antiSpamToken`; without it nothing is won"),
    );
    for name in ["user_id", "reward_item", "reward_amount", "ad_network"] {
        operation = operation.parameter("query", name, false, text("As AdMob sends it"));
    }
    operation
        .answer(
            200,
            "The points are won, or the signed call has nothing to award: AdMob's console tests the URL so",
            object(&[
                ("success", flag("Whether points were won")),
                ("newScore", or_null(whole("The total after the award"))),
            ]),
        )
        .refused(&[
            Code::NotFound,
            Code::ValidationError,
            Code::InvalidToken,
            Code::TokenExpired,
            Code::TokenAlreadyUsed,
            Code::UserNotFound,
            Code::InvalidAction,
            Code::InvalidPoints,
            Code::ProofInvalid,
            Code::ActionLimitReached,
            Code::Forbidden,
            Code::IdempotencyMismatch,
        ])
}
