//! The floor: what the kernel alone takes for a board to each of so many connections, in a bare loop of `send`s on sockets
//! that do not block. Workers are the other side, and read as they read a node.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use super::crew::{Counted, Crew};
use super::orders::Protocol;
use super::wire;
use super::{PAUSE, now_us};
use crate::cpu;

pub struct Floor {
    pub clients: usize,
    /// CPU microseconds of the sender, and of the worker.
    pub send_us: f64,
    pub client_us: f64,
    pub counted: Counted,
    /// Microseconds until the last client had each board.
    pub lasts: Vec<u64>,
}

/// Sends so many boards to so many clients.
pub async fn measure(clients: usize, changes: usize, logins: &Path, rows: &str) -> Floor {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let Ok(SocketAddr::V4(address)) = listener.local_addr() else { unreachable!() };
    let accepting = tokio::task::spawn_blocking({
        let frame = board(rows, now_us());
        move || accept(&listener, clients, &frame)
    });
    let mut crew = Crew::start(1, logins, clients);
    crew.connect(Protocol::Bare, clients, &[address]).await;
    let mut streams = accepting.await.unwrap();

    crew.counted().await;
    let before = crew.cpu();
    let (mut lasts, mut sender) = (Vec::new(), 0.0);
    for _ in 0..changes {
        let version = now_us();
        let frame = board(rows, version);
        let (back, took) = tokio::task::spawn_blocking(move || send(streams, &frame)).await.unwrap();
        streams = back;
        sender += took;
        lasts.push(crew.has(version).await);
        tokio::time::sleep(PAUSE).await;
    }
    let counted = crew.counted().await;
    let each = 1e6 / counted.deliveries as f64;
    let client_us = (crew.cpu() - before) * each;
    // The clients end first, so that it is their ports that rest.
    drop(crew);
    Floor { clients, send_us: sender * each, client_us, counted, lasts }
}

/// Takes the clients in, each with a first board.
fn accept(listener: &TcpListener, clients: usize, frame: &[u8]) -> Vec<TcpStream> {
    let mut streams = Vec::with_capacity(clients);
    for _ in 0..clients {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream.write_all(frame).unwrap();
        streams.push(stream);
    }
    streams
}

/// Sends a frame to all, and says how many CPU seconds that took.
fn send(mut streams: Vec<TcpStream>, frame: &[u8]) -> (Vec<TcpStream>, f64) {
    let before = cpu::of_this_thread();
    for stream in &mut streams {
        assert_eq!(stream.write(frame).unwrap(), frame.len());
    }
    (streams, cpu::of_this_thread() - before)
}

/// The frame of a WebSocket that a node would send.
fn board(rows: &str, version: u64) -> Vec<u8> {
    let event = r#""event":"leaderboard_updated""#;
    let hlc_us = "2026-01-01T00:00:00.000Z";
    let text = format!(r#"{{{event},"data":{rows},"version":{version},"timestamp":"{hlc_us}"}}"#);
    wire::unmasked(text.as_bytes())
}
