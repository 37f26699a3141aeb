//! Every verb of the adapter against a real engine: the one at `DOCKER_HOST`, or at the default
//! socket. Without an engine these tests fail; nothing is skipped in silence.
//!
//! Everything made here bears a label of its own test and is removed afterwards, also when the test
//! fails.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by a panic")]

mod archive;
mod attach;
mod containers;
mod events;
mod exec;
mod images;
mod interrupted;
mod networks;
mod proxy;
mod registry;
mod scope;
