//! The kernel's queue of sockets that are ready, and connections that are begun without waiting for them. It costs a client
//! less than a task of its own would: all clients of a worker share one thread, one queue and one buffer.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

/// Told when bytes wait, and again only after more have come.
const STREAM: i32 = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
/// Told as long as bytes wait.
const PIPE: i32 = libc::EPOLLIN;
/// Sockets that are told of at once.
const BATCH: usize = 256;

pub struct Poll {
    queue: OwnedFd,
}

/// What became of one socket.
#[derive(Clone, Copy)]
pub struct Ready {
    pub key: u64,
    pub writable: bool,
    /// The other side says no more: what is read ends with that.
    pub ends: bool,
}

impl Poll {
    pub fn new() -> Self {
        // SAFETY: no memory is passed, and the descriptor is nobody else's.
        let queue = unsafe {
            let queue = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            assert!(queue >= 0, "{}", io::Error::last_os_error());
            OwnedFd::from_raw_fd(queue)
        };
        Self { queue }
    }

    /// Adds a connection; closing it takes it out.
    pub fn add_stream(&self, stream: &TcpStream, key: u64) {
        self.add(stream.as_raw_fd(), STREAM, key);
    }

    /// Adds what others write into.
    pub fn add_pipe(&self, pipe: &impl AsRawFd, key: u64) {
        self.add(pipe.as_raw_fd(), PIPE, key);
    }

    fn add(&self, descriptor: i32, interest: i32, key: u64) {
        let mut event = libc::epoll_event { events: interest as u32, u64: key };
        // SAFETY: the event lives over the call.
        let result =
            unsafe { libc::epoll_ctl(self.queue.as_raw_fd(), libc::EPOLL_CTL_ADD, descriptor, &mut event) };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
    }

    /// Waits until something is ready or the time is over; -1: for ever.
    pub fn wait(&self, ready: &mut Vec<Ready>, timeout_ms: i32) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
        // SAFETY: the events live over the call, and there are as many as it is told.
        let count = unsafe {
            libc::epoll_wait(self.queue.as_raw_fd(), events.as_mut_ptr(), BATCH as i32, timeout_ms)
        };
        ready.clear();
        // An interruption is a wait without an event.
        ready.extend(events[..count.max(0) as usize].iter().map(|it| {
            let has = |flags: i32| it.events & flags as u32 != 0;
            Ready {
                key: it.u64,
                writable: has(libc::EPOLLOUT),
                ends: has(libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR),
            }
        }));
    }
}

/// Begins a connection from one of this machine's addresses.
pub fn connect(from: Ipv4Addr, to: SocketAddrV4) -> io::Result<TcpStream> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    socket.bind(SocketAddrV4::new(from, 0).into())?;
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: to.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(to.ip().octets()) },
        sin_zero: [0; 8],
    };
    // SAFETY: the address lives over the call and is as long as said.
    let result = unsafe {
        libc::connect(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_in>() as libc::socklen_t,
        )
    };
    let error = io::Error::last_os_error();
    if result != 0 && error.raw_os_error() != Some(libc::EINPROGRESS) {
        return Err(error);
    }
    // SAFETY: the descriptor was given up by its owner just now.
    Ok(unsafe { TcpStream::from_raw_fd(socket.into_raw_fd()) })
}
