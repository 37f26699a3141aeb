//! This program once more, in the background: what is to go on when a command has given its answer.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::args::Globals;

/// A log that has grown beyond this many bytes begins anew.
const LOG_LIMIT: u64 = 256 * 1024;

/// Starts this program with these arguments and the caller's global flags and environment, and does not wait
/// for it. It is in a process group of its own: Ctrl-C in the terminal does not reach it. What it says goes
/// to the end of the log, which is for its owner alone.
///
/// # Errors
/// When the log cannot be opened, or the program not be started.
pub fn start(globals: &Globals, state_dir: Option<&Path>, args: &[&str], log: &Path) -> io::Result<()> {
    let log = open(log)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args).args(inherited(globals, state_dir));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    // Nobody waits for it: when this process ends, which is soon, it becomes the system's.
    command.spawn().map(drop)
}

/// The global flags that decide where things are. Everything else is for people who look on.
fn inherited(globals: &Globals, state_dir: Option<&Path>) -> Vec<OsString> {
    let mut flags: Vec<OsString> = Vec::new();
    let mut flag = |name: &str, value: Option<OsString>| {
        if let Some(value) = value {
            flags.extend([OsString::from(name), value]);
        }
    };
    flag("--host", globals.host.as_ref().map(OsString::from));
    flag("--context", globals.context.as_ref().map(OsString::from));
    flag("--state-dir", state_dir.map(OsString::from));
    flags
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let log = options.open(path)?;
    if log.metadata()?.len() > LOG_LIMIT {
        log.set_len(0)?;
    }
    Ok(log)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_where_things_are_is_handed_on() {
        let globals = Globals { host: Some("unix:///e.sock".into()), verbose: 2, quiet: false, ..Globals::default() };
        assert_eq!(inherited(&globals, Some(Path::new("/s"))), ["--host", "unix:///e.sock", "--state-dir", "/s"]);
        let globals = Globals { context: Some("lab".into()), ..Globals::default() };
        assert_eq!(inherited(&globals, None), ["--context", "lab"]);
    }

    #[test]
    fn a_log_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, vec![b'x'; 1000]).unwrap();
        assert_eq!(open(&path).unwrap().metadata().unwrap().len(), 1000);
        std::fs::write(&path, vec![b'x'; 300_000]).unwrap();
        assert_eq!(open(&path).unwrap().metadata().unwrap().len(), 0);
        assert!(open(&folder.path().join("none/log")).is_err());
    }
}
