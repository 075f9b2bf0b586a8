//! The actions API and verified tokens: `/api/v1/actions`, `action-tokens`, `scores`, `callbacks`.

use serde_json::{Value, json};

use super::game::ACT_TOKEN;
use super::operation::Operation;
use super::schema::{flag, list, map, named, object, one_of, or_null, shared_as, text, time, uuid, whole};
use crate::error::Code;

/// A token of the right shape that no node has signed.
const ANTI_SPAM_TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
    eyJzdWIiOiIwMTlhMmM1ZS03YjFkLTdjNDAtOWYzYS0yZDViOGU2ZjFhMDQiLCJhY3QiOiJ3YXRjaF9hZCIsImp0aSI6IjAxOWFhNmYxLTljMD\
    AtN2QzZS04YTViLTRjMmY2ZTFkMGI5NyIsImV4cCI6MTc5NTI3MzIzMH0.\
    oSmXSapUWvFxEUeloNuecbtcIqgtlokf8N8azZE7dDA";
/// As in AdMob's documentation.
const SIGNATURE: &str =
    "MEUCIQCLJS_s4ia_sN06HqzeW7Wc3nhZi4RlW3qV0oO-6AIYdQIgGJEh-rzKreO-paNDbSCzWGMtmgJHYYW9k2_icM9LFMY";

const KINDS: [&str; 6] = ["elapsed", "quiz", "hashcash", "signed", "webhook", "admob"];

pub fn operations() -> Vec<Operation> {
    let catalogue = Operation::get(
        "/api/v1/actions",
        "listActions",
        "List the actions",
        "Returns the catalogue: what each action is worth, how it is limited and what proof it needs. With a login, each action says \
            how long the player has to wait for it.",
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
        ("cooldownMs", whole("Least time between two awards; 0: none")),
        ("capPerHour", whole("Awards in a UTC hour; 0: any number")),
        ("capPerDay", whole("Awards in a UTC day; 0: any number")),
        ("openUtc", or_null(named("OpenHours", open))),
    ]);
    let action = object(&[
        ("actionType", text("Its name")),
        ("actionId", whole("Its number")),
        ("points", whole("What an award is worth")),
        ("pointsByDifficulty", map(whole("What it is worth where the proof says how hard it was"))),
        ("proof", one_of(&kinds)),
        ("checks", list(one_of(&KINDS))),
        ("flows", list(one_of(&["actions", "tokens", "game"]))),
        ("limits", named("ActionLimits", limits)),
        (
            "availableInMs?",
            whole("With a login: ms until the action's cooldown and caps let the player start it; 0: now"),
        ),
    ]);
    named("Action", action)
}

fn init() -> Operation {
    let about = "Issues a token that works once, and the challenge of an action that needs a proof.";
    Operation::post("/api/v1/actions/init", "initAction", "Start an action", about)
        .login()
        .metered()
        .body(
            object(&[("actionType", text("Its name in the catalogue"))]),
            json!({ "actionType": "watch_ad" }),
        )
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
    let about = "Verifies the proof, redeems the token of `init` and awards the action's points.";
    Operation::post("/api/v1/actions/finalize", "finalizeAction", "Finish an action", about)
        .login()
        .metered()
        .says_replayed()
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
    let about = "Verifies the proof now and issues a token that is redeemed later. Name the action by `actionType`, `actionId` or \
        `antiSpamToken`.";
    Operation::post("/api/v1/action-tokens", "issueActionToken", "Prove an action first", about)
        .login()
        .metered()
        .says_replayed()
        .body(
            object(&[
                ("actionType?", or_null(text("The action's name"))),
                ("actionId?", or_null(whole("The action's number"))),
                ("antiSpamToken?", or_null(text("The token of `init`, where the proof needs a challenge"))),
                ("sessionId?", or_null(text("The live game session"))),
                ("proof?", or_null(shared_as("Proof"))),
            ]),
            json!({ "actionType": "watch_ad" }),
        )
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
    let about = "Redeems a token of `action-tokens` and awards the action's points.";
    Operation::post("/api/v1/scores", "redeemActionToken", "Redeem a proven token", about)
        .login()
        .metered()
        .says_replayed()
        .body(
            object(&[
                ("actionToken?", or_null(text("The token of `action-tokens`"))),
                ("sessionId?", or_null(text("The session that it is bound to"))),
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
        "AdMob's server-side verification callback. It exists only where the catalogue has an action with the proof `admob`. The \
            signature is over the raw query.",
    );
    // In AdMob's order: the signature covers all that stands before it.
    for (name, about, example) in [
        ("ad_network", "As AdMob sends it", None),
        ("ad_unit", "The ad unit", Some("2747237135")),
        ("custom_data", "The `antiSpamToken`; without it nothing is awarded", None),
        ("reward_amount", "As AdMob sends it", None),
        ("reward_item", "As AdMob sends it", None),
        ("timestamp", "When the ad was watched, in ms since the Unix epoch", Some("1795273200000")),
        ("transaction_id", "The reward's id", Some("18fa792de1bca816048293fc71035638")),
        ("user_id", "As AdMob sends it", None),
        ("signature", "ECDSA, in base64url", Some(SIGNATURE)),
        ("key_id", "The number of Google's key", Some("1268887")),
    ] {
        operation = match example {
            Some(example) => operation.query_parameter(name, text(about), example),
            None => operation.optional_parameter(name, text(about)),
        };
    }
    operation
        .answer(
            200,
            "The points are awarded, or the signed call has nothing to award: AdMob's console tests the URL so",
            object(&[
                ("success", flag("Whether points were awarded")),
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
