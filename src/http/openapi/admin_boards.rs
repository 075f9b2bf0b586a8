//! Boards that admins create: `/api/admin/boards`.

use serde_json::{Value, json};

use super::admin::{admin, done};
use super::boards::board;
use super::operation::Operation;
use super::schema::{envelope, list, map, named, object, one_of, or_null, text, time};
use crate::error::Code;

const IDEMPOTENCY: &str = "With an `Idempotency-Key` a repeat changes nothing. A refusal is not stored.";

pub fn operations() -> Vec<Operation> {
    let create = Operation::post(
        "/api/admin/boards",
        "createBoard",
        "Create a board",
        &format!(
            "Creates a board at run time, such as an event or a tournament, from the keys of `boards.toml`. The checks are those of the \
                file. Other nodes know the board within a second. An id is never used again. {IDEMPOTENCY}"
        ),
    );
    let preview = Operation::post(
        "/api/admin/board-preview",
        "previewBoard",
        "Preview a board",
        "Checks the keys of a new board and returns its current period and the next ones, at most five. Nothing is stored.",
    );
    let change = Operation::patch(
        "/api/admin/boards/{board}",
        "changeBoard",
        "Change a board",
        &format!(
            "Changes the title, the number of kept periods or the visibility of a board that an admin created. {IDEMPOTENCY}"
        ),
    );
    let response = |status| envelope(status, board(), object(&[]));
    let period = object(&[
        ("id", text("Id of the period")),
        ("startsAt", or_null(time("Its first instant; null for `all`"))),
        ("endsAt", or_null(time("The instant after its last one; null for `all`"))),
        ("closesAt", or_null(time("When it is closed; null for `all`"))),
    ]);
    let periods = named("BoardPreview", object(&[("periods", list(named("PreviewedPeriod", period)))]));
    let board_keys = || named("NewBoard", object(&keys()));
    vec![
        admin(create)
            .body(board_keys(), example("spring-cup"))
            .refused(&[Code::AlreadyExists])
            .idempotent()
            .answer(201, "The board", named("CreatedBoardResponse", response(201))),
        admin(preview).body(board_keys(), example("summer-cup")).refused(&[Code::AlreadyExists]).answer(
            200,
            "Its first periods",
            named("BoardPreviewResponse", done(periods)),
        ),
        admin(change)
            .path_parameter("board", text("The board's id"), "spring-cup")
            .body(named("BoardChange", object(&changeable())), json!({ "keep_periods": 12 }))
            .refused(&[Code::BoardNotFound])
            .idempotent()
            .answer(200, "The board", named("ChangedBoardResponse", response(200))),
    ]
}

fn example(id: &str) -> Value {
    json!({
        "id": id,
        "actions": ["complete_level"],
        "period": { "from": "2026-03-01T18:00:00", "until": "2199-03-03T22:00:00" },
        "time_zone": "Europe/Berlin",
        "attempts": 3,
        "reason": "An event of the season",
    })
}

fn number(about: &str, least: u32, most: u32, default: u32) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most, "default": default, "description": about })
}

fn changeable() -> Vec<(&'static str, Value)> {
    vec![
        ("title?", text("Its name for players; the id by default")),
        ("keep_periods?", number("Closed periods that stay readable entry by entry", 1, 10_000, 104)),
        ("visibility?", one_of(&["public", "players", "admins"])),
        ("reason?", text("Reason for the audit log")),
    ]
}

/// The keys of `boards.toml`, which docs/boards.md explains.
fn keys() -> Vec<(&'static str, Value)> {
    let period = json!({
        "description": "How periods follow each other",
        "anyOf": [
            { "type": "string", "enum": ["none", "day", "week", "month", "year"] },
            named("CustomPeriod", object(&[
                ("from", text("Start of the first period: RFC 3339, or without an offset in `time_zone`")),
                ("every?", text("Length of the periods, such as `14d`")),
                ("until?", text("End of the only period")),
            ])),
        ],
    });
    let actions = json!({
        "description": "Action types that count, or `*`",
        "anyOf": [{ "type": "string", "enum": ["*"] }, { "type": "array", "items": { "type": "string" } }],
    });
    let mut keys = vec![
        ("id", text("1 to 40 of `a-z`, `0-9` and `-`")),
        ("actions?", actions),
        ("where?", map(text("The value that this tag must have"))),
        ("measure?", one_of(&["points", "count", "value"])),
        ("aggregate?", one_of(&["sum", "best", "latest"])),
        ("order?", one_of(&["desc", "asc"])),
        ("period?", period),
        ("resets_at?", text("When a period begins, such as `Mon 09:00`")),
        ("time_zone?", text("IANA name; `UTC` by default")),
        ("settle?", text("From the end of a period to its close, such as `10m`")),
        ("ranking?", one_of(&["competition", "dense", "ordinal"])),
        ("split_by?", text("The tag for each of whose values there is one more board")),
        ("top?", number("Entries that subscribers receive", 3, 100, 10)),
        ("decimals?", number("Decimal places of a displayed score", 0, 9, 0)),
        ("attempts?", number("Awards that count for a player in a period; 0: any number", 0, 1_000_000, 0)),
        (
            "backfill?",
            json!({ "type": "boolean", "default": true, "description": "Whether older awards count" }),
        ),
    ];
    keys.extend(changeable());
    keys
}
