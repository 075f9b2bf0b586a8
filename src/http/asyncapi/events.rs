//! The events, with the encoding of `/api/v1` (WebSocket and server-sent events) and of the game API (Socket.IO).

use serde_json::{Value, json};

use super::channel::Message;
use super::schema::{
    boolean, integer, list, object, one_of, or_null, shared_as, signed_integer, text, time, top_top, uuid,
};
use crate::error::Code;

const USER: &str = "019a2c5e-7b1d-7c40-9f3a-2d5b8e6f1a04";
const TIME: &str = "2026-11-21T15:00:00.000Z";
const VERSION: i64 = 1_795_273_200_000_000;

/// An event.
struct Event {
    /// Name of the schema.
    schema: &'static str,
    key: &'static str,
    /// Event name in `/api/v1`.
    name: &'static str,
    /// Event name in the game API.
    game_api: &'static str,
    summary: &'static str,
    /// The whole object in `/api/v1`.
    object: Value,
    object_example: Value,
    /// The event's argument in the game API.
    data: Value,
    data_example: Value,
}

fn all() -> [Event; 6] {
    [connect_success(), leaderboard(), score_personal(), status(), board_updated(), board_personal()]
}

/// The schemas of the objects of `/api/v1`.
pub fn schemas() -> Value {
    let mut schemas = json!({});
    for event in all() {
        schemas[event.schema] = event.object;
    }
    schemas
}

/// The events in the encoding of `/api/v1`.
pub fn plain(wire: impl Fn(&str) -> String) -> Vec<Message> {
    let message = |event: Event| {
        Message::new(event.key, event.name, &wire(event.name), event.summary)
            .payload(shared_as(event.schema), event.object_example)
    };
    all().map(message).into()
}

/// The events in the encoding of the game API.
pub fn game_api() -> Vec<Message> {
    let message = |event: Event| {
        let wire = format!("42[\"{}\",{{payload}}]", event.game_api);
        Message::new(event.key, event.game_api, &wire, event.summary).payload(event.data, event.data_example)
    };
    all().map(message).into()
}

/// The data of a request for boards.
pub fn board_request() -> Value {
    object(&[("boards", list(text("A board's id, or `id@value`")))])
}

/// The data of its answer.
pub fn board_answer() -> Value {
    let codes = [Code::BoardNotFound, Code::ValidationError, Code::ServiceUnavailable, Code::InternalError];
    let refused = object(&[
        ("board", text("The board as requested; empty if `boards` is no list or has more than 64")),
        ("code", one_of(&codes.map(|code| code.as_str()))),
    ]);
    object(&[("accepted", list(text("A board as requested"))), ("refused", list(refused))])
}

/// An example of it.
pub fn board_answer_example() -> Value {
    json!({ "accepted": ["weekly"], "refused": [{ "board": "weekyl", "code": "BOARD_NOT_FOUND" }] })
}

fn named(name: &str, data: Value) -> Value {
    object(&[("event", json!({ "const": name })), ("data", data)])
}

fn connect_success() -> Event {
    let message = || ("message", json!({ "const": "Connected successfully" }));
    let data = object(&[
        message(),
        ("userId?", uuid("The player's UUID; absent without a login")),
        ("username?", text("The player's username; absent without a login")),
    ]);
    let example =
        |user: Value| json!({ "message": "Connected successfully", "userId": user, "username": "ada" });
    Event {
        schema: "ConnectSuccess",
        key: "connectSuccess",
        name: "connect_success",
        game_api: "connect_success",
        summary: "First event: the connected player",
        object: named("connect_success", data),
        object_example: json!({ "event": "connect_success", "data": example(USER.into()) }),
        data: object(&[
            message(),
            ("userId", integer("The player's number")),
            ("username", text("The player's username")),
        ]),
        data_example: example(7.into()),
    }
}

fn leaderboard() -> Event {
    let version = || integer("Version of the board. It only increases; about µs since the Unix epoch");
    let timestamp = || time("Time of the change");
    let mut object_schema = named("leaderboard_updated", top_top("Row"));
    for (name, schema) in [("version", version()), ("timestamp", timestamp())] {
        object_schema["properties"][name] = schema;
        if let Some(required) = object_schema["required"].as_array_mut() {
            required.push(name.into());
        }
    }
    Event {
        schema: "LeaderboardUpdated",
        key: "leaderboardUpdated",
        name: "leaderboard_updated",
        game_api: "scoreboard:update",
        summary: "The complete top 10: after `connect_success`, and whenever a rank, name or score in it changes",
        object: object_schema,
        object_example: json!({
            "event": "leaderboard_updated",
            "data": [{ "userId": USER, "username": "ada", "score": 40, "rank": 1 }],
            "version": VERSION,
            "timestamp": TIME,
        }),
        data: object(&[
            ("top10", top_top("NumberedRow")),
            ("version", version()),
            ("timestamp", timestamp()),
        ]),
        data_example: json!({
            "top10": [{ "rank": 1, "userId": 7, "username": "ada", "score": 40 }],
            "version": VERSION,
            "timestamp": TIME,
        }),
    }
}

fn board_updated() -> Event {
    let data = || {
        object(&[
            ("board", text("The board's address as subscribed to")),
            ("period", text("Id of the current period")),
            ("entries", list(shared_as("EventEntry"))),
            ("version", integer("Version of the board. It only increases; about µs since the Unix epoch")),
            ("timestamp", time("Time of the change")),
            (
                "stale?",
                json!({ "const": true, "description": "There if newer awards may be missing. When that changes, the same version is sent again" }),
            ),
        ])
    };
    let entry = json!({
        "position": 1, "rank": 1, "userId": USER, "username": "ada", "displayName": "ada", "score": 40, "achievedAt": TIME,
    });
    let example = || json!({ "board": "weekly", "period": "2026-W47", "entries": [entry], "version": VERSION, "timestamp": TIME });
    Event {
        schema: "BoardUpdated",
        key: "boardUpdated",
        name: "board_updated",
        game_api: "board:update",
        summary: "The best entries of a board that the client subscribed to: at once, and whenever one of them changes",
        object: named("board_updated", data()),
        object_example: json!({ "event": "board_updated", "data": example() }),
        data: data(),
        data_example: example(),
    }
}

fn board_personal() -> Event {
    let number = |about: &str| or_null(integer(about));
    let data = || {
        object(&[
            ("board", text("The board's address as subscribed to")),
            ("period", text("Id of the period")),
            ("rank", number("Rank of the player's entry; all numbers are null if there is none any more")),
            ("position", number("Position of the entry, which no other entry has")),
            ("score", or_null(signed_integer("Score of the entry"))),
        ])
    };
    let example =
        || json!({ "board": "weekly", "period": "2026-W47", "rank": 1, "position": 1, "score": 40 });
    Event {
        schema: "BoardPersonal",
        key: "boardPersonal",
        name: "board_personal",
        game_api: "board:personal",
        summary: "The player's own entry of a board that the client subscribed to, when it changes",
        object: named("board_personal", data()),
        object_example: json!({ "event": "board_personal", "data": example() }),
        data: data(),
        data_example: example(),
    }
}

fn score_personal() -> Event {
    let data = |user: Value| {
        object(&[
            ("userId", user),
            ("score", integer("Total score after the award")),
            ("rank", or_null(integer("Rank after the award; null without points"))),
            (
                "pointsEarned",
                json!({ "type": "integer", "description": "Points of the award; negative if an admin removed points" }),
            ),
            ("previousRank", or_null(integer("Rank before the award; null without points"))),
        ])
    };
    let example = |user: Value| json!({ "userId": user, "score": 40, "rank": 1, "pointsEarned": 10, "previousRank": 2 });
    Event {
        schema: "ScorePersonal",
        key: "scorePersonal",
        name: "score_personal",
        game_api: "score:personal",
        summary: "The player's own award, sent to all connections of the player",
        object: named("score_personal", data(uuid("The player's UUID"))),
        object_example: json!({ "event": "score_personal", "data": example(USER.into()) }),
        data: data(integer("The player's number")),
        data_example: example(7.into()),
    }
}

fn status() -> Event {
    let data = || {
        object(&[
            ("degraded", boolean("Redis is unavailable: there may be a newer board")),
            ("asOf", time("When the board was last known to be current")),
        ])
    };
    let example = || json!({ "degraded": true, "asOf": TIME });
    Event {
        schema: "Status",
        key: "status",
        name: "status",
        game_api: "status",
        summary: "Whether the board may be out of date: once when Redis becomes unavailable, and once when it is back",
        object: named("status", data()),
        object_example: json!({ "event": "status", "data": example() }),
        data: data(),
        data_example: example(),
    }
}
