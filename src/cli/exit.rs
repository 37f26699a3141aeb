//! Exit codes: a fixed interface that scripts may rely on.

use std::process::ExitCode;

use serde::Serialize;

/// How a run ended, as far as its exit code tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Exit {
    /// Everything asked for is done.
    Success,
    /// Something failed that no other code stands for: a file could not be written, for one.
    Failure,
    /// The command line cannot be understood.
    Usage,
    /// A value cannot work: the fleet file, a name, a subnet.
    Config,
    /// The engine does not answer, or refused.
    Engine,
    /// The node image is neither there nor to be had.
    Image,
    /// Something is in the way: a taken name, a port in use, a foreign network, a held lock.
    Conflict,
    /// A deadline passed.
    Timeout,
    /// A node or an API server failed.
    Cluster,
    /// What was asked for does not exist.
    NotFound,
    /// The mesh could not be proven; the report says why.
    Unproven,
    /// A fleet is not what is described, and that was asked.
    Differs,
    /// Stopped by a signal.
    Cancelled,
    /// The reader of the output went away.
    BrokenPipe,
}

// === impl Exit ===

impl Exit {
    /// Every way to end, in the order of the codes.
    pub const ALL: [Exit; 14] = [
        Exit::Success,
        Exit::Failure,
        Exit::Usage,
        Exit::Config,
        Exit::Engine,
        Exit::Image,
        Exit::Conflict,
        Exit::Timeout,
        Exit::Cluster,
        Exit::NotFound,
        Exit::Unproven,
        Exit::Differs,
        Exit::Cancelled,
        Exit::BrokenPipe,
    ];

    /// The code. 2 is what clap and most programs use for usage; 130 and 141 are what shells report
    /// for a process ended by SIGINT and SIGPIPE (128 + 2, 128 + 13).
    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Config => 3,
            Exit::Engine => 4,
            Exit::Image => 5,
            Exit::Conflict => 6,
            Exit::Timeout => 7,
            Exit::Cluster => 8,
            Exit::NotFound => 9,
            Exit::Unproven => 10,
            Exit::Differs => 11,
            Exit::Cancelled => 130,
            Exit::BrokenPipe => 141,
        }
    }

    /// Name in JSON error documents.
    pub fn name(self) -> &'static str {
        match self {
            Exit::Success => "success",
            Exit::Failure => "failure",
            Exit::Usage => "usage",
            Exit::Config => "config",
            Exit::Engine => "engine",
            Exit::Image => "image",
            Exit::Conflict => "conflict",
            Exit::Timeout => "timeout",
            Exit::Cluster => "cluster",
            Exit::NotFound => "notFound",
            Exit::Unproven => "unproven",
            Exit::Differs => "differs",
            Exit::Cancelled => "cancelled",
            Exit::BrokenPipe => "brokenPipe",
        }
    }

    /// What it means, in one line.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Success => "done",
            Exit::Failure => "failed for a reason no other code stands for, such as an unwritable file",
            Exit::Usage => "the command line cannot be understood",
            Exit::Config => "a value cannot work: the fleet file, a name, a subnet",
            Exit::Engine => "no engine answers, or it refused",
            Exit::Image => "the node image is neither there nor to be had",
            Exit::Conflict => "something is in the way: a taken name, a port in use, a foreign network, a held lock",
            Exit::Timeout => "a deadline passed; the message has the last state seen",
            Exit::Cluster => "a node or an API server failed",
            Exit::NotFound => "what was asked for does not exist",
            Exit::Unproven => "a mesh could not be proven; every failure has a name and a next step",
            Exit::Differs => "a fleet is not what is described, when `diff --exit-code` asks",
            Exit::Cancelled => "stopped by a signal",
            Exit::BrokenPipe => "the reader of the output went away",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_ordered() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "{codes:?}");
    }

    #[test]
    fn names_are_the_serialized_ones() {
        for exit in Exit::ALL {
            assert_eq!(serde_json::to_value(exit).unwrap(), exit.name());
        }
    }
}
