//! Ports for cluster members. They stay reserved across restarts and among all test processes of a machine.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// The first port. The range is below the ephemeral ports, so that no outgoing connection takes the port of a stopped member.
const FIRST: u16 = 20_000;
const BLOCKS: u16 = 1000;

/// Each member has a port for clients and one for the cluster bus.
const PORTS: u16 = 2 * super::MEMBERS as u16;

/// A block of ports, reserved until it is dropped.
pub struct Ports {
    first: u16,
    /// An abstract socket as a lock, which the kernel releases when the process ends.
    _lock: UnixListener,
}

impl Ports {
    pub fn take() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // Each test process starts at another block.
        let start = std::process::id() * 37 % u32::from(BLOCKS);
        for _ in 0..BLOCKS {
            let block = (start + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % u32::from(BLOCKS);
            let first = FIRST + u16::try_from(block).unwrap() * PORTS;
            let name = SocketAddr::from_abstract_name(format!("laurel-test-ports-{first}")).unwrap();
            let Ok(lock) = UnixListener::bind_addr(&name) else { continue };
            if (first..first + PORTS).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
                return Self { first, _lock: lock };
            }
        }
        panic!("no free block of {PORTS} ports");
    }

    pub fn client(&self, member: usize) -> u16 {
        self.first + u16::try_from(member).unwrap()
    }

    pub fn bus(&self, member: usize) -> u16 {
        self.client(member) + PORTS / 2
    }
}
