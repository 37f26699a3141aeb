//! Commands in containers of pods: their output and how they ended.

use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::AttachParams;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::client::ApiServer;
use super::deadline::Deadline;
use super::error::Result;

/// Most of each stream that is kept, in bytes; what comes after is read and thrown away.
const MOST: usize = 4 * 1024 * 1024;

/// Where a command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Namespace.
    pub namespace: String,
    /// Pod.
    pub pod: String,
    /// Container.
    pub container: String,
}

/// What a command left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodOutput {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// How it ended.
    pub end: End,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Exited(i32),
    /// It could not be started, or its connection broke; the words of whoever told.
    Failed(String),
    /// The deadline passed first. The command may still run.
    TimedOut,
}

/// What one stream said so far; kept outside of its reader, which a deadline may drop.
type Said = Arc<Mutex<Vec<u8>>>;

// === impl PodOutput ===

impl PodOutput {
    /// Whether it ended with code 0.
    pub fn success(&self) -> bool {
        self.end == End::Exited(0)
    }

    /// How it ended, with the end of what it said on standard error.
    pub fn describe(&self) -> String {
        let how = match &self.end {
            End::Exited(code) => format!("it ended with code {code}"),
            End::Failed(message) => message.clone(),
            End::TimedOut => "it did not end in time".to_owned(),
        };
        match self.stderr.lines().rev().find(|line| !line.trim().is_empty()) {
            Some(line) => format!("{how}: {}", line.trim()),
            None => how,
        }
    }
}

/// Runs a command in a container and returns what it said until it ended or the deadline passed; a
/// command that fails is no error.
///
/// # Errors
/// When it cannot even be asked for: the request's, or `Timeout`.
pub async fn run(server: &ApiServer, place: &Place, command: &[String], deadline: Deadline) -> Result<PodOutput> {
    let object = format!("container {} of pod {}/{}", place.container, place.namespace, place.pod);
    let api: Api<Pod> = Api::namespaced(server.client(), &place.namespace);
    let params = AttachParams::default().stdin(false).stdout(true).stderr(true).container(&place.container);
    let start = async { api.exec(&place.pod, command, &params).await.map_err(|error| server.error("run a command in", &object, &error)) };
    let mut process = deadline.bound(&format!("a command in {object} to start"), "no answer", start).await?;
    let (stdout, stderr) = (Said::default(), Said::default());
    let (out, err, status) = (process.stdout(), process.stderr(), process.take_status());
    // All at once: a full pipe nobody reads would hold up the other one and the status.
    let work = async {
        let status = async {
            match status {
                Some(status) => status.await,
                None => None,
            }
        };
        tokio::join!(read(out, &stdout), read(err, &stderr), status).2
    };
    let end = match deadline.limit(work).await {
        Some(Some(status)) => End::of(&status),
        Some(None) => End::Failed("the connection ended before the command did".to_owned()),
        None => End::TimedOut,
    };
    Ok(PodOutput { stdout: text(&stdout), stderr: text(&stderr), end })
}

// === impl End ===

impl End {
    /// From what the server says at the end: success, or a failure with the exit code as a detail.
    fn of(status: &Status) -> Self {
        if status.status.as_deref() == Some("Success") {
            return Self::Exited(0);
        }
        let causes = status.details.iter().flat_map(|details| details.causes.iter().flatten());
        let code =
            causes.filter(|cause| cause.reason.as_deref() == Some("ExitCode")).find_map(|cause| cause.message.as_deref()?.parse().ok());
        match code {
            Some(code) => Self::Exited(code),
            None => Self::Failed(status.message.clone().unwrap_or_else(|| "it could not be run".to_owned())),
        }
    }
}

async fn read(stream: Option<impl AsyncRead + Unpin>, said: &Said) {
    let Some(mut stream) = stream else { return };
    let mut buffer = vec![0; 16 * 1024];
    // A broken stream shows as a missing status.
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST.saturating_sub(said.len()).min(count);
        said.extend_from_slice(&buffer[..room]);
    }
}

fn text(said: &Said) -> String {
    String::from_utf8_lossy(&said.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn end(status: serde_json::Value) -> End {
        End::of(&serde_json::from_value(status).unwrap())
    }

    #[test]
    fn the_exit_code_is_a_detail_of_the_status() {
        assert_eq!(end(json!({"status": "Success"})), End::Exited(0));
        let failed = json!({"status": "Failure", "reason": "NonZeroExitCode", "message": "command terminated with non-zero exit code",
            "details": {"causes": [{"reason": "ExitCode", "message": "7"}]}});
        assert_eq!(end(failed), End::Exited(7));
        let missing = json!({"status": "Failure", "reason": "InternalError", "message": "exec: \"curl\": not found"});
        assert_eq!(end(missing), End::Failed("exec: \"curl\": not found".to_owned()));
    }

    #[test]
    fn how_it_ended_is_told_in_one_line() {
        let output = |end, stderr: &str| PodOutput { stdout: String::new(), stderr: stderr.to_owned(), end };
        assert_eq!(output(End::Exited(6), "a\nno such host\n\n").describe(), "it ended with code 6: no such host");
        assert_eq!(output(End::TimedOut, "").describe(), "it did not end in time");
        assert!(!output(End::TimedOut, "").success() && output(End::Exited(0), "x").success());
    }

    #[tokio::test]
    async fn streams_are_kept_up_to_a_limit_and_read_to_the_end() {
        let said = Said::default();
        read(Some(std::io::Cursor::new(vec![b'x'; MOST + 5])), &said).await;
        assert_eq!(text(&said).len(), MOST);
    }
}
