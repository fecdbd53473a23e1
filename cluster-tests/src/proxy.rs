//! One TCP proxy on each directed link between two nodes.
//!
//! A stream from which bytes were dropped cannot be continued: it is broken off when the link passes again, as a real connection would be.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a link does with bytes. `up` is from the node that dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Hands everything on.
    Pass,
    /// Keeps everything until it passes again.
    Hold,
    /// Swallows what the dialling node says.
    DropUp,
    /// Swallows what the dialled node says.
    DropDown,
    /// Swallows everything, silently: the cable is cut.
    Cut,
    /// Hands everything on, so many milliseconds late.
    Delay(u64),
    /// Breaks off every connection.
    Reset,
}

#[derive(Debug)]
struct Shared {
    state: LinkState,
    /// Counts the changes: a connection remembers the one in which it lost bytes.
    open: Vec<Connection>,
    closed: bool,
}

#[derive(Debug)]
struct Connection {
    near: TcpStream,
    far: TcpStream,
    tainted: bool,
    number: u64,
}

/// A proxy in front of one node, for one other node.
#[derive(Debug)]
pub struct Link {
    listens: SocketAddr,
    shared: Arc<(Mutex<Shared>, Condvar)>,
}

impl Link {
    /// Listens on `on` (port 0: any), and hands on to `target`, which need not be there yet.
    ///
    /// # Panics
    /// When the address cannot be bound.
    #[must_use]
    pub fn open(on: SocketAddr, target: SocketAddr) -> Self {
        let listener = TcpListener::bind(on).unwrap_or_else(|e| panic!("the proxy cannot listen on {on}: {e}"));
        let listens = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new((Mutex::new(Shared { state: LinkState::Pass, open: Vec::new(), closed: false }), Condvar::new()));
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, target, &theirs));
        Self { listens, shared }
    }

    /// Where the dialling node reaches the other through this link.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listens
    }

    /// Changes what happens to bytes from now on.
    pub fn set(&self, state: LinkState) {
        let mut shared = lock(&self.shared);
        shared.state = state;
        let drops = matches!(state, LinkState::DropUp | LinkState::DropDown | LinkState::Cut);
        shared.open.retain(|it| {
            let keep = state != LinkState::Reset && (drops || state == LinkState::Hold || !it.tainted);
            if !keep {
                it.break_off();
            }
            keep
        });
        self.shared.1.notify_all();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        shared.closed = true;
        shared.open.iter().for_each(Connection::break_off);
        shared.open.clear();
        self.shared.1.notify_all();
        drop(shared);
        // Wakes the accepting thread, which then sees that the link is closed.
        drop(TcpStream::connect_timeout(&self.listens, Duration::from_millis(200)));
    }
}

impl Connection {
    fn break_off(&self) {
        // Either side may be gone already, which is what we want.
        let _ = self.near.shutdown(Shutdown::Both);
        let _ = self.far.shutdown(Shutdown::Both);
    }
}

type Both = (Mutex<Shared>, Condvar);

fn lock(shared: &Both) -> MutexGuard<'_, Shared> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, target: SocketAddr, shared: &Arc<Both>) {
    for number in 0.. {
        let Ok((near, _)) = listener.accept() else { return };
        let state = {
            let shared = lock(shared);
            if shared.closed {
                return;
            }
            shared.state
        };
        if state != LinkState::Reset {
            let shared = Arc::clone(shared);
            std::thread::spawn(move || connect(number, near, target, &shared));
        }
    }
}

/// Dials the target once the link lets the dialling node through at all.
fn connect(number: u64, near: TcpStream, target: SocketAddr, shared: &Arc<Both>) {
    {
        let blocked = |it: &mut Shared| !it.closed && matches!(it.state, LinkState::Hold | LinkState::Cut | LinkState::DropUp | LinkState::DropDown);
        let shared = shared.1.wait_while(lock(shared), blocked).unwrap_or_else(PoisonError::into_inner);
        if shared.closed || shared.state == LinkState::Reset {
            return;
        }
    }
    // A target that is down refuses, and so does the link: `near` is dropped.
    let Ok(far) = TcpStream::connect_timeout(&target, Duration::from_secs(2)) else { return };
    let _ = near.set_nodelay(true);
    let _ = far.set_nodelay(true);
    let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else { return };
    let (Ok(near_in), Ok(far_in)) = (near.try_clone(), far.try_clone()) else { return };
    {
        let mut shared = lock(shared);
        if shared.closed || shared.state == LinkState::Reset {
            return;
        }
        shared.open.push(Connection { near, far, tainted: false, number });
    }
    let theirs = Arc::clone(shared);
    std::thread::spawn(move || pump(number, Way::Down, far_in, near_too, &theirs));
    pump(number, Way::Up, near_in, far_too, shared);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// Carries bytes one way until either end closes or the link breaks off.
fn pump(number: u64, way: Way, mut from: TcpStream, mut to: TcpStream, shared: &Arc<Both>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let Some(state) = verdict(number, way, shared) else { break };
        if let LinkState::Delay(ms) = state {
            crate::clock::park(Duration::from_millis(ms));
        }
        let drops = state == LinkState::Cut || (way == Way::Up && state == LinkState::DropUp) || (way == Way::Down && state == LinkState::DropDown);
        if !drops && to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let mut shared = lock(shared);
    shared.open.retain(|it| {
        if it.number == number {
            it.break_off();
        }
        it.number != number
    });
}

/// What to do with bytes that have come: waits while the link holds, and notes when they will be lost. None: the connection is over.
fn verdict(number: u64, way: Way, shared: &Arc<Both>) -> Option<LinkState> {
    let holds = |it: &mut Shared| !it.closed && it.state == LinkState::Hold;
    let mut shared = shared.1.wait_while(lock(shared), holds).unwrap_or_else(PoisonError::into_inner);
    let state = shared.state;
    if shared.closed || state == LinkState::Reset {
        return None;
    }
    let connection = shared.open.iter_mut().find(|it| it.number == number)?;
    let drops = match state {
        LinkState::Cut => true,
        LinkState::DropUp => way == Way::Up,
        LinkState::DropDown => way == Way::Down,
        _ => false,
    };
    connection.tainted |= drops;
    Some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().expect("an address")
    }

    /// A server that answers each byte with the next one, and a link in front of it.
    fn echo() -> Link {
        let server = TcpListener::bind(any()).expect("a port");
        let target = server.local_addr().expect("an address");
        std::thread::spawn(move || {
            while let Ok((mut peer, _)) = server.accept() {
                std::thread::spawn(move || {
                    let mut byte = [0];
                    while peer.read_exact(&mut byte).is_ok() && peer.write_all(&[byte[0] + 1]).is_ok() {}
                });
            }
        });
        Link::open(any(), target)
    }

    fn dial(link: &Link) -> TcpStream {
        let stream = TcpStream::connect(link.address()).expect("the link listens");
        stream.set_read_timeout(Some(Duration::from_millis(150))).expect("a time-out");
        stream
    }

    fn ask(stream: &mut TcpStream, byte: u8) -> Option<u8> {
        stream.write_all(&[byte]).ok()?;
        let mut answer = [0];
        stream.read_exact(&mut answer).ok().map(|()| answer[0])
    }

    #[test]
    fn a_link_passes_and_delays() {
        let link = echo();
        let mut stream = dial(&link);
        assert_eq!(ask(&mut stream, 1), Some(2));
        link.set(LinkState::Delay(20));
        let before = crate::clock::now_us();
        assert_eq!(ask(&mut stream, 2), Some(3));
        assert!(crate::clock::now_us() - before >= 40_000, "late in both directions");
    }

    #[test]
    fn what_was_held_comes_later_and_nothing_is_lost() {
        let link = echo();
        let mut stream = dial(&link);
        assert_eq!(ask(&mut stream, 1), Some(2));
        link.set(LinkState::Hold);
        assert_eq!(ask(&mut stream, 7), None);
        link.set(LinkState::Pass);
        let mut answer = [0];
        stream.read_exact(&mut answer).expect("the held byte is answered");
        assert_eq!(answer, [8]);
    }

    #[test]
    fn a_connection_that_lost_bytes_is_broken_off_when_the_link_heals() {
        for state in [LinkState::DropUp, LinkState::DropDown, LinkState::Cut] {
            let link = echo();
            let mut stream = dial(&link);
            assert_eq!(ask(&mut stream, 1), Some(2));
            link.set(state);
            assert_eq!(ask(&mut stream, 5), None, "{state:?}");
            link.set(LinkState::Pass);
            assert_eq!(stream.read(&mut [0]).expect("an end, not a time-out"), 0, "{state:?}");
            assert_eq!(ask(&mut dial(&link), 1), Some(2), "{state:?}");
        }
    }

    #[test]
    fn reset_breaks_off_and_refuses() {
        let link = echo();
        let mut stream = dial(&link);
        assert_eq!(ask(&mut stream, 1), Some(2));
        link.set(LinkState::Reset);
        assert_eq!(ask(&mut stream, 1), None);
        assert_eq!(ask(&mut dial(&link), 1), None);
    }
}
