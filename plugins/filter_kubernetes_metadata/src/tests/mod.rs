//! The filter with a store that the test fills, and with a scripted API server.

mod enrich;
mod server;
mod watches;
