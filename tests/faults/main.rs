//! What goes wrong between kindmesh and an engine, or an API server, to order: every fault is survived, or told with
//! object and cause and mended by the next command.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod apiserver;
mod bench;
mod calls;
mod engine;
mod http;
mod live;
mod machine;
mod many;
mod proxy;
mod real;
mod report;
mod secrets;
mod soak;
mod socket;
mod verbs;
mod web;
mod webfaults;
mod wire;
