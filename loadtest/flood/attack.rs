//! Hostile clients: many connections, each sending its next prepared request as soon as it has a response, or at a steady pace. They run
//! on a separate thread, so that honest players do not wait for them inside this process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Interval, interval_at};

use crate::drive::lane::read_response;

pub const CONNECTIONS: usize = 256;

/// A running flood.
pub struct Attack {
    shared: Arc<Shared>,
    started: Instant,
    thread: JoinHandle<()>,
}

struct Shared {
    /// Responses by status.
    responses: Vec<AtomicU64>,
    stop: AtomicBool,
}

impl Attack {
    /// Sends these requests again and again, at this rate or as fast as possible.
    pub fn start(address: SocketAddr, requests: Vec<String>, per_second: Option<u32>) -> Self {
        let responses = (0..600).map(|_| AtomicU64::default()).collect();
        let shared = Arc::new(Shared { responses, stop: AtomicBool::default() });
        let of_thread = shared.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let requests = &requests;
            let clients = (0..CONNECTIONS).map(|place| {
                let requests = requests.iter().cycle().skip(place % requests.len());
                send_all(address, requests, &of_thread, per_second.map(|rate| (place, rate)))
            });
            runtime.block_on(futures::future::join_all(clients));
        });
        Self { shared, started: Instant::now(), thread }
    }

    /// Waits until two hundred responses had this status.
    pub async fn wait_for(&self, status: u16) {
        let responses = &self.shared.responses[usize::from(status)];
        crate::wait_until(async || responses.load(Ordering::Relaxed) >= 200).await;
    }

    /// Ends the flood. Returns the responses by status, and how long it lasted.
    pub fn stop(self) -> (BTreeMap<u16, u64>, Duration) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let took = self.started.elapsed();
        self.thread.join().unwrap();
        let counts = self.shared.responses.iter().map(|count| count.load(Ordering::Relaxed));
        ((0..).zip(counts).filter(|(_, count)| *count > 0).collect(), took)
    }
}

/// When one connection sends, so that all together send at an even rate.
fn interval(place: usize, per_second: u32) -> Interval {
    let every = Duration::from_secs(1) * CONNECTIONS as u32 / per_second;
    interval_at((Instant::now() + every * place as u32 / CONNECTIONS as u32).into(), every)
}

async fn send_all<'a>(
    address: SocketAddr,
    requests: impl Iterator<Item = &'a String>,
    shared: &Shared,
    place_and_rate: Option<(usize, u32)>,
) {
    let mut interval = place_and_rate.map(|(place, per_second)| interval(place, per_second));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; 4096];
    for request in requests {
        if let Some(interval) = &mut interval {
            interval.tick().await;
        }
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut length = 0;
        let status = loop {
            let count = stream.read(&mut buffer[length..]).await.unwrap();
            assert!(count > 0, "the node closed the connection");
            length += count;
            if let Some(response) = read_response(&buffer[..length]) {
                break usize::from(response.status);
            }
        };
        shared.responses[status].fetch_add(1, Ordering::Relaxed);
    }
}
