//! Joining parts: the fields, the lines, the journal, and all of it behind a socket.

mod journals;
mod kit;
mod lines;
mod records;
mod sockets;
