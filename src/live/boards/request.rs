//! What clients ask for: to subscribe to boards, or no more.

use serde_json::{Value, json};
use uuid::Uuid;

use super::BoardWatch;
use crate::board::{Viewer, Visibility};
use crate::entries;
use crate::error::{Code, Refusal, Result};
use crate::live::Live;
use crate::live::fanout::SubscriberHandle;
use crate::live::socketio::{Kind, Packet};

/// Most boards of one connection.
pub const MAX_BOARDS: usize = 8;
/// Most boards of one request: each is answered.
const MAX_NAMES: usize = 64;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoardAction {
    /// Get the boards' updates.
    Subscribe,
    /// Get them no more.
    Unsubscribe,
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// By an event of `/api/v1/ws`.
    Event,
    /// By an acknowledgment of Socket.IO, if the client asks for one.
    Acknowledgment(Option<u64>),
}

/// A request of a client.
#[derive(Clone, Debug, PartialEq)]
pub struct BoardRequest {
    /// What it is for.
    pub action: BoardAction,
    /// Should be `{"boards": [address, …]}`.
    pub data: Value,
    /// How it is answered.
    pub reply: Reply,
}

impl BoardRequest {
    /// Reads an event of Socket.IO: its name and arguments. `None` for other events.
    pub fn of_socketio(ack: Option<u64>, mut arguments: Vec<Value>) -> Option<Self> {
        let action = match arguments.first()?.as_str()? {
            "board:subscribe" => BoardAction::Subscribe,
            "board:unsubscribe" => BoardAction::Unsubscribe,
            _ => return None,
        };
        let data = arguments.get_mut(1).map(Value::take).unwrap_or_default();
        Some(Self { action, data, reply: Reply::Acknowledgment(ack) })
    }

    /// The text of the answer; `None` if the client asks for none.
    fn answer(&self, accepted: &[String], refused: &[(String, Code)]) -> Option<String> {
        let refused: Vec<Value> =
            refused.iter().map(|(board, code)| json!({ "board": board, "code": code.as_str() })).collect();
        let data = json!({ "accepted": accepted, "refused": refused });
        let event = match self.action {
            BoardAction::Subscribe => "subscribed",
            BoardAction::Unsubscribe => "unsubscribed",
        };
        match self.reply {
            Reply::Event => Some(json!({ "event": event, "data": data }).to_string()),
            Reply::Acknowledgment(ack) => {
                ack?;
                Some(Packet { ack, ..Packet::new(Kind::Ack, "/", Some(json!([data]))) }.write())
            }
        }
    }

    /// The boards that it names. `Err` has the name to repeat in a refusal.
    fn names(&self) -> Vec<Result<&str, String>> {
        match self.data.get("boards").and_then(Value::as_array) {
            Some(boards) if boards.len() <= MAX_NAMES => {
                boards.iter().map(|board| board.as_str().ok_or_else(|| board.to_string())).collect()
            }
            _ => vec![Err(String::new())],
        }
    }
}

/// Handles a request. `send` sends the answer, which comes before the boards.
pub async fn handle_request(
    live: &Live,
    handle: &mut SubscriberHandle,
    request: &BoardRequest,
    send: impl FnOnce(&SubscriberHandle, String),
) {
    let (mut accepted, mut refused, mut new) = (Vec::new(), Vec::new(), Vec::<BoardWatch>::new());
    for name in request.names() {
        let name = match name {
            Ok(name) => name,
            Err(name) => {
                refused.push((name, Code::ValidationError));
                continue;
            }
        };
        let is_watched = handle.watches(name) || new.iter().any(|watch| watch.board().address == name);
        let refusal = match request.action {
            BoardAction::Unsubscribe => (!handle.unwatch(name)).then_some(Code::BoardNotFound),
            BoardAction::Subscribe if is_watched => None,
            BoardAction::Subscribe if handle.watched() + new.len() >= MAX_BOARDS => {
                Some(Code::ValidationError)
            }
            BoardAction::Subscribe => match handle.viewer.watch(live, name).await {
                Ok(watch) => {
                    new.push(watch);
                    None
                }
                Err(error) => Some(error.code()),
            },
        };
        match refusal {
            None => accepted.push(name.to_owned()),
            Some(code) => refused.push((name.to_owned(), code)),
        }
    }
    if let Some(answer) = request.answer(&accepted, &refused) {
        send(handle, answer);
    }
    new.into_iter().for_each(|watch| handle.watch(watch));
}

/// A client, as far as the boards that it may see depend on it.
pub struct BoardViewer {
    user: Option<Uuid>,
    /// The same for boards of admins, once that was queried: a client may ask for them often.
    of_admins: Option<Viewer>,
}

impl BoardViewer {
    /// A client with a login, or without one.
    pub fn new(user: Option<Uuid>) -> Self {
        Self { user, of_admins: None }
    }

    /// Watches a board that the client may see.
    ///
    /// # Errors
    /// There is no such board for the client; this node follows as many boards as it may; Postgres is unavailable.
    pub async fn watch(&mut self, live: &Live, address: &str) -> Result<BoardWatch> {
        let board = live.entries.boards.find(address)?;
        let viewer = match (board.visibility, self.of_admins) {
            (Visibility::Admins, Some(viewer)) => viewer,
            (visibility, _) => entries::viewer(&live.accounts, visibility, self.user).await?,
        };
        if board.visibility == Visibility::Admins {
            self.of_admins = Some(viewer);
        }
        if !board.visibility.is_open_to(viewer) {
            return Err(Refusal::BoardNotFound.into());
        }
        live.fanout
            .watched()
            .watch(address, &board, self.user, viewer)
            .ok_or_else(|| Refusal::NoSocket.into())
    }
}
