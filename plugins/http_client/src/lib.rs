//! The HTTP client of outputs: no redirects, files of TLS that are read again, answers with a limit, and what a request
//! that failed means.

mod answer;
mod broken;
mod client;
#[cfg(test)]
mod tests;

pub use answer::{Unread, read};
pub use broken::Broken;
pub use client::{Client, Options, Proxy};
