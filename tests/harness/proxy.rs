//! A proxy in front of a store that can drop all data: connections stay open without replies, as behind a firewall that lost its state.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;

pub struct Proxy {
    pub port: u16,
    drops_data: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Starts a proxy in front of a Unix socket.
    pub async fn start(socket: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, socket) = (listener.local_addr().unwrap().port(), socket.to_owned());
        let drops_data = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        let flag = drops_data.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                connections.spawn(serve(client, socket.clone(), flag.clone()));
            }
        });
        Self { port, drops_data, _tasks: tasks }
    }

    /// Drops all data in both directions. Connections that lost data never work again.
    pub fn drop_data(&self) {
        self.drops_data.store(true, Ordering::Relaxed);
    }

    /// Passes data again, on new connections.
    pub fn restore(&self) {
        self.drops_data.store(false, Ordering::Relaxed);
    }
}

async fn serve(client: TcpStream, socket: PathBuf, drops_data: Arc<AtomicBool>) {
    let Ok(store) = UnixStream::connect(socket).await else { return };
    let ((from_client, to_client), (from_store, to_store)) = (client.into_split(), store.into_split());
    let (requests, replies) =
        (copy(from_client, to_store, &drops_data), copy(from_store, to_client, &drops_data));
    tokio::select! { () = requests => {}, () = replies => {} }
}

/// Copies one direction of a connection. After the first dropped byte it drops all following bytes.
async fn copy(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWrite + Unpin, drops_data: &AtomicBool) {
    let (mut bytes, mut dropped) = (vec![0; 64 * 1024], false);
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        dropped |= drops_data.load(Ordering::Relaxed);
        if !dropped && to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
