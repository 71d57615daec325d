//! Reading the configuration again while records flow: what stays, what changes, what is refused, and who may ask.

mod asking;
mod defects;
pub(crate) mod kit;
mod outputs;
mod refused;
mod sources;
mod stages;
mod storm;
