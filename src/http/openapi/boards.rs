//! The boards and their periods: `/api/v1/boards`.

use serde_json::{Value, json};

use super::operation::Operation;
use super::schema::{
    boolean, integer, list, named, object, one_of, or_null, percentage, range, signed_integer, text, time,
    uuid,
};
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
        page(address),
        lookup(address),
        periods(address),
        one_period(address),
    ]
}

fn page(address: &str) -> Operation {
    let about = "Returns a page of the entries, best first. An entry has a unique `position`, and a `rank` that equal results share. \
        `next` and `previous` are cursors: a cursor is a place in the order, so a player who does not move is on exactly one page. The `ETag` \
        ignores `asOf`.";
    let operation =
        Operation::get("/api/v1/boards/{board}/entries", "listEntries", "List the entries of a board", about);
    let around = "`me` or a user's UUID: that entry is in the middle of the page. `me` needs a login";
    operation
        .optional_login()
        .cached("A page", page_schema())
        .path_parameter("board", text(address), "weekly")
        .optional_parameter("period", text("Id of a period. The current one by default"))
        .optional_parameter("limit", range("Most entries of the page", 200, 25))
        .optional_parameter("cursor", text("`next` or `previous` of a page of this list"))
        .optional_parameter("around", text(around))
        .optional_parameter("top", json!({ "type": "integer", "minimum": 0, "maximum": 100, "default": 0, "description": "Best entries to add before the page" }))
        .refused(&[Code::BoardNotFound, Code::PeriodNotFound, Code::Unauthorized])
}

fn lookup(address: &str) -> Operation {
    let about = "Returns the entries of up to 200 users, such as friends, best first. `relative` is the place that each \
        would have if they were the only ones.";
    let path = "/api/v1/boards/{board}/entries/lookup";
    let body = object(&[
        ("userIds", list(uuid("A user's UUID"))),
        ("period?", text("Id of a period. The current one by default")),
    ]);
    Operation::post(path, "lookUpEntries", "Look up the entries of users", about)
        .optional_login()
        .path_parameter("board", text(address), "weekly")
        .body(body, json!({ "userIds": ["0198c0de-0000-7000-8000-000000000001"] }))
        .answer(200, "The entries", lookup_schema())
        .refused(&[Code::BoardNotFound, Code::PeriodNotFound])
}

fn periods(address: &str) -> Operation {
    let about = "Returns the board's periods, newest first. `total`, `root` and `revision` are there once a period is closed.";
    let operation =
        Operation::get("/api/v1/boards/{board}/periods", "listPeriods", "List the periods of a board", about);
    let schema = object(&[
        ("periods", list(named("PeriodSummary", object(&period_fields())))),
        ("next?", text("Cursor of the next page; absent on the last one")),
    ]);
    operation
        .optional_login()
        .cached("Newest first", schema)
        .path_parameter("board", text(address), "weekly")
        .optional_parameter("limit", range("Most periods of the page", 200, 25))
        .optional_parameter("cursor", text("`next` of a page of this list"))
        .refused(&[Code::BoardNotFound, Code::ValidationError])
}

fn one_period(address: &str) -> Operation {
    let about = "Returns a period. A closed one has a root, which anyone can compute from its entries, a signature over the root by a \
        receipt key, and its revisions: the close, then each later ban, void or late award that changed an entry.";
    let revision = revision(one_of(&["laurel", "operator"]));
    let mut fields = period_fields();
    fields.push((
        "signature?",
        text("Compact JWS over board, period, revision, root, number of entries and time"),
    ));
    fields.push(("revisions?", list(named("PeriodRevision", revision))));
    let path = "/api/v1/boards/{board}/periods/{period}";
    Operation::get(path, "getPeriod", "Get a period of a board", about)
        .optional_login()
        .cached("The period", named("PastPeriod", object(&fields)))
        .path_parameter("board", text(address), "global")
        .path_parameter("period", text("Id of the period"), "all")
        .refused(&[Code::BoardNotFound, Code::PeriodNotFound])
}

/// The data of the admin's list.
pub fn admin_periods() -> Value {
    let page = object(&[
        ("periods", list(named("AdminPeriodSummary", object(&admin_period_fields())))),
        ("next", or_null(text("Cursor of the next page"))),
    ]);
    named("AdminPeriodPage", page)
}

/// The data of one period for admins.
pub fn admin_period() -> Value {
    let mut fields = admin_period_fields();
    fields.push(("revisions", list(admin_revision())));
    named("AdminPeriod", object(&fields))
}

fn admin_period_fields() -> Vec<(&'static str, Value)> {
    let mut fields = period_fields();
    fields.push(("closesAt", or_null(time("When it is closed, unless it is held; null if it never ends"))));
    fields.push(("heldBy", or_null(text("The admin who holds it"))));
    fields.push(("newestRevision", or_null(admin_revision())));
    fields
}

fn admin_revision() -> Value {
    named("AdminPeriodRevision", revision(text("`laurel`, or the admin")))
}

fn revision(actor: Value) -> Value {
    object(&[
        ("revision", integer("1 for the close")),
        ("root", text("The root then, in hex")),
        ("reason", text("`closed`, or why an operator changed an entry")),
        ("actor", actor),
        ("at", time("When")),
    ])
}

fn period_fields() -> Vec<(&'static str, Value)> {
    vec![
        ("id", text("`2026-11-28`, `2026-W48`, `2026-11`, `2026`, `p17`; `all` on a board without periods")),
        ("startsAt", or_null(time("Its first instant; null for `all`"))),
        ("endsAt", or_null(time("The instant after its last one; null for `all`"))),
        ("state", one_of(&["open", "settling", "closed"])),
        ("total?", integer("Entries in the newest revision")),
        ("root?", text("SHA-256 over the entries of the newest revision, in hex")),
        ("revision?", integer("The newest revision")),
    ]
}

/// A board in a response.
pub fn board() -> Value {
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
        ("players", or_null(integer("Players on the board; null while that is not known"))),
    ]);
    period["description"] = about.into();
    named("BoardPeriod", period)
}

fn list_fields() -> Vec<(&'static str, Value)> {
    vec![
        ("board", text("The board's address as requested")),
        ("period", text("Id of the period")),
        ("state", one_of(&["open", "settling", "closed"])),
        ("version", integer("Grows with every change of the board")),
        (
            "asOf",
            or_null(time("Everything redeemed until then is counted; null while the period is not loaded")),
        ),
        (
            "stale",
            boolean(
                "Whether newer awards may be missing, because a store is unavailable or the board is loading",
            ),
        ),
        ("total", integer("Entries on the board")),
    ]
}

/// The fields of an entry.
pub fn entry_fields() -> Vec<(&'static str, Value)> {
    vec![
        ("position", integer("Unique place, from 1. Of equal results the earlier one is first")),
        ("rank", integer("Place that equal results share, unless the board's ranking is `ordinal`")),
        ("percentile?", percentage("Percentage of the entries that this one is at least as good as")),
        ("userId", uuid("The player's UUID")),
        ("username", text("The player's name")),
        ("displayName", text("The name to show")),
        ("score", signed_integer("The score")),
        ("subscore?", integer("Decides between equal scores")),
        ("achievedAt", time("When the result was reached")),
    ]
}

fn entry() -> Value {
    named("BoardEntry", object(&entry_fields()))
}

fn page_schema() -> Value {
    let mut fields = list_fields();
    fields.push(("entries", list(entry())));
    fields.push(("me?", or_null(entry())));
    fields.push(("next?", text("Cursor of the next page; absent on the last one")));
    fields.push(("previous?", text("Cursor of the previous page; absent on the first one")));
    named("BoardPage", object(&fields))
}

fn lookup_schema() -> Value {
    let relative = object(&[
        ("position", integer("Unique place, from 1")),
        ("rank", integer("Place that equal results share")),
    ]);
    let mut entry_fields = entry_fields();
    entry_fields.push(("relative", named("RelativePlace", relative)));
    let entry = named("LookupEntry", object(&entry_fields));
    let mut fields = list_fields();
    fields.push(("entries", list(entry)));
    fields.push(("notFound", list(uuid("A user without an entry"))));
    named("BoardLookup", object(&fields))
}
