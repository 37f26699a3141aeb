//! SIGINT and SIGTERM: the first asks, the second gives up.

use std::future::Future;
use std::time::Duration;

use futures_util::stream::{BoxStream, Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;

use super::errors::CliError;
use super::exit::Exit;
use super::output::Printer;

/// How the message of a command begins that was asked to stop twice.
pub const AT_ONCE: &str = "stopped at once";
/// Who asked twice does not want to wait.
const LOOK_DEADLINE: Duration = Duration::from_secs(3);

/// A request to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// A polite kill.
    Terminate,
}

/// Runs `work` until it ends. The first signal cancels the token, so that the work can end cleanly,
/// and tells the user so, unless `quiet` says not to; the second drops the work where it stands.
///
/// # Errors
/// The work's own; [`Exit::Cancelled`] after a second signal.
pub async fn until_stopped<T>(
    printer: &Printer,
    quiet: impl Fn() -> bool,
    signals: impl Stream<Item = Signal> + Send,
    cancel: CancellationToken,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    let mut signals = Box::pin(signals.fuse());
    let mut work = std::pin::pin!(work);
    let mut asked = false;
    loop {
        tokio::select! {
            biased;
            result = &mut work => return result,
            Some(signal) = signals.next() => {
                if asked {
                    return Err(CliError::new(Exit::Cancelled, format!("{AT_ONCE} by {}", signal.name()))
                        .hint("the same command goes on from there; `kindmesh down` removes everything, `kindmesh pool list` shows members of pools"));
                }
                asked = true;
                if !quiet() {
                    printer.say(&format!("{}: ending the running steps, a few seconds; a second one stops at once", signal.name()));
                }
                cancel.cancel();
            }
        }
    }
}

/// Adds to an error of work that was dropped what is left of it.
pub async fn tell_left(error: CliError, left: impl Future<Output = Vec<String>>) -> CliError {
    let Ok(left) = tokio::time::timeout(LOOK_DEADLINE, left).await else {
        return error.hint("the engine did not say in time what is left: `kindmesh status` shows it");
    };
    left.into_iter().fold(error, |mut error, one| {
        error.causes.push(format!("left: {one}"));
        error
    })
}

/// The signals of this process.
///
/// # Errors
/// When the system lets none be caught.
pub fn of_process() -> Result<BoxStream<'static, Signal>, CliError> {
    platform::signals().map_err(|error| CliError::new(Exit::Failure, "catch signals").because(&error))
}

#[cfg(unix)]
mod platform {
    use std::io;

    use futures_util::stream::{self, BoxStream, StreamExt as _};
    use tokio::signal::unix::{SignalKind, signal};

    use super::Signal;

    pub(super) fn signals() -> io::Result<BoxStream<'static, Signal>> {
        let source = |kind, signal_: Signal| -> io::Result<_> {
            let listener = signal(kind)?;
            Ok(stream::unfold(listener, move |mut listener| async move { listener.recv().await.map(|()| (signal_, listener)) }))
        };
        let interrupts = source(SignalKind::interrupt(), Signal::Interrupt)?;
        let terminations = source(SignalKind::terminate(), Signal::Terminate)?;
        Ok(stream::select(interrupts, terminations).boxed())
    }
}

#[cfg(not(unix))]
mod platform {
    use std::io;

    use futures_util::stream::{self, BoxStream, StreamExt as _};

    use super::Signal;

    pub(super) fn signals() -> io::Result<BoxStream<'static, Signal>> {
        Ok(stream::unfold((), |()| async { tokio::signal::ctrl_c().await.ok().map(|()| (Signal::Interrupt, ())) }).boxed())
    }
}

// === impl Signal ===

impl Signal {
    /// As people know it.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Interrupt => "interrupt",
            Signal::Terminate => "termination signal",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use futures_util::stream;

    use super::super::args::Globals;
    use super::super::env::Env;
    use super::super::output::Terminals;
    use super::*;

    fn printer() -> Printer {
        let globals = Globals { quiet: true, ..Globals::default() };
        Printer::new(&globals, &Env::default(), Terminals { stdout: false, stderr: false })
    }

    #[tokio::test]
    async fn the_first_signal_lets_the_work_end_by_itself() {
        let cancel = CancellationToken::new();
        let token = cancel.clone();
        let work = async move {
            token.cancelled().await;
            Ok("tidied up")
        };
        // Ends after one: a stream that is over must not be taken for a signal.
        let result = until_stopped(&printer(), || false, stream::iter([Signal::Interrupt]), cancel, work).await;
        assert_eq!(result.unwrap(), "tidied up");
    }

    #[tokio::test]
    async fn the_second_signal_drops_the_work() {
        let cancel = CancellationToken::new();
        let work = future::pending::<Result<(), CliError>>();
        let signals = stream::iter([Signal::Interrupt, Signal::Terminate]);
        let error = until_stopped(&printer(), || false, signals, cancel.clone(), work).await.unwrap_err();
        assert_eq!(error.kind, Exit::Cancelled);
        assert!(error.message.contains("termination signal"), "{}", error.message);
        assert!(cancel.is_cancelled());
    }

    #[tokio::test]
    async fn work_without_signals_is_left_alone() {
        let result = until_stopped(&printer(), || false, stream::pending(), CancellationToken::new(), async { Ok(7) }).await;
        assert_eq!(result.unwrap(), 7);
    }
}
