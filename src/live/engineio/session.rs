//! One client's session, over whichever transport. Outgoing packets wait in one short queue, which the current transport takes as a whole;
//! incoming messages go to the handler in order.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::packet::{Message, Packet, Wire};
use super::{Peer, Settings};
use crate::live::subscribe::MessageRate;
use crate::live::websocket::WebSocket;

/// Most queued packets. The handler sends new state only when the queue is empty, so a full queue means a client that asks for answers
/// and does not take them.
const MAX_QUEUE: usize = 256;
/// Most messages that wait for the handler; then the client's transport waits.
const MAX_INCOMING: usize = 64;
/// How long a poll waits for a WebSocket probe before it is answered with a noop; the reference server's interval.
const PROBE_WAIT: Duration = Duration::from_millis(100);

/// The transport of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Long polling.
    Polling,
    /// Long polling, while a WebSocket is being probed.
    Probing,
    /// A WebSocket.
    WebSocket,
}

/// What a WebSocket transport does next.
pub enum Task {
    /// Write these packets.
    Write(Vec<Wire>),
    /// Hand the WebSocket over; the session sends nothing from now on.
    HandOver(oneshot::Sender<WebSocket>),
    /// Close: everything has been written.
    Close,
}

struct State {
    queue: Vec<Wire>,
    /// A transport is writing packets that it took from the queue.
    writing: bool,
    transport: Transport,
    polled: bool,
    closed: bool,
    /// Without a pong by then the client is gone.
    pong_due: Instant,
    /// Gets the WebSocket as soon as one is the transport and the queue has been written.
    successor: Option<oneshot::Sender<WebSocket>>,
    /// The successor got it; the session sends nothing any more.
    handed_over: bool,
    rate: MessageRate,
}

/// A session.
pub struct Session {
    /// Its id.
    pub sid: String,
    state: Mutex<State>,
    /// Wakes transports: the state changed.
    changed: Notify,
    /// Wakes senders: the queue was taken.
    taken: Notify,
    ponged: Notify,
    incoming: mpsc::Sender<Message>,
}

impl Session {
    /// A session over polling, or over a WebSocket from the start, and the handler's end of it.
    pub fn new(sid: String, upgraded: bool, settings: &Settings, peer: Peer) -> (Arc<Self>, Socket) {
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
                successor: None,
                handed_over: false,
                rate: MessageRate::new(settings.max_messages_per_second),
            }),
            changed: Notify::new(),
            taken: Notify::new(),
            ponged: Notify::new(),
            incoming: sender,
        });
        (session.clone(), Socket { peer, session, incoming })
    }

    /// Counts a message of the client; `false` if there are too many per second.
    pub fn count_message(&self) -> bool {
        self.state.lock().rate.count()
    }

    /// Takes a packet of the client. `false` if clients must not send it, which ends the session.
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

    /// The client closed the session. A poll that waits or is on its way is answered with a noop; the next one is refused.
    fn leave(&self) {
        let mut state = self.state.lock();
        if state.transport != Transport::WebSocket {
            state.queue = vec![Wire::text("6")];
        }
        state.closed = true;
        drop(state);
        self.close();
    }

    /// Queues a packet. A full queue closes the session.
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

    /// Queues a packet if everything before it has been written, and returns whether it did; `None` if the session sends nothing any more.
    pub fn offer(&self, wire: Wire) -> Option<bool> {
        let mut state = self.state.lock();
        if state.closed || state.handed_over {
            return None;
        }
        let is_drained = state.queue.is_empty() && !state.writing;
        if is_drained {
            state.queue.push(wire);
        }
        drop(state);
        self.changed.notify_waiters();
        Some(is_drained)
    }

    /// Waits until everything has been written, or the session has ended.
    pub async fn drained(&self) {
        let is_drained =
            |state: &mut State| (state.closed || (state.queue.is_empty() && !state.writing)).then_some(());
        self.wait_until(&self.taken, is_drained).await;
    }

    /// Ends the session; queued packets are still written.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_waiters();
        self.taken.notify_waiters();
    }

    /// Waits until the session has ended.
    pub async fn closed(&self) {
        self.wait_until(&self.changed, |state| state.closed.then_some(())).await;
    }

    /// Waits until a polling client has taken the packets sent before the end.
    pub async fn last_poll(&self) {
        let is_taken = |state: &mut State| {
            (state.transport == Transport::WebSocket || state.queue.is_empty()).then_some(())
        };
        self.wait_until(&self.taken, is_taken).await;
    }

    /// Waits for the packets that answer a poll; `None` if polling is not the transport. A second poll at the same time ends the session.
    pub async fn poll(&self) -> Option<Vec<Wire>> {
        let probing = {
            let mut state = self.state.lock();
            if state.polled {
                drop(state);
                self.close();
                return None;
            }
            // The heartbeat task may be late, so the deadline is checked here too.
            let is_over =
                if state.closed { state.queue.is_empty() } else { state.pong_due <= Instant::now() };
            if state.transport == Transport::WebSocket || is_over {
                return None;
            }
            state.polled = true;
            state.transport == Transport::Probing
        };
        let _guard = PollGuard(self);
        if probing && self.probe_succeeds().await {
            return None;
        }
        let wires = self.wait_until(&self.changed, |state| match state {
            _ if !state.queue.is_empty() => Some(std::mem::take(&mut state.queue)),
            _ if state.transport != Transport::Polling => Some(vec![Wire::text("6")]),
            _ if state.closed => Some(vec![Wire::text("1")]),
            _ => None,
        });
        let wires = wires.await;
        self.taken.notify_waiters();
        Some(wires)
    }

    /// Waits a little for a probe in progress, since the poll and the WebSocket race; returns whether the WebSocket is the transport then.
    async fn probe_succeeds(&self) -> bool {
        let upgraded = self.wait_until(&self.changed, |state| {
            let undecided = state.transport == Transport::Probing && state.queue.is_empty() && !state.closed;
            (!undecided).then_some(state.transport == Transport::WebSocket)
        });
        tokio::time::timeout(PROBE_WAIT, upgraded).await == Ok(true)
    }

    /// Waits for the next task of the WebSocket transport.
    pub async fn next_task(&self) -> Task {
        self.wait_until(&self.changed, |state| {
            if !state.queue.is_empty() {
                state.writing = true;
                return Some(Task::Write(std::mem::take(&mut state.queue)));
            }
            if state.closed {
                return Some(Task::Close);
            }
            let successor = state.successor.take()?;
            state.handed_over = true;
            Some(Task::HandOver(successor))
        })
        .await
    }

    /// Requests the WebSocket, as soon as one is the transport and the queue has been written; that ends the session.
    pub fn take_websocket(&self) -> oneshot::Receiver<WebSocket> {
        let (successor, socket) = oneshot::channel();
        self.state.lock().successor = Some(successor);
        self.changed.notify_waiters();
        socket
    }

    /// The transport has written the packets it took.
    pub fn written(&self) {
        self.state.lock().writing = false;
        self.taken.notify_waiters();
    }

    /// Changes the transport, if `from` is the current one.
    pub fn change_transport(&self, from: Transport, to: Transport) -> bool {
        let mut state = self.state.lock();
        let may_change = state.transport == from && !state.closed;
        if may_change {
            state.transport = to;
        }
        drop(state);
        self.changed.notify_waiters();
        may_change
    }

    /// Pings until a pong is late; then the client is gone, and its queue is dropped.
    pub async fn heartbeat(&self, interval: Duration, timeout: Duration) {
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

    /// Checks the state now and after each notification, until `check` returns something.
    async fn wait_until<T>(&self, notify: &Notify, mut check: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let notified = notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if let Some(found) = check(&mut self.state.lock()) {
                return found;
            }
            notified.await;
        }
    }
}

/// Allows the next poll when this one ends, also if its client has gone.
struct PollGuard<'a>(&'a Session);

impl Drop for PollGuard<'_> {
    fn drop(&mut self) {
        self.0.state.lock().polled = false;
    }
}

/// The handler's end of a session.
pub struct Socket {
    /// The client.
    pub peer: Peer,
    session: Arc<Session>,
    incoming: mpsc::Receiver<Message>,
}

impl Socket {
    /// The client's next message; `None` at the end.
    pub async fn next(&mut self) -> Option<Message> {
        self.incoming.recv().await
    }

    /// Sends a packet.
    pub fn send(&self, wire: Wire) {
        self.session.send(wire);
    }

    /// The session, for another task to send over.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }
}
