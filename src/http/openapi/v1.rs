//! The actions API and verified tokens: `/api/v1/actions`, `action-tokens`, `scores`, `callbacks`.

use serde_json::{Value, json};

use super::game::ACT_TOKEN;
use super::operation::Operation;
use super::schema::{
    boolean, integer, list, map, named, object, one_of, or_null, shared_as, text, time, uuid,
};
use crate::error::Code;

/// A well-formed token with an unknown signature.
const ANTI_SPAM_TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
    eyJzdWIiOiIwMTlhMmM1ZS03YjFkLTdjNDAtOWYzYS0yZDViOGU2ZjFhMDQiLCJhY3QiOiJ3YXRjaF9hZCIsImp0aSI6IjAxOWFhNmYxLTljMD\
    AtN2QzZS04YTViLTRjMmY2ZTFkMGI5NyIsImV4cCI6MTc5NTI3MzIzMH0.\
    oSmXSapUWvFxEUeloNuecbtcIqgtlokf8N8azZE7dDA";
/// The example of AdMob's documentation.
const SIGNATURE: &str =
    "MEUCIQCLJS_s4ia_sN06HqzeW7Wc3nhZi4RlW3qV0oO-6AIYdQIgGJEh-rzKreO-paNDbSCzWGMtmgJHYYW9k2_icM9LFMY";

const KINDS: [&str; 6] = ["elapsed", "quiz", "hashcash", "signed", "webhook", "admob"];

pub fn operations() -> Vec<Operation> {
    let catalogue = Operation::get(
        "/api/v1/actions",
        "listActions",
        "List the actions",
        "Returns the catalogue: the points, limits and required proof of each action. With a login, each action also has the player's \
            remaining wait. `actionId` is the action's number, which `POST /api/v1/action-tokens` accepts.",
    );
    vec![
        catalogue.answer(
            200,
            "Every action, in the catalogue's order",
            object(&[("actions", list(action()))]),
        ),
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
    let limits = object(&[
        ("cooldownMs", integer("Minimum time between two awards in ms; 0: no cooldown")),
        ("capPerHour", integer("Maximum awards per UTC hour; 0: no limit")),
        ("capPerDay", integer("Maximum awards per UTC day; 0: no limit")),
        ("openUtc", or_null(named("OpenHours", open))),
    ]);
    let action = object(&[
        ("actionType", text("Name of the action")),
        ("actionId", integer("Number of the action")),
        ("points", integer("Points of an award")),
        ("pointsByDifficulty", map(integer("Points of an award by the difficulty in the proof"))),
        ("proof", one_of(&kinds)),
        ("checks", list(one_of(&KINDS))),
        ("flows", list(one_of(&["actions", "tokens", "game"]))),
        ("limits", named("ActionLimits", limits)),
        (
            "availableInMs?",
            integer(
                "With a login: ms until the player may start the action, by its cooldown and caps; 0: now",
            ),
        ),
    ]);
    named("Action", action)
}

fn init() -> Operation {
    let about = "Issues a single-use token and, if the action needs a proof, a challenge. `actionId` is the UUID of this attempt, not \
        the action's number.";
    Operation::post("/api/v1/actions/init", "initAction", "Start an action", about)
        .login()
        .rate_limited()
        .body(
            object(&[("actionType", text("Action type in the catalogue"))]),
            json!({ "actionType": "watch_ad" }),
        )
        .answer(
            200,
            "A single-use token, and the challenge",
            object(&[
                ("antiSpamToken", text("The token, a JWT")),
                ("expiresIn", integer("Lifetime of the token in seconds")),
                ("actionId", uuid("UUID of this attempt: the token's `jti`")),
                ("challenge?", shared_as("Challenge")),
            ]),
        )
        .refused(&[Code::InvalidAction, Code::ActionLimitReached, Code::Forbidden])
}

fn finalize() -> Operation {
    let about = "Verifies the proof, redeems the token of `init` and awards the action's points.";
    Operation::post("/api/v1/actions/finalize", "finalizeAction", "Finish an action", about)
        .login()
        .rate_limited()
        .replayable()
        .body(
            object(&[
                ("antiSpamToken?", or_null(text("The token of `init`"))),
                ("proof?", or_null(shared_as("Proof"))),
            ]),
            json!({ "antiSpamToken": ANTI_SPAM_TOKEN }),
        )
        .answer(200, "The points are awarded", shared_as("Award"))
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
    let about = "Verifies the proof and issues a token that can be redeemed later. Send `actionType`, `actionId` or `antiSpamToken`.";
    Operation::post("/api/v1/action-tokens", "issueActionToken", "Prove an action first", about)
        .login()
        .rate_limited()
        .replayable()
        .body(
            object(&[
                ("actionType?", or_null(text("Name of the action"))),
                ("actionId?", or_null(integer("Number of the action in the catalogue"))),
                ("antiSpamToken?", or_null(text("The token of `init`, if the proof needs a challenge"))),
                ("sessionId?", or_null(text("The active game session"))),
                ("proof?", or_null(shared_as("Proof"))),
            ]),
            json!({ "actionType": "watch_ad" }),
        )
        .answer(
            201,
            "A token that can be redeemed without further proof",
            object(&[
                ("actionToken", text("`act_` and 20 characters")),
                ("actionType", text("Name of the action")),
                ("expiresAt", time("When the token expires")),
                ("expiresIn", integer("Lifetime of the token in seconds")),
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
    let about = "Redeems a token of `action-tokens` and awards the action's points.";
    Operation::post("/api/v1/scores", "redeemActionToken", "Redeem a proven token", about)
        .login()
        .rate_limited()
        .replayable()
        .body(
            object(&[
                ("actionToken?", or_null(text("The token of `action-tokens`"))),
                ("sessionId?", or_null(text("The session that the token is bound to"))),
            ]),
            json!({ "actionToken": ACT_TOKEN }),
        )
        .answer(200, "The points are awarded", shared_as("Award"))
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
        "Credit a rewarded ad",
        "AdMob's server-side verification callback. It exists only if the catalogue has an action with the proof `admob`. The signature \
            covers the raw query.",
    );
    // In AdMob's order: the signature covers everything before it.
    for (name, about, example) in [
        ("ad_network", "As AdMob sends it", None),
        ("ad_unit", "The ad unit", Some("2747237135")),
        ("custom_data", "The `antiSpamToken`; without it no points are awarded", None),
        ("reward_amount", "As AdMob sends it", None),
        ("reward_item", "As AdMob sends it", None),
        ("timestamp", "When the ad was watched: ms since the Unix epoch", Some("1795273200000")),
        ("transaction_id", "The reward's id", Some("18fa792de1bca816048293fc71035638")),
        ("user_id", "As AdMob sends it", None),
        ("signature", "ECDSA signature in base64url", Some(SIGNATURE)),
        ("key_id", "Id of Google's key", Some("1268887")),
    ] {
        operation = match example {
            Some(example) => operation.query_parameter(name, text(about), example),
            None => operation.optional_parameter(name, text(about)),
        };
    }
    operation
        .answer(
            200,
            "The points are awarded, or the signed callback has no token: AdMob's console tests the URL like this",
            object(&[
                ("success", boolean("Whether points were awarded")),
                ("newScore", or_null(integer("Total score after the award"))),
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
