//! Waiting for whatever a test waits for.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::ops::{Error, ErrorKind, Result};

/// Between two looks, growing from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Looks until a look finds something, at most for `within`; an error of a look is no end, but what was seen
/// last, and stands in the message when the time is up. A look that hangs is given up then, too.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> kindmesh::ops::Result<()> {
/// use std::time::Duration;
/// use kindmesh::testing::wait_for;
///
/// let mut looks = 0;
/// let found = wait_for("the third look", Duration::from_secs(5), || {
///     looks += 1;
///     std::future::ready(if looks == 3 { Ok(looks) } else { Err(format!("look {looks}")) })
/// });
/// assert_eq!(found.await?, 3);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `Timeout`, with what was seen last.
pub async fn wait_for<T, E, F>(what: &str, within: Duration, mut look: impl FnMut() -> F) -> Result<T>
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let end = Instant::now() + within;
    let (mut pause, mut last) = (PAUSES.0, "no look has ended".to_owned());
    let timeout =
        |last: &str| Err(Error::new(ErrorKind::Timeout, format!("waited {:.1} s for {what}; last seen: {last}", within.as_secs_f64())));
    loop {
        match tokio::time::timeout_at(end, look()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(seen)) => last = seen.to_string(),
            Err(_) => return timeout(&last),
        }
        if Instant::now() + pause >= end {
            return timeout(&last);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(PAUSES.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_seen_last_is_told() {
        let mut looks = 0;
        let found: Result<()> = wait_for("rain", Duration::from_secs(9), || {
            looks += 1;
            std::future::ready(Err(format!("{looks} clouds")))
        })
        .await;
        let error = found.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(error.to_string(), format!("waited 9.0 s for rain; last seen: {looks} clouds"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_ends_with_the_time() {
        let found: Result<()> = wait_for("rain", Duration::from_secs(9), std::future::pending::<Result<(), String>>).await;
        assert!(found.unwrap_err().to_string().ends_with("last seen: no look has ended"));
    }
}
