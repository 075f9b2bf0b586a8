//! Hostile clients: many connections, each sending its next prepared request as soon as the last one is answered, or at a
//! steady pace. They have a thread of their own, so that honest players do not wait for them inside this process too.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Interval, interval_at};

pub const CONNECTIONS: usize = 256;

/// A flood under way.
pub struct Attack {
    answers: Arc<Answers>,
    started: Instant,
    thread: JoinHandle<()>,
}

struct Answers {
    by_status: Vec<AtomicU64>,
    stop: AtomicBool,
}

impl Attack {
    /// Sends these requests again and again, so many a second, or as many as are answered.
    pub fn start(address: SocketAddr, requests: Vec<String>, per_second: Option<u32>) -> Self {
        let by_status = (0..600).map(|_| AtomicU64::default()).collect();
        let answers = Arc::new(Answers { by_status, stop: AtomicBool::default() });
        let told = answers.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let requests = &requests;
            let clients = (0..CONNECTIONS).map(|place| {
                let requests = requests.iter().cycle().skip(place % requests.len());
                bombard(address, requests, &told, per_second.map(|it| (place, it)))
            });
            runtime.block_on(futures::future::join_all(clients));
        });
        Self { answers, started: Instant::now(), thread }
    }

    /// Waits until two hundred requests were answered so.
    pub async fn meets(&self, status: u16) {
        let met = &self.answers.by_status[usize::from(status)];
        crate::wait_until(async || met.load(Ordering::Relaxed) >= 200).await;
    }

    /// Ends it. Gives how often each status was answered, and how long it took.
    pub fn stop(self) -> (BTreeMap<u16, u64>, Duration) {
        self.answers.stop.store(true, Ordering::Relaxed);
        let took = self.started.elapsed();
        self.thread.join().unwrap();
        let counts =
            (0..).zip(&self.answers.by_status).map(|(status, it)| (status, it.load(Ordering::Relaxed)));
        (counts.filter(|(_, count)| *count > 0).collect(), took)
    }
}

/// When one connection of all sends, so that together they send at an even rate.
fn turns(place: usize, per_second: u32) -> Interval {
    let every = Duration::from_secs(1) * CONNECTIONS as u32 / per_second;
    interval_at((Instant::now() + every * place as u32 / CONNECTIONS as u32).into(), every)
}

async fn bombard<'a>(
    address: SocketAddr,
    requests: impl Iterator<Item = &'a String>,
    answers: &Answers,
    pace: Option<(usize, u32)>,
) {
    let mut turns = pace.map(|(place, per_second)| turns(place, per_second));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; 4096];
    for request in requests {
        if let Some(turns) = &mut turns {
            turns.tick().await;
        }
        if answers.stop.load(Ordering::Relaxed) {
            return;
        }
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut held = 0;
        let status = loop {
            let read = stream.read(&mut buffer[held..]).await.unwrap();
            assert!(read > 0, "the node closed the connection");
            held += read;
            if let Some(status) = status(&buffer[..held]) {
                break status;
            }
        };
        answers.by_status[status].fetch_add(1, Ordering::Relaxed);
    }
}

/// The status of an answer that is here as a whole.
fn status(answer: &[u8]) -> Option<usize> {
    let (head, body) = std::str::from_utf8(answer).unwrap().split_once("\r\n\r\n")?;
    let (_, length) = head.split_once("content-length: ")?;
    let length: usize = length.split_once('\r').map_or(length, |it| it.0).parse().unwrap();
    (body.len() >= length).then(|| head["HTTP/1.1 ".len()..][..3].parse().unwrap())
}
