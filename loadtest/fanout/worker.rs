//! A process with many clients (`loadtest fanout-worker`). It reads commands on its standard input and ends with it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use super::client::{Client, Disconnect, connect_from};
use super::deliveries::Deliveries;
use super::messages::{WorkerCommand, WorkerReply};
use super::now_us;
use crate::epoll::{Epoll, Ready};

/// The key of the standard input. The key of a client is its index.
const INPUT: u64 = u64::MAX;
const BUFFER: usize = 64 * 1024;
/// With more clients per address, finding a free port takes longer than connecting.
const CLIENTS_PER_ADDRESS: u32 = 2000;

#[derive(clap::Args)]
pub struct Arguments {
    /// The file of all logins
    pub logins: PathBuf,
    /// Logins that belong to other workers
    pub skip: usize,
    /// The address that connections come from
    pub from: Ipv4Addr,
}

struct Worker {
    epoll: Epoll,
    from: Ipv4Addr,
    logins: std::iter::Skip<std::io::Lines<BufReader<File>>>,
    clients: Vec<Client>,
    /// Clients that have not connected yet.
    queue: VecDeque<usize>,
    max_concurrent_handshakes: usize,
    handshakes: usize,
    /// When clients whose handshake was refused try again, in µs.
    retries: BinaryHeap<Reverse<(u64, usize)>>,
    /// A command that still has to be answered.
    pending: Option<WorkerCommand>,
    deliveries: Deliveries,
    buffer: Vec<u8>,
    /// The standard input without its buffer, which epoll cannot see; and the start of a line.
    input: File,
    line: Vec<u8>,
}

pub fn run(arguments: &Arguments) {
    let epoll = Epoll::new();
    let input = File::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    epoll.add_pipe(&input, INPUT);
    let worker = Worker {
        epoll,
        from: arguments.from,
        logins: BufReader::new(File::open(&arguments.logins).unwrap()).lines().skip(arguments.skip),
        clients: Vec::new(),
        queue: VecDeque::new(),
        max_concurrent_handshakes: 0,
        handshakes: 0,
        retries: BinaryHeap::new(),
        pending: None,
        deliveries: Deliveries::new(),
        buffer: vec![0; BUFFER],
        input,
        line: Vec::new(),
    };
    worker.run();
}

impl Worker {
    fn run(mut self) {
        let mut ready = Vec::new();
        loop {
            self.epoll.wait(&mut ready, self.timeout());
            for event in &ready {
                match event.key {
                    INPUT if !self.read_commands() => return,
                    INPUT => {}
                    client => self.on_ready(client as usize, *event),
                }
            }
            self.begin_due();
            self.answer();
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let Reverse((due_us, _)) = self.retries.peek()?;
        Some(Duration::from_micros(due_us.saturating_sub(now_us())))
    }

    /// Returns false at the end of the input.
    fn read_commands(&mut self) -> bool {
        let count = self.input.read(&mut self.buffer).unwrap();
        self.line.extend(&self.buffer[..count]);
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.line.drain(..=end).collect();
            self.on_command(serde_json::from_slice(&line).unwrap());
        }
        count > 0
    }

    fn on_command(&mut self, command: WorkerCommand) {
        match command {
            WorkerCommand::Connect { protocol, count, address, max_concurrent_handshakes } => {
                for _ in 0..count {
                    let login = self.logins.next().expect("there is a login for each client").unwrap();
                    self.queue.push_back(self.clients.len());
                    self.clients.push(Client::new(protocol, address, login));
                }
                self.max_concurrent_handshakes = max_concurrent_handshakes;
                self.pending = Some(command);
            }
            WorkerCommand::AwaitVersion { .. } => self.pending = Some(command),
            WorkerCommand::Report => reply(&WorkerReply::Report(self.deliveries.report())),
        }
    }

    /// Answers the pending command, once its condition holds.
    fn answer(&mut self) {
        let Deliveries { open, newest, newest_count, newest_last_us, .. } = self.deliveries;
        if open < self.clients.len() {
            return;
        }
        let answer = match self.pending {
            Some(WorkerCommand::Connect { .. }) => WorkerReply::Done,
            Some(WorkerCommand::AwaitVersion { version })
                if newest >= version && newest_count == self.clients.len() =>
            {
                WorkerReply::Received { last_us: newest_last_us }
            }
            _ => return,
        };
        reply(&answer);
        self.pending = None;
    }

    fn begin_due(&mut self) {
        let now = now_us();
        while self.retries.peek().is_some_and(|Reverse((due_us, _))| *due_us <= now) {
            let Some(Reverse((_, place))) = self.retries.pop() else { return };
            self.begin(place);
        }
        while self.handshakes < self.max_concurrent_handshakes {
            let Some(place) = self.queue.pop_front() else { return };
            self.begin(place);
        }
    }

    fn begin(&mut self, place: usize) {
        self.handshakes += 1;
        let from = self.from.to_bits() + (place as u32 / CLIENTS_PER_ADDRESS) * 0x1_0000;
        match connect_from(Ipv4Addr::from_bits(from), self.clients[place].address) {
            Ok(stream) => {
                self.epoll.add_stream(&stream, place as u64);
                self.clients[place].begin(stream);
            }
            Err(_) => self.on_disconnect(place, &Disconnect::Lost),
        }
    }

    fn on_ready(&mut self, place: usize, ready: Ready) {
        let client = &mut self.clients[place];
        let was_open = client.is_open();
        let result = client.on_ready(ready, &mut self.buffer, &mut self.deliveries);
        // The first board may have arrived before the connection ended.
        self.handshakes -= usize::from(!was_open && client.is_open());
        if let Err(disconnect) = result {
            self.on_disconnect(place, &disconnect);
        }
    }

    fn on_disconnect(&mut self, place: usize, disconnect: &Disconnect) {
        let client = &mut self.clients[place];
        match disconnect {
            Disconnect::Closed(code) if client.is_open() => panic!("a node closed a connection with {code}"),
            _ => assert!(!client.is_open(), "a client lost its connection: {disconnect:?}"),
        }
        let retry_after_s = match disconnect {
            Disconnect::Refused { status: 429 | 503, retry_after_s } => retry_after_s.unwrap_or_default(),
            Disconnect::Refused { .. } => panic!("a handshake was refused: {disconnect:?}"),
            Disconnect::Lost | Disconnect::Closed(_) => 0,
        };
        client.disconnect();
        self.handshakes -= 1;
        self.deliveries.add_refused();
        let delay_ms = retry_after_s * 1000 + rand::random_range(0..2000);
        self.retries.push(Reverse((now_us() + delay_ms * 1000, place)));
    }
}

fn reply(reply: &WorkerReply) {
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, reply).unwrap();
    output.write_all(b"\n").unwrap();
    output.flush().unwrap();
}
