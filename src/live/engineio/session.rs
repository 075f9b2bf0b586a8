//! One client's session, whatever carries it at the moment. What goes out waits in one short queue that the present
//! transport takes whole; what comes in goes to the app in order.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::packet::{Message, Packet, Wire};
use super::transport::{Task, Transport};
use super::{Guest, Settings, Socket};
use crate::live::pace::Pace;
use crate::live::websocket;

/// Packets that may wait; the app sends the newest state only when the queue is empty, so a full one means a client that
/// asks for answers and does not take them.
const MAX_QUEUE: usize = 256;
/// Messages that may wait for the app; beyond, the client's transport waits.
const MAX_INCOMING: usize = 64;

/// How long a poll waits for the trial of a WebSocket before it is answered with a noop; the reference server's interval.
const PROBE_WAIT: Duration = Duration::from_millis(100);

struct State {
    queue: Vec<Wire>,
    /// What was taken is still being written.
    writing: bool,
    transport: Transport,
    polled: bool,
    closed: bool,
    /// Without a pong by then the client is gone.
    pong_due: Instant,
    /// Who takes the WebSocket over as soon as one carries the session and the queue has gone out.
    heir: Option<oneshot::Sender<websocket::Socket>>,
    /// It was; nothing goes over the session any more.
    inherited: bool,
    pace: Pace,
}

/// A session.
pub struct Session {
    /// Its id.
    pub sid: String,
    state: Mutex<State>,
    /// The state changed: a transport looks again.
    changed: Notify,
    /// The queue was taken: the app looks again.
    taken: Notify,
    ponged: Notify,
    incoming: mpsc::Sender<Message>,
}

impl Session {
    /// A session over polling, or over a WebSocket from the start, and its end for the app.
    pub fn new(sid: String, upgraded: bool, settings: &Settings, guest: Guest) -> (Arc<Self>, Socket) {
        let (sender, incoming) = mpsc::channel(MAX_INCOMING);
        let transport = if upgraded { Transport::WebSocket } else { Transport::Polling };
        let session = Arc::new(Self {
            sid,
            state: Mutex::new(State {
                queue: Vec::new(),
                writing: false,
                transport,
                polled: false,
                closed: false,
                pong_due: Instant::now() + settings.ping_interval + settings.ping_timeout,
                heir: None,
                inherited: false,
                pace: Pace::new(settings.max_messages),
            }),
            changed: Notify::new(),
            taken: Notify::new(),
            ponged: Notify::new(),
            incoming: sender,
        });
        (session.clone(), Socket::new(guest, session, incoming))
    }

    /// Counts what the client says. One that says too much in a second is not heard out.
    pub fn has_time_for_more(&self) -> bool {
        self.state.lock().pace.allows_one_more()
    }

    /// Takes a packet of the client. `false` if it may not be sent, which ends the session.
    pub async fn receive(&self, packet: Option<Packet>) -> bool {
        match packet {
            Some(Packet::Message(message)) => self.incoming.send(message).await.is_ok(),
            Some(Packet::Pong) => {
                self.ponged.notify_one();
                true
            }
            Some(Packet::Close) => {
                self.leave();
                true
            }
            _ => {
                self.close();
                false
            }
        }
    }

    /// The client said good-bye. Its poll, which waits or is still on its way, is answered with a noop; the next one is refused.
    fn leave(&self) {
        let mut state = self.state.lock();
        if state.transport != Transport::WebSocket {
            state.queue = vec![Wire::text("6")];
        }
        state.closed = true;
        drop(state);
        self.close();
    }

    /// Puts something into the queue. A client that lets it fill up is gone.
    pub fn send(&self, wire: Wire) {
        let mut state = self.state.lock();
        if state.queue.len() >= MAX_QUEUE {
            state.closed = true;
        } else if !state.closed {
            state.queue.push(wire);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Puts something into the queue if all before it has gone out. `None` if the session carries nothing any more.
    pub fn offer(&self, wire: Wire) -> Option<bool> {
        let mut state = self.state.lock();
        if state.closed || state.inherited {
            return None;
        }
        let free = state.queue.is_empty() && !state.writing;
        if free {
            state.queue.push(wire);
        }
        drop(state);
        self.changed.notify_waiters();
        Some(free)
    }

    /// Waits until all that was sent has gone out, or the session has ended.
    pub async fn idle(&self) {
        let free =
            |state: &mut State| (state.closed || (state.queue.is_empty() && !state.writing)).then_some(());
        self.until(&self.taken, free).await;
    }

    /// Ends the session; what is in the queue still goes out.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_waiters();
        self.taken.notify_waiters();
    }

    /// Waits until the session has ended.
    pub async fn closed(&self) {
        self.until(&self.changed, |state| state.closed.then_some(())).await;
    }

    /// Waits until a client that polls has taken what was sent before the end.
    pub async fn last_words(&self) {
        let taken = |state: &mut State| {
            (state.transport == Transport::WebSocket || state.queue.is_empty()).then_some(())
        };
        self.until(&self.taken, taken).await;
    }

    /// What a poll is answered with; `None` if polls do not carry the session. A second one at once ends it.
    pub async fn poll(&self) -> Option<Vec<Wire>> {
        let probing = {
            let mut state = self.state.lock();
            if state.polled {
                drop(state);
                self.close();
                return None;
            }
            // The task that waits for the pong may be late.
            let over = if state.closed { state.queue.is_empty() } else { state.pong_due <= Instant::now() };
            if state.transport == Transport::WebSocket || over {
                return None;
            }
            state.polled = true;
            state.transport == Transport::Probing
        };
        let _free = FreePoll(self);
        if probing && self.moves_on().await {
            return None;
        }
        let wires = self.until(&self.changed, |state| match state {
            _ if !state.queue.is_empty() => Some(std::mem::take(&mut state.queue)),
            _ if state.transport != Transport::Polling => Some(vec![Wire::text("6")]),
            _ if state.closed => Some(vec![Wire::text("1")]),
            _ => None,
        });
        let wires = wires.await;
        self.taken.notify_waiters();
        Some(wires)
    }

    /// A poll that comes while a WebSocket is being tried gives the trial a moment, since the two connections race; whether
    /// the WebSocket carries the session then.
    async fn moves_on(&self) -> bool {
        let settled = self.until(&self.changed, |state| {
            let open = state.transport == Transport::Probing && state.queue.is_empty() && !state.closed;
            (!open).then_some(state.transport == Transport::WebSocket)
        });
        tokio::time::timeout(PROBE_WAIT, settled).await == Ok(true)
    }

    /// What the WebSocket does next.
    pub async fn task(&self) -> Task {
        self.until(&self.changed, |state| {
            if !state.queue.is_empty() {
                state.writing = true;
                return Some(Task::Write(std::mem::take(&mut state.queue)));
            }
            if state.closed {
                return Some(Task::Close);
            }
            let heir = state.heir.take()?;
            state.inherited = true;
            Some(Task::Leave(heir))
        })
        .await
    }

    /// The WebSocket, as soon as one carries the session; the session is over then.
    pub fn inherit(&self) -> oneshot::Receiver<websocket::Socket> {
        let (heir, socket) = oneshot::channel();
        self.state.lock().heir = Some(heir);
        self.changed.notify_waiters();
        socket
    }

    /// The transport has sent what it took.
    pub fn sent(&self) {
        self.state.lock().writing = false;
        self.taken.notify_waiters();
    }

    /// Changes the transport, if it is the one that is expected.
    pub fn change(&self, from: Transport, to: Transport) -> bool {
        let mut state = self.state.lock();
        let fits = state.transport == from && !state.closed;
        if fits {
            state.transport = to;
        }
        drop(state);
        self.changed.notify_waiters();
        fits
    }

    /// Pings until a pong does not come in time: the client is gone, and what waits for it has no use.
    pub async fn beat(&self, interval: Duration, timeout: Duration) {
        loop {
            let due = self.state.lock().pong_due;
            tokio::time::sleep_until(due - timeout).await;
            self.send(Wire::text("2"));
            if tokio::time::timeout_at(due, self.ponged.notified()).await.is_err() {
                return self.state.lock().queue.clear();
            }
            self.state.lock().pong_due = Instant::now() + interval + timeout;
        }
    }

    /// Looks at the state now, and again whenever `hint` is given, until `look` finds something.
    async fn until<T>(&self, hint: &Notify, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let hinted = hint.notified();
            tokio::pin!(hinted);
            hinted.as_mut().enable();
            if let Some(found) = look(&mut self.state.lock()) {
                return found;
            }
            hinted.await;
        }
    }
}

/// Lets the next poll in, also when this one's client has gone.
struct FreePoll<'a>(&'a Session);

impl Drop for FreePoll<'_> {
    fn drop(&mut self) {
        self.0.state.lock().polled = false;
    }
}
