//! Charts from everywhere, the web being a server on this machine.

mod bundle;
mod packed;
mod places;
mod web;
