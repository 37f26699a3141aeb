//! Single files of containers, by commands in the container.
//!
//! This sees what the container sees, its tmpfs mounts included; archives do not (see
//! [`Engine::put_archive`]).

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::{Engine, EngineError, EngineErrorKind as Kind, ExecRequest, Result};

/// Writes beside the target and renames, so that a reader never sees half a file and a connection
/// cut in the middle leaves the old one. `$1` path, `$2` mode, `$3` size.
pub(super) const WRITE: &str = r#"
set -e
dir=${1%/*}
[ -z "$dir" ] || mkdir -p "$dir"
umask 077
part=$1.part.$$
cat > "$part"
size=$(wc -c < "$part")
if [ "$size" -ne "$3" ]; then
  rm -f "$part"
  echo "received $size of $3 bytes" >&2
  exit 75
fi
chmod "$2" "$part"
mv -f "$part" "$1"
"#;

/// Exit code 44 tells a missing file from one that cannot be read.
pub(super) const READ: &str = r#"[ -e "$1" ] || exit 44; exec cat "$1""#;

/// Writes a file in a running container, making its folder. `path` is absolute; `mode` are the
/// permission bits (`0o644`).
///
/// # Errors
/// `Refused` with the command's words when it fails, and whatever [`Engine::exec`] fails with.
pub async fn write_file(
    engine: &dyn Engine,
    container: &str,
    path: &str,
    mode: u32,
    content: impl Into<Bytes>,
    cancel: &CancellationToken,
) -> Result<()> {
    const VERB: &str = "write file";
    let content = content.into();
    let (mode, size) = (format!("{mode:o}"), content.len().to_string());
    let request = ExecRequest::new(["sh", "-c", WRITE, "sh", path, &mode, &size]).stdin(content);
    let output = engine.exec(container, request, cancel).await.map_err(|error| within(VERB, container, path, error))?;
    match output.exit_code {
        0 => Ok(()),
        code => Err(EngineError::new(VERB, object(container, path), Kind::Refused, format!("exit code {code}: {}", output.tail(3)))),
    }
}

/// Reads a file of a running container.
///
/// # Errors
/// `NotFound` when there is none, `Refused` with the command's words when it cannot be read, and
/// whatever [`Engine::exec`] fails with.
pub async fn read_file(engine: &dyn Engine, container: &str, path: &str, cancel: &CancellationToken) -> Result<Vec<u8>> {
    const VERB: &str = "read file";
    let request = ExecRequest::new(["sh", "-c", READ, "sh", path]);
    let output = engine.exec(container, request, cancel).await.map_err(|error| within(VERB, container, path, error))?;
    match output.exit_code {
        0 => Ok(output.stdout),
        44 => Err(EngineError::new(VERB, object(container, path), Kind::NotFound, "there is no such file")),
        code => Err(EngineError::new(VERB, object(container, path), Kind::Refused, format!("exit code {code}: {}", output.tail(3)))),
    }
}

fn object(container: &str, path: &str) -> String {
    format!("{container}:{path}")
}

/// The error of the command, told as the file's.
fn within(verb: &'static str, container: &str, path: &str, error: EngineError) -> EngineError {
    EngineError::new(verb, object(container, path), error.kind, error.message)
}
