//! The kernel's epoll queue of ready sockets. It costs less per client than a tokio task: all clients share one thread, one queue
//! and one buffer.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Edge-triggered: reported when bytes arrive, and again only after more have arrived.
const STREAM: i32 = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
/// Level-triggered: reported as long as bytes wait.
const PIPE: i32 = libc::EPOLLIN;
/// Events per call.
const BATCH: usize = 256;

pub struct Epoll {
    queue: OwnedFd,
}

/// A socket that is ready.
#[derive(Clone, Copy)]
pub struct Ready {
    pub key: u64,
    pub is_writable: bool,
    /// The other side sends no more.
    pub is_closed: bool,
}

impl Epoll {
    pub fn new() -> Self {
        // SAFETY: no memory is passed, and nobody else owns the descriptor.
        let queue = unsafe {
            let queue = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            assert!(queue >= 0, "{}", io::Error::last_os_error());
            OwnedFd::from_raw_fd(queue)
        };
        Self { queue }
    }

    /// Adds a connection. Closing the connection removes it.
    pub fn add_stream(&self, stream: &TcpStream, key: u64) {
        self.add(stream.as_raw_fd(), STREAM, key);
    }

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

    /// Waits until something is ready or the time is over. None waits forever.
    pub fn wait(&self, ready: &mut Vec<Ready>, timeout: Option<Duration>) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
        let time = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: timeout.subsec_nanos().into(),
        });
        // SAFETY: the events and the time live over the call, the number of events is right, and no signals are masked.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.queue.as_raw_fd(),
                events.as_mut_ptr(),
                BATCH as i32,
                time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
                std::ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        ready.clear();
        // An interrupted wait reports -1, which counts as no event.
        ready.extend(events[..count.max(0) as usize].iter().map(|event| {
            let has = |flags: i32| event.events & flags as u32 != 0;
            Ready {
                key: event.u64,
                is_writable: has(libc::EPOLLOUT),
                is_closed: has(libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR),
            }
        }));
    }
}
