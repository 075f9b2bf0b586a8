//! The boards and their periods: `/api/v1/boards`.

use serde_json::Value;

use super::operation::Operation;
use super::schema::{integer, list, named, object, one_of, or_null, text, time};
use crate::error::Code;

pub fn operations() -> Vec<Operation> {
    let all = Operation::get(
        "/api/v1/boards",
        "listBoards",
        "List the boards",
        "Returns the boards that the caller may see, `global` first, with their current periods. Public boards need no login; an \
            invalid one is ignored.",
    );
    let one = Operation::get(
        "/api/v1/boards/{board}",
        "getBoard",
        "Get a board",
        "Returns a board with its current period.",
    );
    let address =
        "The board's id. A board that is split by a tag also has a board for each value: `weekly@DE`";
    vec![
        all.optional_login()
            .cached("Every board that the caller may see", object(&[("boards", list(board()))])),
        one.optional_login()
            .cached("The board", board())
            .path_parameter("board", text(address), "weekly")
            .refused(&[Code::BoardNotFound]),
    ]
}

fn board() -> Value {
    let board = object(&[
        ("id", text("The board's id, or its address as requested")),
        ("title", text("Its name for players")),
        ("measure", one_of(&["points", "count", "value"])),
        ("aggregate", one_of(&["sum", "best", "latest"])),
        ("order", one_of(&["desc", "asc"])),
        ("decimals", integer("Decimal places of a displayed score. Scores are integers")),
        ("top", integer("Entries that subscribers receive")),
        ("period", or_null(period())),
    ]);
    named("BoardDefinition", board)
}

fn period() -> Value {
    let about = "The current period. Null before the first and after the last one";
    let mut period = object(&[
        ("id", text("`2026-11-28`, `2026-W48`, `2026-11`, `2026`, `p17`; `all` on a board without periods")),
        ("startsAt", or_null(time("Its first instant; null for `all`"))),
        ("endsAt", or_null(time("The instant after its last one; null for `all`"))),
        ("state", one_of(&["open"])),
    ]);
    period["description"] = about.into();
    named("BoardPeriod", period)
}
