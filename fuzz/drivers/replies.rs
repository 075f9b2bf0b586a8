//! Replies of Redis, which contain texts of players.

use std::sync::Arc;

use laurel::live::{Board, Row};
use laurel::store::{BoardId, EntryKind, PersonalUpdate, internals};
use redis::Value;
use uuid::Uuid;

use super::Input;

fn text(text: &str) -> Value {
    Value::BulkString(text.into())
}

pub fn replies(data: &[u8]) {
    let address: Arc<str> = "here".into();
    if let Ok(value) = redis::parse_redis_value(data) {
        let _ = internals::entries(value.clone(), &address);
        let _ = internals::redeemed(value, 10);
    }
    let Ok(plain) = std::str::from_utf8(data) else { return };
    let _ = PersonalUpdate::parse(plain);
    if let Ok(board) = Board::read_publication(BoardId::GLOBAL, plain) {
        let again = Board::from_entries(BoardId::GLOBAL, board.version, board.entries());
        assert_eq!(again, board);
    }
    entry(&address, plain);
    name(plain);
}

/// An entry of the outbox as `lua/lib/outbox.lua` writes it, with texts of players: action and session without spaces, any
/// proof.
fn entry(address: &Arc<str>, plain: &str) {
    let mut words = plain.splitn(3, ' ');
    let (action, session) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let proof = words.next().unwrap_or_default();
    let (id, user) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let written =
        format!("1 awarded {id} {user} {action} 10 5 15 99 1000 900 2000 hash {session} next 3 1   {proof}");
    let item = Value::Array(vec![text("1-0"), Value::Array(vec![text("entry"), text(&written)])]);
    let (entries, unreadable) = internals::entries(Value::Array(vec![item]), address).unwrap();
    assert_eq!((entries.len(), unreadable), (1, 0));
    let it = &entries[0];
    assert_eq!((it.kind, it.id, it.user, it.points), (EntryKind::AwardReply, id, user, 10));
    assert_eq!((it.award, it.held, it.actions), (Some((5, 15, 99)), true, 3));
    assert_eq!((it.action.as_str(), it.session.as_str(), it.proof.as_str()), (action, session, proof));
}

/// Any name without a line break on the board.
fn name(plain: &str) {
    let username = plain.replace(['\n', '\r'], "");
    let score = Input(plain.as_bytes()).byte().into();
    let row = Row { user: Uuid::from_u128(1), number: 7, username, score, rank: 1 };
    let board = Board { id: BoardId::GLOBAL, version: 5, rows: vec![row] };
    let published = format!("5\n{}", board.entries()[0]);
    assert_eq!(Board::read_publication(BoardId::GLOBAL, &published).unwrap(), board);
}
