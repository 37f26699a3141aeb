//! Feeding a command's standard input.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::engine::{EngineError, Stdin};

/// Pieces written at once; larger ones are cut, so that giving up is noticed soon.
const PIECE: usize = 256 * 1024;

/// How feeding ended.
#[derive(Debug)]
pub(super) enum Fed {
    /// Everything was sent and the input closed.
    Whole,
    /// The command or the engine stopped listening.
    Cut(std::io::Error),
    /// The source failed; the input was left open, so that the command cannot take what came for
    /// the whole.
    Source(EngineError),
}

/// Writes the whole input, then closes this half of the connection.
pub(super) async fn feed(stdin: Option<Stdin>, input: &mut Pin<Box<dyn AsyncWrite + Send>>) -> Fed {
    let written = match stdin {
        None => return Fed::Whole,
        Some(Stdin::Bytes(bytes)) => write(input, bytes).await,
        Some(Stdin::Stream(source)) => {
            let mut source = source.lock().await;
            let mut written = Ok(());
            while let Some(piece) = source.next().await {
                match piece {
                    Ok(bytes) => written = write(input, bytes).await,
                    Err(error) => return Fed::Source(error),
                }
                if written.is_err() {
                    break;
                }
            }
            written
        }
    };
    let closed = match written {
        Ok(()) => input.shutdown().await,
        Err(error) => Err(error),
    };
    closed.map_or_else(Fed::Cut, |()| Fed::Whole)
}

async fn write(input: &mut Pin<Box<dyn AsyncWrite + Send>>, bytes: Bytes) -> std::io::Result<()> {
    for piece in bytes.chunks(PIECE) {
        input.write_all(piece).await?;
    }
    Ok(())
}
