//! Replies of Redis, which contain texts from players.

use std::sync::Arc;

use laurel::live::{Board, Row};
use laurel::store::{BoardId, EntryKind, PersonalUpdate, internals};
use redis::Value;
use uuid::Uuid;

use super::Input;

fn bulk_string(text: &str) -> Value {
    Value::BulkString(text.into())
}

pub fn replies(data: &[u8]) {
    let address: Arc<str> = "here".into();
    if let Ok(value) = redis::parse_redis_value(data) {
        let _ = internals::entries(value.clone(), &address);
        let _ = internals::redeemed(value, 10);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = PersonalUpdate::parse(text);
    if let Ok(board) = Board::read_publication(BoardId::GLOBAL, text) {
        let again = Board::from_entries(BoardId::GLOBAL, board.version, board.entries());
        assert_eq!(again, board);
    }
    check_entry(&address, text);
    check_name(text);
}

/// Reads an outbox entry as `lua/lib/outbox.lua` writes it, with texts from players: action and session without spaces, any proof.
fn check_entry(address: &Arc<str>, texts: &str) {
    let mut words = texts.splitn(3, ' ');
    let (action, session) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let proof = words.next().unwrap_or_default();
    let (id, user) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let written =
        format!("1 awarded {id} {user} {action} 10 5 15 99 1000 900 2000 hash {session} next 3 1    {proof}");
    let item = Value::Array(vec![
        bulk_string("1-0"),
        Value::Array(vec![bulk_string("entry"), bulk_string(&written)]),
    ]);
    let (entries, unreadable) = internals::entries(Value::Array(vec![item]), address).unwrap();
    assert_eq!((entries.len(), unreadable), (1, 0));
    let entry = &entries[0];
    assert_eq!((entry.kind, entry.id, entry.user, entry.points), (EntryKind::Awarded, id, user, 10));
    assert_eq!((entry.award, entry.held, entry.actions), (Some((5, 15, 99)), true, 3));
    assert_eq!(
        (entry.action.as_str(), entry.session.as_str(), entry.proof.as_str()),
        (action, session, proof)
    );
}

/// Reads a published board with any name without a line break.
fn check_name(text: &str) {
    let username = text.replace(['\n', '\r'], "");
    let score = Input(text.as_bytes()).byte().into();
    let row = Row { user: Uuid::from_u128(1), number: 7, username, score, rank: 1 };
    let board = Board { id: BoardId::GLOBAL, version: 5, rows: vec![row] };
    let published = format!("5\n{}", board.entries()[0]);
    assert_eq!(Board::read_publication(BoardId::GLOBAL, &published).unwrap(), board);
}
