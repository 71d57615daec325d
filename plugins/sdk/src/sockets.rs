//! Listening sockets that outlive the component that listens on them, so that a restart refuses no connection.
//!
//! Whoever listens takes its socket from here by the place that it listens on. The engine keeps a handle of its own:
//! while one component ends and the next begins, connections and datagrams wait in the kernel.

use std::{
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// The sockets of all components.
#[derive(Debug, Clone, Default)]
pub struct Shelf(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    kept: Mutex<Vec<Kept>>,
    owners: AtomicU64,
}

/// A socket, and who uses it.
#[derive(Debug)]
struct Kept {
    place: Place,
    socket: OwnedFd,
    owners: Vec<u64>,
}

/// What is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    kind: Kind,
    /// The component, where the port is any: then each has its own.
    component: Option<Arc<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Tcp(SocketAddr),
    Udp(SocketAddr),
    Unix(PathBuf),
}

/// The sockets of one component. Cheap to clone. When the last clone is gone, what nobody else took is closed.
#[derive(Debug, Clone)]
pub struct Sockets(Arc<Owner>);

#[derive(Debug)]
struct Owner {
    shelf: Shelf,
    component: Arc<str>,
    number: u64,
    /// A place overlaps with one that another component has.
    overlaps: AtomicBool,
}

impl Shelf {
    /// Those of a component with this id.
    pub fn of(&self, component: &Arc<str>) -> Sockets {
        Sockets(Arc::new(Owner {
            shelf: self.clone(),
            component: Arc::clone(component),
            number: self.0.owners.fetch_add(1, Ordering::Relaxed),
            overlaps: AtomicBool::new(false),
        }))
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sockets {
    /// A shelf of its own, for tests and for components that run alone.
    pub fn detached() -> Self {
        Shelf::default().of(&Arc::from("detached"))
    }

    /// The place of a TCP listener.
    pub fn tcp(&self, address: SocketAddr) -> Place {
        self.place(Kind::Tcp(address), address.port())
    }

    /// The place of a UDP socket.
    pub fn udp(&self, address: SocketAddr) -> Place {
        self.place(Kind::Udp(address), address.port())
    }

    /// The place of a Unix socket. Its file is removed when the socket is closed.
    pub fn unix(&self, path: &Path) -> Place {
        Place {
            kind: Kind::Unix(path.to_owned()),
            component: None,
        }
    }

    fn place(&self, kind: Kind, port: u16) -> Place {
        Place {
            kind,
            component: (port == 0).then(|| Arc::clone(&self.0.component)),
        }
    }

    /// The socket at this place: the one that is there, or what `bind` makes.
    ///
    /// # Errors
    /// What `bind` says, or the system, when there are no descriptors left.
    pub fn take<S: From<OwnedFd> + Into<OwnedFd>>(
        &self,
        place: &Place,
        bind: impl FnOnce() -> io::Result<S>,
    ) -> io::Result<S> {
        let mut kept = self.0.shelf.kept();
        if let Some(kept) = kept.iter_mut().find(|kept| kept.place == *place) {
            let socket = kept.socket.try_clone()?;
            if !kept.owners.contains(&self.0.number) {
                kept.owners.push(self.0.number);
            }
            return Ok(socket.into());
        }
        let bound = bind().inspect_err(|error| {
            let overlaps = error.kind() == io::ErrorKind::AddrInUse
                && kept.iter().any(|kept| kept.place.overlaps(place));
            self.0.overlaps.fetch_or(overlaps, Ordering::Relaxed);
        })?;
        let socket: OwnedFd = bound.into();
        kept.push(Kept {
            place: place.clone(),
            socket: socket.try_clone()?,
            owners: vec![self.0.number],
        });
        Ok(socket.into())
    }

    /// Gives up the socket at this place.
    pub fn release(&self, place: &Place) {
        let number = self.0.number;
        self.0
            .shelf
            .kept()
            .retain_mut(|kept| kept.place != *place || kept.goes_on_without(number));
    }

    /// Gives up all of them: what nobody else took refuses connections from now on. For a component that stops, and has
    /// connections to finish.
    pub fn close(&self) {
        self.0.close();
    }

    /// Whether something could not be bound because another component of this process has part of it, such as the same
    /// port at all addresses. It can be bound when that one has ended.
    pub fn waits_for_another(&self) -> bool {
        self.0.overlaps.load(Ordering::Relaxed)
    }
}

impl Place {
    fn overlaps(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Tcp(one), Kind::Tcp(other)) | (Kind::Udp(one), Kind::Udp(other)) => {
                let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
                one.port() == other.port() && (is_any || one.ip() == other.ip())
            }
            (one, other) => one == other,
        }
    }
}

impl Kept {
    /// Takes an owner away; whether there is another.
    fn goes_on_without(&mut self, owner: u64) -> bool {
        self.owners.retain(|number| *number != owner);
        !self.owners.is_empty()
    }
}

impl Owner {
    fn close(&self) {
        self.shelf
            .kept()
            .retain_mut(|kept| kept.goes_on_without(self.number));
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.close();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Kind::Unix(path) = &self.place.kind {
            // What cannot be removed is replaced at the next start.
            drop(std::fs::remove_file(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn bind(sockets: &Sockets, address: SocketAddr) -> io::Result<TcpListener> {
        sockets.take(&sockets.tcp(address), || TcpListener::bind(address))
    }

    #[test]
    fn connections_wait_while_one_ends_and_the_next_begins() {
        let shelf = Shelf::default();
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let old = shelf.of(&Arc::from("a"));
        let listener = bind(&old, any).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let waiting = TcpStream::connect(address).unwrap();
        let new = shelf.of(&Arc::from("a"));
        let listener = bind(&new, any).unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);
        drop(old);
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer, waiting.local_addr().unwrap());
        drop((listener, new));
        assert!(TcpStream::connect(address).is_err(), "nobody has it now");
    }

    #[test]
    fn any_port_is_another_one_for_each_component() {
        let shelf = Shelf::default();
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let [one, other] = ["a", "b"].map(|id| shelf.of(&Arc::from(id)));
        let ports = [&one, &other].map(|sockets| bind(sockets, any).unwrap().local_addr().unwrap());
        assert_ne!(ports.first(), ports.last());
        one.release(&one.tcp(any));
        assert!(shelf.kept().len() == 1);
    }

    #[test]
    fn what_another_component_has_in_part_is_told_from_what_another_process_has() {
        let shelf = Shelf::default();
        let wide = shelf.of(&Arc::from("a"));
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        bind(&wide, ([0, 0, 0, 0], free.port()).into()).unwrap();
        let narrow = shelf.of(&Arc::from("b"));
        assert!(bind(&narrow, free).is_err() && narrow.waits_for_another());

        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = shelf.of(&Arc::from("c"));
        assert!(bind(&other, taken.local_addr().unwrap()).is_err());
        assert!(!other.waits_for_another());
    }

    #[test]
    fn the_file_of_a_unix_socket_goes_with_its_last_owner() {
        use std::os::unix::net::UnixListener;
        let dir = std::env::temp_dir().join(format!("weir-sockets-{}", std::process::id()));
        let shelf = Shelf::default();
        let [old, new] = ["a", "a"].map(|id| shelf.of(&Arc::from(id)));
        let take = |sockets: &Sockets| {
            sockets
                .take(&sockets.unix(&dir), || UnixListener::bind(&dir))
                .unwrap()
        };
        take(&old);
        take(&new);
        drop(old);
        assert!(dir.exists());
        drop(new);
        assert!(!dir.exists());
    }
}
