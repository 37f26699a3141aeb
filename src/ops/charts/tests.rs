//! Charts from everywhere, the web being a server on this machine.

mod bundle;
mod places;
mod server;
mod web;
