//! The Unix socket: made over a stale one, opened to whom it is for, removed at the end.

use std::{
    fs::{Permissions, remove_file, set_permissions, symlink_metadata},
    io,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use sdk::sockets::Sockets;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

/// A Unix socket that is listened on. Its file goes when nobody listens on it any more.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) listener: UnixListener,
    path: PathBuf,
}

impl Bound {
    /// Binds `path`. The file of a process that is gone is replaced; one that is in use, or no socket, is not.
    pub(crate) fn new(
        path: &Path,
        perm: Option<u32>,
        backlog: i32,
        sockets: &Sockets,
    ) -> io::Result<Self> {
        let socket = sockets.take(&sockets.unix(path), || bind(path))?;
        if let Some(perm) = perm {
            set_permissions(path, Permissions::from_mode(perm))?;
        }
        socket.listen(backlog)?;
        Ok(Self {
            listener: UnixListener::from_std(socket.into())?,
            path: path.to_owned(),
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn bind(path: &Path) -> io::Result<Socket> {
    let is_socket = symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    if is_socket
        && UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    {
        remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
