//! Charts from everywhere, the web being a server on this machine.

mod places;
mod server;
mod web;
