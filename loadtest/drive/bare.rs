//! What the board is measured against: an axum handler that knows nothing and returns the same bytes under the same headers, in a
//! process of its own. `loadtest bare FILE`: the file is an answer as it came over the wire.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::routing::get;
use axum::serve::ListenerExt;

use super::answer;

/// Headers that the server makes itself.
const MADE: [&str; 3] = ["content-length", "date", "connection"];

/// Serves until it is killed, on as many threads as a node does.
pub fn serve(file: &Path) {
    let text = std::fs::read(file).unwrap();
    let body = answer::read(&text).expect("the file is an answer").body;
    let head = String::from_utf8_lossy(&text[..text.len() - body.len()]).into_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in head.lines().skip(1).filter_map(|it| it.split_once(": ")) {
        if !MADE.contains(&name) {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
    }
    let body = Bytes::copy_from_slice(body);
    let handler = move || {
        let answer = (headers.clone(), body.clone());
        async { answer }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        let listener = listener.tap_io(|it| drop(it.set_nodelay(true)));
        let router = axum::Router::new().route("/api/v1/scores/leaderboard", get(handler));
        axum::serve(listener, router).await.unwrap();
    });
}

/// Such a process; it ends with this.
pub struct Bare {
    pub process: Child,
    pub address: SocketAddr,
    _file: tempfile::NamedTempFile,
}

impl Bare {
    /// Returns what this server's board is now.
    pub fn like(server: SocketAddr) -> Self {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&board(server)).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("bare").arg(file.path()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, address: line.trim().parse().unwrap(), _file: file }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The whole answer with the board.
pub fn board(server: SocketAddr) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap_or_else(|error| panic!("{server}: {error}"));
    stream.write_all(b"GET /api/v1/scores/leaderboard HTTP/1.1\r\nhost: laurel\r\n\r\n").unwrap();
    let (mut text, mut some) = (Vec::new(), [0; 4096]);
    while answer::read(&text).is_none() {
        let count = stream.read(&mut some).unwrap();
        assert!(count > 0, "{server} closed the connection");
        text.extend_from_slice(&some[..count]);
    }
    text
}
