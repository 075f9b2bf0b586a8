//! The baseline of board reads: an axum handler that returns the same bytes under the same headers without any work, in a separate
//! process (`loadtest bare-handler FILE`). The file is a response as it came over the wire.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::routing::get;
use axum::serve::ListenerExt;

use super::lane::read_response;

/// Headers that the server adds itself.
const ADDED: [&str; 3] = ["content-length", "date", "connection"];

/// Serves until it is killed, on as many threads as a node.
pub fn serve(file: &Path) {
    let text = std::fs::read(file).unwrap();
    let body = read_response(&text).expect("the file is a response").body;
    let head = String::from_utf8_lossy(&text[..text.len() - body.len()]).into_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(": ")) {
        if !ADDED.contains(&name) {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
    }
    let body = Bytes::copy_from_slice(body);
    let handler = move || {
        let response = (headers.clone(), body.clone());
        async { response }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let router = axum::Router::new().route("/api/v1/scores/leaderboard", get(handler));
        axum::serve(listener, router).await.unwrap();
    });
}

/// The process; it ends with this value.
pub struct BareHandler {
    pub process: Child,
    pub address: SocketAddr,
    _file: tempfile::NamedTempFile,
}

impl BareHandler {
    /// Starts a handler that returns the current board of a server.
    pub fn start(server: SocketAddr) -> Self {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&board_response(server)).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("bare-handler").arg(file.path()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, address: line.trim().parse().unwrap(), _file: file }
    }
}

impl Drop for BareHandler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server's whole response with the board.
pub fn board_response(server: SocketAddr) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap_or_else(|error| panic!("{server}: {error}"));
    stream.write_all(b"GET /api/v1/scores/leaderboard HTTP/1.1\r\nhost: laurel\r\n\r\n").unwrap();
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    while read_response(&text).is_none() {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "{server} closed the connection");
        text.extend_from_slice(&buffer[..count]);
    }
    text
}
