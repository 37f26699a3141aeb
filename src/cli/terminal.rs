//! The terminal of this process, lent to a command in a node.

use crate::engine::TerminalSize;

/// Size that is told when it is not known.
#[cfg(not(unix))]
const USUAL: TerminalSize = TerminalSize { rows: 24, columns: 80 };

/// A terminal in raw mode: every key goes through as it is. As it was before when dropped.
#[derive(Debug)]
pub struct RawMode {
    #[cfg(unix)]
    before: rustix::termios::Termios,
}

#[cfg(unix)]
mod platform {
    use std::io;

    use rustix::termios::{OptionalActions, tcgetattr, tcgetwinsize, tcsetattr};

    use super::{RawMode, TerminalSize};

    impl RawMode {
        /// Takes the terminal of standard input.
        ///
        /// # Errors
        /// When standard input is no terminal.
        pub fn enter() -> io::Result<Self> {
            let stdin = io::stdin();
            let before = tcgetattr(&stdin)?;
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(&stdin, OptionalActions::Drain, &raw)?;
            Ok(Self { before })
        }
    }

    impl Drop for RawMode {
        fn drop(&mut self) {
            // There is nobody to tell.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
        }
    }

    /// Its size now.
    ///
    /// # Errors
    /// When standard input is no terminal.
    pub fn size() -> io::Result<TerminalSize> {
        let size = tcgetwinsize(io::stdin())?;
        Ok(TerminalSize { rows: size.ws_row, columns: size.ws_col })
    }

    /// Returns when its size has changed.
    pub struct Resized(tokio::signal::unix::Signal);

    impl Resized {
        /// Listens.
        ///
        /// # Errors
        /// When the system lets no signal be caught.
        pub fn listen() -> io::Result<Self> {
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::window_change()).map(Self)
        }

        /// Waits for the next change.
        pub async fn next(&mut self) {
            if self.0.recv().await.is_none() {
                std::future::pending().await
            }
        }
    }
}

#[cfg(not(unix))]
mod platform {
    use std::io;

    use super::{RawMode, TerminalSize, USUAL};

    impl RawMode {
        /// Keys go through line by line here.
        ///
        /// # Errors
        /// None.
        pub fn enter() -> io::Result<Self> {
            Ok(Self {})
        }
    }

    /// The usual size.
    ///
    /// # Errors
    /// None.
    pub fn size() -> io::Result<TerminalSize> {
        Ok(USUAL)
    }

    /// Never told here.
    pub struct Resized;

    impl Resized {
        /// Listens to nothing.
        ///
        /// # Errors
        /// None.
        pub fn listen() -> io::Result<Self> {
            Ok(Self)
        }

        /// Never returns.
        pub async fn next(&mut self) {
            std::future::pending().await
        }
    }
}

pub use platform::{Resized, size};
