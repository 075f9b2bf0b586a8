//! A session of Engine.IO through any sequence of events, against a model of what has to be true of it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use laurel::fuzzing::{Task, Transport};
use laurel::live::engineio::{Guest, Message, Packet, Session, Settings, Socket, Wire};

use super::Input;

/// Packets that wait, and messages for the app: `MAX_QUEUE`, `MAX_INCOMING`.
const MOST: [usize; 2] = [256, 64];

pub fn guest() -> Guest {
    Guest { address: IpAddr::from([127, 0, 0, 1]), place: None }
}

pub fn settings() -> Settings {
    Settings {
        ping_interval: Duration::from_secs(3600),
        ping_timeout: Duration::from_secs(3600),
        max_payload: 1024,
        max_frames: 4,
        max_messages: 0,
        packed: false,
        write_timeout: Duration::from_secs(1),
        sid_prefix: String::new(),
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

type Polling<'a> = Pin<Box<dyn Future<Output = Option<Vec<Wire>>> + 'a>>;

/// What has to be true of a session, beside it.
struct Model {
    queue: VecDeque<Wire>,
    incoming: VecDeque<Message>,
    transport: Transport,
    writing: bool,
    closed: bool,
    inherited: bool,
    sent: u32,
}

impl Model {
    /// The next thing to send: each is another.
    fn next(&mut self) -> Wire {
        self.sent += 1;
        Wire::text(format!("4{}", self.sent))
    }

    /// A transport took these: all that waits, in order, each once; or a word of the protocol.
    fn took(&mut self, wires: &[Wire]) {
        let is_word = |it: &Wire| matches!(it, Wire::Text(it) if it.as_str() == "6" || it.as_str() == "1");
        if !matches!(wires, [word] if is_word(word)) {
            assert!(wires.len() <= MOST[0]);
            assert_eq!(self.queue.drain(..).collect::<Vec<_>>(), wires);
        }
    }
}

pub fn session(data: &[u8]) {
    // Without tokio's budget, at whose end things that are ready seem not to be: all happens in one turn of one task.
    runtime().block_on(tokio::task::unconstrained(async {
        let mut input = Input(data);
        let upgraded = input.byte() % 2 == 1;
        let (session, socket) = Session::new("a".to_owned(), upgraded, &settings(), guest());
        let last = Arc::downgrade(&session);
        live(&session, socket, &mut input, upgraded);
        drop(session);
        assert!(last.upgrade().is_none(), "somebody keeps a session that has ended, and its seat");
    }));
}

fn live(session: &Session, mut socket: Socket, input: &mut Input<'_>, upgraded: bool) {
    let transport = if upgraded { Transport::WebSocket } else { Transport::Polling };
    let mut model = Model {
        queue: VecDeque::new(),
        incoming: VecDeque::new(),
        transport,
        writing: false,
        closed: false,
        inherited: false,
        sent: 0,
    };
    let mut polling: Option<Polling<'_>> = None;
    let mut heirs = Vec::new();
    while !input.is_empty() {
        match input.byte() % 14 {
            0 => {
                // Also many at once, so that the queue fills up.
                for _ in 0..usize::from(input.byte()).saturating_sub(200).max(1) {
                    let wire = model.next();
                    session.send(wire.clone());
                    if model.queue.len() >= MOST[0] {
                        model.closed = true;
                    } else if !model.closed {
                        model.queue.push_back(wire);
                    }
                }
            }
            1 => {
                let wire = model.next();
                let offered = session.offer(wire.clone());
                let free = model.queue.is_empty() && !model.writing;
                assert_eq!(offered, (!model.closed && !model.inherited).then_some(free));
                if offered == Some(true) {
                    model.queue.push_back(wire);
                }
            }
            2 if polling.is_some() => {
                // Two polls at once end the session.
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
                let fits = model.transport == from && !model.closed;
                assert_eq!(session.change(from, to), fits);
                if fits {
                    model.transport = to;
                }
            }
            8 | 9 if model.transport == Transport::WebSocket && !model.inherited && !model.writing => {
                match session.task().now_or_never() {
                    Some(Task::Write(wires)) => {
                        model.took(&wires);
                        model.writing = true;
                    }
                    Some(Task::Leave(_)) => model.inherited = true,
                    Some(Task::Close) => assert!(model.closed && model.queue.is_empty()),
                    None => assert!(model.queue.is_empty() && !model.closed),
                }
            }
            10 => {
                session.sent();
                model.writing = false;
            }
            11 if input.byte() > 200 => {
                session.close();
                model.closed = true;
            }
            12 => heirs.push(session.inherit()),
            13 => assert_eq!(socket.next().now_or_never().flatten(), model.incoming.pop_front()),
            _ => {}
        }
        let ended = polling.as_mut().and_then(|it| it.as_mut().now_or_never());
        if let Some(answer) = ended {
            polling = None;
            match answer {
                Some(wires) => model.took(&wires),
                None => assert!(model.transport == Transport::WebSocket || model.closed),
            }
        }
    }
    // Once it is closed nothing waits for ever, and what was sent before goes out.
    session.close();
    let waiting = polling.take();
    if let Some(answer) =
        waiting.map(|it| it.now_or_never().expect("a poll waits for a session that has ended"))
    {
        answer.iter().for_each(|wires| model.took(wires));
    }
    while let Some(wires) = session.poll().now_or_never().expect("a poll waits for a session that has ended")
    {
        model.took(&wires);
        if model.queue.is_empty() {
            break;
        }
    }
    assert!(session.closed().now_or_never().is_some() && session.last_words().now_or_never().is_some());
    assert!(session.idle().now_or_never().is_some());
}

fn receive(session: &Session, model: &mut Model, input: &mut Input<'_>) {
    let length = usize::from(input.byte() % 16);
    let Ok(text) = std::str::from_utf8(input.take(length)) else { return };
    let packet = Packet::read(text);
    let taken = session.receive(packet.clone()).now_or_never();
    match packet {
        Some(Packet::Message(message)) => {
            assert_eq!(taken, (model.incoming.len() < MOST[1]).then_some(true));
            if taken.is_some() {
                model.incoming.push_back(message);
            }
        }
        Some(Packet::Pong) => assert_eq!(taken, Some(true)),
        Some(Packet::Close) => {
            assert_eq!(taken, Some(true));
            model.closed = true;
            // Who leaves takes nothing any more, but the noop that answers its poll.
            if model.transport != Transport::WebSocket {
                model.queue.clear();
            }
        }
        _ => {
            assert_eq!(taken, Some(false));
            model.closed = true;
        }
    }
}
