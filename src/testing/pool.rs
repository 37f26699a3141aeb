//! Fleets made beforehand, for the tests of one process: while one test runs, the fleet of the next is made.

use std::sync::OnceLock;

use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::background;
use super::builder::TestFleetBuilder;
use super::fleet::TestFleet;
use super::start::{self, Prepared};
use crate::ops::{Error, Result};

/// Test fleets of one description, some of which are there before they are asked for, suspended, so that they cost
/// no processor. Each is handed out once, and goes with its value like any other.
///
/// ```no_run
/// use kindmesh::testing::{TestFleet, TestPool};
///
/// static MESHES: TestPool = TestPool::new(1, || TestFleet::builder().clusters(2).mesh());
///
/// # async fn example() -> kindmesh::ops::Result<()> {
/// let fleet = MESHES.lease().await?;
/// fleet.verify().await
/// # }
/// ```
///
/// It is of use where many tests of one process run one after the other. Those that are left in the end are removed
/// as those of a killed process are. Between processes, warm pools of the program do the same: `kindmesh up --warm`.
pub struct TestPool {
    size: usize,
    describe: fn() -> TestFleetBuilder,
    making: OnceLock<Making>,
}

/// The thread that makes fleets, one after the other.
struct Making {
    /// One message for each fleet that is to be made.
    orders: mpsc::UnboundedSender<()>,
    /// Those that are made, and what went wrong with the others.
    made: Mutex<mpsc::UnboundedReceiver<Result<Prepared>>>,
}

// === impl TestPool ===

impl TestPool {
    /// A pool that keeps `size` fleets ready beside those that are handed out. Nothing is made before the first is
    /// asked for.
    pub const fn new(size: usize, describe: fn() -> TestFleetBuilder) -> Self {
        Self { size, describe, making: OnceLock::new() }
    }

    /// A fleet that nobody had before: the next that is ready, or will be. Another one takes its place.
    ///
    /// # Errors
    /// Why it could not be made, or woken.
    pub async fn lease(&self) -> Result<TestFleet> {
        let making = self.making.get_or_init(|| self.begin());
        let ended = || Error::cancelled("the thread that makes test fleets ended");
        making.orders.send(()).map_err(|_| ended())?;
        let prepared = making.made.lock().await.recv().await.ok_or_else(ended)??;
        wake(prepared).await
    }

    fn begin(&self) -> Making {
        let (orders, mut ordered) = mpsc::unbounded_channel();
        let (tell, made) = mpsc::unbounded_channel();
        for _ in 0..self.size {
            // Heard below, in the same function.
            let _ = orders.send(());
        }
        let describe = self.describe;
        // Without a thread both channels are closed, which who asks is told.
        let _ = background::spawn(move || async move {
            while ordered.recv().await.is_some() {
                let made = async {
                    let prepared = start::prepare(describe()).await?;
                    prepared.kindmesh().await?.pause(prepared.name()).await?;
                    Ok(prepared)
                };
                if tell.send(made.await).is_err() {
                    break;
                }
            }
        });
        Making { orders, made: Mutex::new(made) }
    }
}

impl std::fmt::Debug for TestPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestPool").field("size", &self.size).finish_non_exhaustive()
    }
}

async fn wake(prepared: Prepared) -> Result<TestFleet> {
    let woken = background::apart(CancellationToken::new(), move || async move {
        prepared.kindmesh().await?.resume(prepared.name()).await?;
        Ok::<_, Error>(prepared)
    });
    woken.await.unwrap_or_else(|| Err(Error::cancelled("the thread that wakes a test fleet ended")))?.connect().await
}
