//! Random events of one Engine.IO session, compared with a model.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use laurel::fuzzing::{Task, Transport};
use laurel::live::engineio::{Message, Packet, Peer, Session, Settings, Socket, Wire};

use super::Input;

/// Maximum of queued packets of a session.
const MAX_QUEUE: usize = 256;
/// Maximum of messages that wait for the handler.
const MAX_INCOMING: usize = 64;

pub fn peer() -> Peer {
    Peer { address: IpAddr::from([127, 0, 0, 1]), permit: None }
}

pub fn settings() -> Settings {
    Settings {
        ping_interval: Duration::from_secs(3600),
        ping_timeout: Duration::from_secs(3600),
        max_payload: 1024,
        max_frames: 4,
        max_messages_per_second: 0,
        compression: false,
        write_timeout: Duration::from_secs(1),
        sid_prefix: String::new(),
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

type Polling<'a> = Pin<Box<dyn Future<Output = Option<Vec<Wire>>> + 'a>>;

/// The expected state of a session.
struct Model {
    queue: VecDeque<Wire>,
    incoming: VecDeque<Message>,
    transport: Transport,
    writing: bool,
    closed: bool,
    is_handed_over: bool,
    sent: u32,
}

impl Model {
    /// A packet that was not sent before.
    fn new_packet(&mut self) -> Wire {
        self.sent += 1;
        Wire::text(format!("4{}", self.sent))
    }

    /// Checks the packets that a transport took: the whole queue in order, or one noop or close packet.
    fn check_taken(&mut self, wires: &[Wire]) {
        let is_protocol =
            |wire: &Wire| matches!(wire, Wire::Text(text) if text.as_str() == "6" || text.as_str() == "1");
        if !matches!(wires, [wire] if is_protocol(wire)) {
            assert!(wires.len() <= MAX_QUEUE);
            assert_eq!(self.queue.drain(..).collect::<Vec<_>>(), wires);
        }
    }
}

pub fn session(data: &[u8]) {
    // Without tokio's budget, because everything runs in one poll of one task, and ready futures return pending when a budget is used up.
    runtime().block_on(tokio::task::unconstrained(async {
        let mut input = Input(data);
        let upgraded = input.byte() % 2 == 1;
        let (session, socket) = Session::new("a".to_owned(), upgraded, &settings(), peer());
        let weak = Arc::downgrade(&session);
        run(&session, socket, &mut input, upgraded);
        drop(session);
        assert!(weak.upgrade().is_none(), "an ended session and its permit are not freed");
    }));
}

fn run(session: &Session, mut socket: Socket, input: &mut Input<'_>, upgraded: bool) {
    let transport = if upgraded { Transport::WebSocket } else { Transport::Polling };
    let mut model = Model {
        queue: VecDeque::new(),
        incoming: VecDeque::new(),
        transport,
        writing: false,
        closed: false,
        is_handed_over: false,
        sent: 0,
    };
    let mut polling: Option<Polling<'_>> = None;
    let mut successors = Vec::new();
    while !input.is_empty() {
        match input.byte() % 14 {
            0 => {
                // Sometimes many packets, so that the queue gets full.
                for _ in 0..usize::from(input.byte()).saturating_sub(200).max(1) {
                    let wire = model.new_packet();
                    session.send(wire.clone());
                    if model.queue.len() >= MAX_QUEUE {
                        model.closed = true;
                    } else if !model.closed {
                        model.queue.push_back(wire);
                    }
                }
            }
            1 => {
                let wire = model.new_packet();
                let offered = session.offer(wire.clone());
                let is_drained = model.queue.is_empty() && !model.writing;
                assert_eq!(offered, (!model.closed && !model.is_handed_over).then_some(is_drained));
                if offered == Some(true) {
                    model.queue.push_back(wire);
                }
            }
            2 if polling.is_some() => {
                // A second poll at the same time ends the session.
                assert_eq!(session.poll().now_or_never(), Some(None));
                model.closed = true;
            }
            2 => polling = Some(Box::pin(session.poll())),
            3 => polling = None,
            4 => receive(session, &mut model, input),
            5..=7 => {
                let (from, to) = match input.byte() % 3 {
                    0 => (Transport::Polling, Transport::Probing),
                    1 => (Transport::Probing, Transport::WebSocket),
                    _ => (Transport::Probing, Transport::Polling),
                };
                let may_change = model.transport == from && !model.closed;
                assert_eq!(session.change_transport(from, to), may_change);
                if may_change {
                    model.transport = to;
                }
            }
            8 | 9 if model.transport == Transport::WebSocket && !model.is_handed_over && !model.writing => {
                match session.next_task().now_or_never() {
                    Some(Task::Write(wires)) => {
                        model.check_taken(&wires);
                        model.writing = true;
                    }
                    Some(Task::HandOver(_)) => model.is_handed_over = true,
                    Some(Task::Close) => assert!(model.closed && model.queue.is_empty()),
                    None => assert!(model.queue.is_empty() && !model.closed),
                }
            }
            10 => {
                session.written();
                model.writing = false;
            }
            11 if input.byte() > 200 => {
                session.close();
                model.closed = true;
            }
            12 => successors.push(session.take_websocket()),
            13 => assert_eq!(socket.next().now_or_never().flatten(), model.incoming.pop_front()),
            _ => {}
        }
        let ended = polling.as_mut().and_then(|poll| poll.as_mut().now_or_never());
        if let Some(result) = ended {
            polling = None;
            match result {
                Some(wires) => model.check_taken(&wires),
                None => assert!(model.transport == Transport::WebSocket || model.closed),
            }
        }
    }
    // After the close, no future stays pending, and the queue is still written.
    session.close();
    if let Some(poll) = polling.take() {
        let wires = poll.now_or_never().expect("a poll of an ended session is pending");
        wires.iter().for_each(|wires| model.check_taken(wires));
    }
    while let Some(wires) = session.poll().now_or_never().expect("a poll of an ended session is pending") {
        model.check_taken(&wires);
        if model.queue.is_empty() {
            break;
        }
    }
    assert!(session.closed().now_or_never().is_some() && session.last_poll().now_or_never().is_some());
    assert!(session.drained().now_or_never().is_some());
}

/// Receives a packet from the client.
fn receive(session: &Session, model: &mut Model, input: &mut Input<'_>) {
    let length = usize::from(input.byte() % 16);
    let Ok(text) = std::str::from_utf8(input.take(length)) else { return };
    let packet = Packet::read(text);
    let accepted = session.receive(packet.clone()).now_or_never();
    match packet {
        Some(Packet::Message(message)) => {
            assert_eq!(accepted, (model.incoming.len() < MAX_INCOMING).then_some(true));
            if accepted.is_some() {
                model.incoming.push_back(message);
            }
        }
        Some(Packet::Pong) => assert_eq!(accepted, Some(true)),
        Some(Packet::Close) => {
            assert_eq!(accepted, Some(true));
            model.closed = true;
            // A leaving client only gets the noop that answers its poll.
            if model.transport != Transport::WebSocket {
                model.queue.clear();
            }
        }
        _ => {
            assert_eq!(accepted, Some(false));
            model.closed = true;
        }
    }
}
