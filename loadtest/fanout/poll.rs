//! The kernel's queue of sockets that are ready, and connections that are begun without waiting for them. It costs a client
//! less than a task of its own would: all clients of a worker share one thread, one queue and one buffer.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

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
        told(ready, &events, count);
    }

    /// The same with a time that is not in whole milliseconds.
    pub fn wait_for(&self, ready: &mut Vec<Ready>, timeout: Duration) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
        let time =
            libc::timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        // SAFETY: the events and the time live over the call, there are as many events as it is told, and no signals are masked.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.queue.as_raw_fd(),
                events.as_mut_ptr(),
                BATCH as i32,
                &raw const time,
                std::ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        told(ready, &events, count as i32);
    }
}

fn told(ready: &mut Vec<Ready>, events: &[libc::epoll_event], count: i32) {
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

/// A port has clients enough that finding a free one takes longer than connecting; with few from each address it does not.
const CLIENTS_PER_ADDRESS: u32 = 2000;

/// Begins a connection of the client at this place, from an address of this machine near the worker's.
pub fn connect(worker: Ipv4Addr, place: usize, to: SocketAddrV4) -> io::Result<TcpStream> {
    let from = Ipv4Addr::from_bits(worker.to_bits() + (place as u32 / CLIENTS_PER_ADDRESS) * 0x1_0000);
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SocketAddrV4::new(from, 0).into())?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}
