//! Players: `/api/v1/users` and `/api/v1/me`.

use serde_json::{Value, json};

use super::operation::Operation;
use super::schema::{integer, list, named, object, one_of, or_null, range, signed_integer, text, time, uuid};
use crate::error::Code;

pub fn operations() -> Vec<Operation> {
    let me = Operation::get(
        "/api/v1/me",
        "getMe",
        "Get the caller's profile",
        "Returns the public profile of the caller, and what only the caller may see.",
    );
    let profile = Operation::get(
        "/api/v1/users/{userId}",
        "getUser",
        "Get a player's profile",
        "Returns what everyone may see of a player. A banned player is not found.",
    );
    let history = Operation::get(
        "/api/v1/users/{userId}/history",
        "getAwardHistory",
        "Get a player's awards",
        "Returns a player's awards in pages, newest first, as far as the ledger has them. Points that are held or were voided, and changes \
            by admins, are left out. New awards move no page.",
    );
    let places = Operation::get(
        "/api/v1/users/{userId}/places",
        "getPlaces",
        "Get a player's places",
        "Returns a player's place in the current period of each board that the caller may see, and the best place in closed periods whose \
            entries are kept; of equal ones the earliest. Boards where the player has neither are left out.",
    );
    let cursor = json!({ "type": "string", "maxLength": 512, "description": "`next` of the previous page" });
    vec![
        me.login()
            .answer(200, "The caller's profile", own_profile())
            .refused(&[Code::Forbidden, Code::UserNotFound]),
        of_player(profile).cached("The profile", named("Profile", object(&public_fields()))),
        of_player(history)
            .optional_parameter("limit", range("Maximum number of entries", 200, 25))
            .optional_parameter("cursor", cursor)
            .cached("Newest first", page()),
        of_player(places)
            .optional_login()
            .cached("In the order of the boards", object(&[("places", list(board_places()))])),
    ]
}

fn of_player(operation: Operation) -> Operation {
    operation
        .path_parameter("userId", text("The player's number or UUID"), "1")
        .refused(&[Code::UserNotFound, Code::ValidationError])
}

fn public_fields() -> Vec<(&'static str, Value)> {
    vec![
        ("userId", uuid("The player's UUID")),
        ("username", text("Username")),
        ("displayName", text("The name to show. At present the username")),
        ("createdAt", time("Time of registration")),
        ("score", integer("Score on the board `global`")),
        ("rank", or_null(integer("Rank on it; null without points"))),
    ]
}

fn own_profile() -> Value {
    let mut fields = public_fields();
    fields.extend([
        ("number", integer("The player's number, `userId` of the game API")),
        ("roles", list(one_of(&["player", "admin"]))),
        ("email?", text("E-mail address. Absent for users of an identity provider")),
    ]);
    named("OwnProfile", object(&fields))
}

fn board_places() -> Value {
    let place = || {
        let place = object(&[
            ("period", text("Id of the period")),
            ("position", integer("Unique place, from 1")),
            ("rank", integer("Place that equal results share, unless the board's ranking is `ordinal`")),
            ("score", signed_integer("The score")),
            ("subscore?", integer("Decides between equal scores")),
            ("achievedAt", time("When the result was reached")),
        ]);
        or_null(named("PeriodPlace", place))
    };
    named(
        "BoardPlaces",
        object(&[("board", text("The board's id")), ("current", place()), ("best", place())]),
    )
}

fn page() -> Value {
    let entry = object(&[
        ("eventId", uuid("The event in the ledger, `jti` of its receipt")),
        ("actionType", text("Action type")),
        ("points", integer("Points earned")),
        ("value?", integer("The value that the proof established, such as ms")),
        ("subscore?", integer("What decides between equal values")),
        ("at", time("Time of the award, by Redis' clock")),
    ]);
    let page = object(&[
        ("entries", list(named("AwardHistoryEntry", entry))),
        ("next?", text("Send it as `cursor` for the next page. Absent on the last page")),
    ]);
    named("AwardHistory", page)
}
