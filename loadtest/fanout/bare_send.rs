//! The baseline: what the kernel alone takes for a board to this many connections, in a bare loop of `send`s on non-blocking sockets.
//! The workers' clients read it like a node's boards.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use super::messages::Protocol;
use super::wire;
use super::workers::{Totals, Workers};
use super::{PAUSE, now_us};
use crate::usage::thread_seconds;

pub struct BareSend {
    pub clients: usize,
    /// CPU µs per delivery of the sender, and of the worker.
    pub send_us: f64,
    pub client_us: f64,
    pub totals: Totals,
    /// Microseconds until the last client had each board.
    pub last_us: Vec<u64>,
}

/// Sends `changes` boards to `clients` clients.
pub async fn measure(clients: usize, changes: usize, logins: &Path, rows: &str) -> BareSend {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let Ok(SocketAddr::V4(address)) = listener.local_addr() else { unreachable!() };
    let accepting = tokio::task::spawn_blocking({
        let frame = board_frame(rows, now_us());
        move || accept(&listener, clients, &frame)
    });
    let mut workers = Workers::start(1, logins, clients);
    workers.connect(Protocol::BareSend, clients, &[address]).await;
    let mut streams = accepting.await.unwrap();

    workers.totals().await;
    let before = workers.cpu_seconds();
    let (mut last_us, mut send_seconds) = (Vec::new(), 0.0);
    for _ in 0..changes {
        let version = now_us();
        let frame = board_frame(rows, version);
        let sent = tokio::task::spawn_blocking(move || send(streams, &frame)).await.unwrap();
        streams = sent.0;
        send_seconds += sent.1;
        last_us.push(workers.await_version(version).await);
        tokio::time::sleep(PAUSE).await;
    }
    let totals = workers.totals().await;
    let us = 1e6 / totals.deliveries as f64;
    let client_us = (workers.cpu_seconds() - before) * us;
    // The clients end first, so that their ports stay in use, not the server's.
    drop(workers);
    BareSend { clients, send_us: send_seconds * us, client_us, totals, last_us }
}

/// Accepts the clients, and sends each a first board.
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

/// Sends a frame to all. Returns the streams and the CPU seconds it took.
fn send(mut streams: Vec<TcpStream>, frame: &[u8]) -> (Vec<TcpStream>, f64) {
    let before = thread_seconds();
    for stream in &mut streams {
        assert_eq!(stream.write(frame).unwrap(), frame.len());
    }
    (streams, thread_seconds() - before)
}

/// The WebSocket frame that a node would send.
fn board_frame(rows: &str, version: u64) -> Vec<u8> {
    let event = r#""event":"leaderboard_updated""#;
    let timestamp = "2026-01-01T00:00:00.000Z";
    let text = format!(r#"{{{event},"data":{rows},"version":{version},"timestamp":"{timestamp}"}}"#);
    wire::unmasked_text(text.as_bytes())
}
