//! A proxy in front of a store that can drop all data: connections stay open without replies, as behind a firewall that forgot them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;

pub struct Proxy {
    pub port: u16,
    swallows: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Starts a proxy in front of a socket.
    pub async fn start(socket: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, socket) = (listener.local_addr().unwrap().port(), socket.to_owned());
        let swallows = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        let seen = swallows.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                connections.spawn(carry(client, socket.clone(), seen.clone()));
            }
        });
        Self { port, swallows, _tasks: tasks }
    }

    /// Drops all data in both directions. Connections that lost data never work again.
    pub fn drop_data(&self) {
        self.swallows.store(true, Ordering::Relaxed);
    }

    /// New connections work again.
    pub fn restore(&self) {
        self.swallows.store(false, Ordering::Relaxed);
    }
}

async fn carry(client: TcpStream, socket: PathBuf, swallows: Arc<AtomicBool>) {
    let Ok(store) = UnixStream::connect(socket).await else { return };
    let ((from_client, to_client), (from_store, to_store)) = (client.into_split(), store.into_split());
    let (there, back) = (pass(from_client, to_store, &swallows), pass(from_store, to_client, &swallows));
    tokio::select! { () = there => {}, () = back => {} }
}

/// Copies one direction of a connection. After the first dropped byte it drops everything.
async fn pass(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWrite + Unpin, swallows: &AtomicBool) {
    let (mut bytes, mut lost) = (vec![0; 64 * 1024], false);
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        lost |= swallows.load(Ordering::Relaxed);
        if !lost && to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
