//! Between the engine's streams and blocking readers and writers of archives.

use std::io::{self, BufWriter, Read, Write};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::error::{cancelled, is_cancelled};
use crate::engine::{ByteStream, EngineError, EngineErrorKind};

/// Bytes per chunk: large enough that the hand-over between threads costs nothing.
const CHUNK: usize = 256 * 1024;
/// Chunks under way at most.
const DEPTH: usize = 8;

/// A stream of what `produce` writes, on a blocking thread, as it is asked for.
///
/// An error of `produce` ends the stream with an error, so that the engine never takes a cut
/// archive for a whole one.
pub(super) fn stream_of<F>(verb: &'static str, cancel: CancellationToken, produce: F) -> ByteStream
where
    F: FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(DEPTH);
    tokio::task::spawn_blocking(move || {
        let mut writer = BufWriter::with_capacity(CHUNK, ChannelWriter { sender: sender.clone(), cancel });
        let result = produce(&mut writer).and_then(|()| writer.flush());
        // What is left in the buffer would be written after the error when the buffer is dropped.
        let _ = writer.into_parts();
        if let Err(error) = result {
            let kind = if is_cancelled(&error) { EngineErrorKind::Cancelled } else { EngineErrorKind::Interrupted };
            // Nobody listens any more when the request failed first; its own error is told then.
            let _ = sender.blocking_send(Err(EngineError::new(verb, "", kind, error.to_string())));
        }
    });
    stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) }).boxed()
}

/// Reads a stream on a blocking thread.
pub(super) struct StreamReader {
    stream: ByteStream,
    runtime: Handle,
    cancel: CancellationToken,
    rest: Bytes,
}

struct ChannelWriter {
    sender: mpsc::Sender<crate::engine::Result<Bytes>>,
    cancel: CancellationToken,
}

// === impl StreamReader ===

impl StreamReader {
    /// For use inside `spawn_blocking` only: it blocks its thread. Must be made on the runtime.
    pub fn new(stream: ByteStream, cancel: CancellationToken) -> Self {
        Self { stream, runtime: Handle::current(), cancel, rest: Bytes::new() }
    }
}

impl Read for StreamReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            let (stream, cancel) = (&mut self.stream, &self.cancel);
            let next = self.runtime.block_on(async {
                tokio::select! {
                    () = cancel.cancelled() => Some(Err(cancelled())),
                    next = stream.next() => next.map(|chunk| chunk.map_err(io::Error::other)),
                }
            });
            match next {
                None => return Ok(0),
                Some(chunk) => self.rest = chunk?,
            }
        }
        let n = buf.len().min(self.rest.len());
        buf[..n].copy_from_slice(&self.rest.split_to(n));
        Ok(n)
    }
}

// === impl ChannelWriter ===

impl Write for ChannelWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(cancelled());
        }
        let chunk = BytesMut::from(buf).freeze();
        self.sender.blocking_send(Ok(chunk)).map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the engine stopped reading"))?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_written_comes_out() {
        let data: Vec<u8> = (0..1_000_000u32).map(|n| n as u8).collect();
        let sent = data.clone();
        let stream = stream_of("send", CancellationToken::new(), move |out| out.write_all(&sent));
        let mut reader = StreamReader::new(stream, CancellationToken::new());
        let got = tokio::task::spawn_blocking(move || {
            let mut got = Vec::new();
            reader.read_to_end(&mut got).map(|_| got)
        });
        assert!(got.await.unwrap().unwrap() == data, "the bytes differ");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_failing_producer_ends_the_stream_with_an_error() {
        let stream = stream_of("send", CancellationToken::new(), |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("disk gone"))
        });
        let chunks: Vec<_> = stream.collect().await;
        let last = chunks.last().unwrap().as_ref().unwrap_err();
        assert!(last.message.contains("disk gone"), "{last}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_cancelled_reader_stops() {
        let cancel = CancellationToken::new();
        let mut reader = StreamReader::new(futures_util::stream::pending().boxed(), cancel.clone());
        let reading = tokio::task::spawn_blocking(move || reader.read(&mut [0; 8]));
        cancel.cancel();
        assert!(reading.await.unwrap().is_err());
    }
}
