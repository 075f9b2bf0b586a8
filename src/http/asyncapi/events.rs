//! The four events, each in one place: as `/api/v1` spells it, over WebSocket and stream, and as the game API does, over
//! Socket.IO. The encodings are in `live/fanout/dialect.rs`.

use serde_json::{Value, json};

use super::message::Message;
use super::schema::{flag, object, or_null, shared_as, text, time, top_top, uuid, whole};

const USER: &str = "019a2c5e-7b1d-7c40-9f3a-2d5b8e6f1a04";
const HLC_US: &str = "2026-11-21T15:00:00.000Z";
const VERSION: i64 = 1_795_273_200_000_000;

/// One thing that is told.
struct Event {
    /// The name of its schema.
    schema: &'static str,
    key: &'static str,
    /// Its name by `/api/v1`.
    name: &'static str,
    /// Its name by the game API.
    game_api: &'static str,
    summary: &'static str,
    /// What stands beside `event` in an object of `/api/v1`.
    object: Value,
    object_example: Value,
    /// What comes with the event of the game API.
    data: Value,
    data_example: Value,
}

fn all() -> [Event; 4] {
    [greeting(), board(), news(), status()]
}

/// The objects of `/api/v1` by their names.
pub fn schemas() -> Value {
    let mut schemas = json!({});
    for event in all() {
        schemas[event.schema] = event.object;
    }
    schemas
}

/// The events as a channel of `/api/v1` carries them.
pub fn plain(wire: impl Fn(&str) -> String) -> Vec<Message> {
    let message = |it: Event| {
        Message::new(it.key, it.name, &wire(it.name), it.summary)
            .payload(shared_as(it.schema), it.object_example)
    };
    all().map(message).into()
}

/// The events as Socket.IO carries them.
pub fn game_api() -> Vec<Message> {
    let message = |it: Event| {
        let wire = format!("42[\"{}\",{{payload}}]", it.game_api);
        Message::new(it.key, it.game_api, &wire, it.summary).payload(it.data, it.data_example)
    };
    all().map(message).into()
}

fn named(name: &str, data: Value) -> Value {
    object(&[("event", json!({ "const": name })), ("data", data)])
}

fn greeting() -> Event {
    let message = || ("message", json!({ "const": "Connected successfully" }));
    let spectators = object(&[
        message(),
        ("userId?", uuid("The player's UUID; none for a spectator")),
        ("username?", text("The player's name; none for a spectator")),
    ]);
    let example =
        |user: Value| json!({ "message": "Connected successfully", "userId": user, "username": "ada" });
    Event {
        schema: "ConnectSuccess",
        key: "connectSuccess",
        name: "connect_success",
        game_api: "connect_success",
        summary: "Who is connected: the first event",
        object: named("connect_success", spectators),
        object_example: json!({ "event": "connect_success", "data": example(USER.into()) }),
        data: object(&[
            message(),
            ("userId", whole("The player's number")),
            ("username", text("The player's name")),
        ]),
        data_example: example(7.into()),
    }
}

fn board() -> Event {
    let version = || whole("It only grows; µs since the Unix epoch, or a little more");
    let timestamp = || time("When the ten became so");
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
        summary: "The ten best, whole: right after the greeting, and when a place, a name or a score among them has changed",
        object: object_schema,
        object_example: json!({
            "event": "leaderboard_updated",
            "data": [{ "userId": USER, "username": "ada", "score": 40, "rank": 1 }],
            "version": VERSION,
            "timestamp": HLC_US,
        }),
        data: object(&[
            ("top10", top_top("NumberedRow")),
            ("version", version()),
            ("timestamp", timestamp()),
        ]),
        data_example: json!({
            "top10": [{ "rank": 1, "userId": 7, "username": "ada", "score": 40 }],
            "version": VERSION,
            "timestamp": HLC_US,
        }),
    }
}

fn news() -> Event {
    let data = |user: Value| {
        object(&[
            ("userId", user),
            ("score", whole("The total after the award")),
            ("rank", or_null(whole("The place after it; none without points"))),
            (
                "pointsEarned",
                json!({ "type": "integer", "description": "What was won; below 0 where an operator took away" }),
            ),
            ("previousRank", or_null(whole("The place before it; none without points"))),
        ])
    };
    let example = |user: Value| json!({ "userId": user, "score": 40, "rank": 1, "pointsEarned": 10, "previousRank": 2 });
    Event {
        schema: "ScorePersonal",
        key: "scorePersonal",
        name: "score_personal",
        game_api: "score:personal",
        summary: "One's own award, to every socket of the player on every node",
        object: named("score_personal", data(uuid("The player's UUID"))),
        object_example: json!({ "event": "score_personal", "data": example(USER.into()) }),
        data: data(whole("The player's number")),
        data_example: example(7.into()),
    }
}

fn status() -> Event {
    let data = || {
        object(&[
            ("degraded", flag("Redis is away, and nothing newer than the last board is known")),
            ("asOf", time("As of when the board is known to have been the newest")),
        ])
    };
    let example = || json!({ "degraded": true, "asOf": HLC_US });
    Event {
        schema: "Status",
        key: "status",
        name: "status",
        game_api: "status",
        summary: "Whether what is shown may be old: once when Redis goes, and once when it is back",
        object: named("status", data()),
        object_example: json!({ "event": "status", "data": example() }),
        data: data(),
        data_example: example(),
    }
}
