//! A TCP proxy between one node and one store, whose way can be cut, swallow everything, or be slow.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Everything passes.
    Pass,
    /// Connections are closed, and new ones too.
    Cut,
    /// Connections stay open and new ones are taken, but bytes are lost; whoever lost some is closed when the way is free again.
    Swallow,
    /// The same, but bytes only wait, and arrive when the way is free again: what was given up long ago is done late.
    Hold,
    /// Each piece waits.
    Slow(Duration),
}

/// The proxy; it ends with this value.
pub struct Proxy {
    pub port: u16,
    way: watch::Sender<Way>,
}

impl Proxy {
    pub async fn start(to_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (way, watched) = watch::channel(Way::Pass);
        tokio::spawn(accept(listener, to_port, watched));
        Self { port, way }
    }

    /// Changes the way of what is open and of what will be.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn accept(listener: TcpListener, to_port: u16, mut way: watch::Receiver<Way>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            gone = way.changed() => match gone { Ok(()) => continue, Err(_) => return },
        };
        if let Ok((client, _)) = accepted {
            tokio::spawn(carry(client, to_port, way.clone()));
        }
    }
}

async fn carry(client: TcpStream, to_port: u16, mut way: watch::Receiver<Way>) {
    if !is_free(&mut way).await || *way.borrow() == Way::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", to_port)).await else { return };
    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut cut = way.clone();
    tokio::select! {
        () = pass(from_client, to_server, way.clone()) => {}
        () = pass(from_server, to_client, way) => {}
        _ = cut.wait_for(|it| *it == Way::Cut) => {}
    }
}

/// Waits until bytes pass again, or are refused. False: the suite is over.
async fn is_free(way: &mut watch::Receiver<Way>) -> bool {
    way.wait_for(|it| !matches!(it, Way::Swallow | Way::Hold)).await.is_ok()
}

/// Carries one direction to its end.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        let now = *way.borrow_and_update();
        match now {
            Way::Pass | Way::Cut => {}
            Way::Slow(wait) => tokio::time::sleep(wait).await,
            Way::Hold => {
                is_free(&mut way).await;
            }
            Way::Swallow => {
                is_free(&mut way).await;
                return;
            }
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
