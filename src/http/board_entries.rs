//! The entries of a board: `/api/v1/boards/{board}/entries`.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use uuid::Uuid;

use super::address::ClientAddress;
use super::boards::find;
use super::body::{Body, Fields};
use super::etag;
use super::query::Query;
use crate::app::App;
use crate::board::Visibility;
use crate::clock::rfc3339;
use crate::entries::{EntryBody, PageQuery, Snapshot, Start};
use crate::error::{Refusal, Result};

/// Entries of a page, and users of a lookup.
const MAX_ENTRIES: u32 = 200;
const DEFAULT_ENTRIES: u32 = 25;

/// `GET`: a page, with `ETag` and 304.
pub async fn page(
    State(app): State<Arc<App>>,
    from: ClientAddress,
    headers: HeaderMap,
    address: Result<Path<String>, PathRejection>,
    mut query: Query,
) -> Result<Response> {
    let limit = query.number("limit", 1..=MAX_ENTRIES, DEFAULT_ENTRIES);
    let top = query.number("top", 0..=100, 0);
    let period = query.text("period");
    let around = query.parsed("around", |text| match text {
        "me" => Ok(None),
        _ => text.parse::<Uuid>().map(Some).map_err(|_| "must be me or a user's UUID".to_owned()),
    });
    let cursor = query.parsed("cursor", |text| match around {
        Some(_) => Err("cannot be combined with around".to_owned()),
        None => Ok(text.to_owned()),
    });
    query.finish()?;
    let (address, board, caller) = find(&app, address, &headers, from).await?;
    let me = caller.map(|caller| caller.user);
    let start = match (around, cursor) {
        (Some(user), _) => Start::Around(user.or(me).ok_or(Refusal::Unauthorized)?),
        (None, Some(cursor)) => Start::Cursor(cursor),
        (None, None) => Start::Top,
    };
    let query = PageQuery { address: &address, period, start, limit: limit as usize, top: top as usize, me };
    let page = app.entries.page(&board, query).await?;
    let body = PageBody {
        list: ListBody::new(&address, &page.snapshot),
        entries: page.entries.iter().map(EntryBody::new).collect(),
        me: me.map(|_| page.me.as_ref().map(|entry| EntryBody::with_percentile(entry, &page.snapshot))),
        next: page.next,
        previous: page.previous,
    };
    if page.snapshot.state == "closed" {
        // With a login the page has `me`, which is nobody else's.
        let is_public = board.visibility == Visibility::Public && me.is_none();
        let respond = if is_public { etag::respond_closed } else { etag::respond };
        return Ok(respond(&headers, &body));
    }
    // `asOf` changes twice a second.
    let compared = PageBody { list: ListBody { as_of: None, ..body.list.clone() }, ..body.clone() };
    Ok(etag::respond_weakly(&headers, &body, &compared))
}

/// `POST lookup`: the entries of some users, overall and among themselves.
pub async fn lookup(
    State(app): State<Arc<App>>,
    from: ClientAddress,
    headers: HeaderMap,
    address: Result<Path<String>, PathRejection>,
    Body(body): Body,
) -> Result<Response> {
    let (address, board, _) = find(&app, address, &headers, from).await?;
    let mut fields = Fields::read(&body)?;
    let users = fields.uuids("userIds", 1..=MAX_ENTRIES as usize);
    let period = fields.optional_text("period");
    fields.finish()?;
    let users = users.unwrap_or_default();
    let period = Some(period.as_str()).filter(|period| !period.is_empty());
    let (snapshot, entries) = app.entries.lookup(&board, &address, period, &users).await?;
    let found: HashSet<Uuid> = entries.iter().map(|entry| entry.user).collect();
    let mut relative = RelativePlace { position: 0, rank: 0 };
    let mut last_rank = None;
    let found_entries = entries.iter().map(|entry| {
        relative.position += 1;
        if last_rank.replace(entry.rank) != Some(entry.rank) {
            relative.rank = relative.position;
        }
        LookupEntryBody { entry: EntryBody::with_percentile(entry, &snapshot), relative }
    });
    let body = LookupBody {
        list: ListBody::new(&address, &snapshot),
        entries: found_entries.collect(),
        not_found: users.into_iter().filter(|user| !found.contains(user)).collect(),
    };
    Ok(Json(body).into_response())
}

/// What pages and lookups have in common, in the documented order of fields.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListBody<'a> {
    board: &'a str,
    period: &'a str,
    state: &'static str,
    version: i64,
    as_of: Option<String>,
    stale: bool,
    total: u64,
}

impl<'a> ListBody<'a> {
    fn new(address: &'a str, snapshot: &'a Snapshot) -> Self {
        Self {
            board: address,
            period: &snapshot.period,
            state: snapshot.state,
            version: snapshot.version,
            as_of: snapshot.as_of_ms.map(rfc3339),
            stale: snapshot.is_stale,
            total: snapshot.total,
        }
    }
}

#[derive(Clone, Serialize)]
struct PageBody<'a> {
    #[serde(flatten)]
    list: ListBody<'a>,
    entries: Vec<EntryBody<'a>>,
    /// Left out without a login; null for a caller who has no entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    me: Option<Option<EntryBody<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LookupBody<'a> {
    #[serde(flatten)]
    list: ListBody<'a>,
    entries: Vec<LookupEntryBody<'a>>,
    not_found: Vec<Uuid>,
}

#[derive(Serialize)]
struct LookupEntryBody<'a> {
    #[serde(flatten)]
    entry: EntryBody<'a>,
    relative: RelativePlace,
}

/// The place of an entry if the users of the lookup were the only ones.
#[derive(Clone, Copy, Serialize)]
struct RelativePlace {
    position: u64,
    rank: u64,
}
