//! What goes wrong between kindmesh and an engine, or an API server, to order: every fault is survived, or told with
//! object and cause and mended by the next command.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]
#![expect(clippy::print_stdout, reason = "what was tried and survived is told to who runs it")]
#![expect(clippy::disallowed_methods, reason = "a program is killed a while after a step, whatever it does then")]

mod apiserver;
mod bench;
mod calls;
mod engine;
mod execs;
mod happened;
mod http;
mod images;
mod interrupt;
mod live;
mod machine;
mod many;
mod proxy;
mod real;
mod report;
mod rows;
mod secrets;
mod soak;
mod socket;
mod verbs;
mod web;
mod webfaults;
mod wire;
