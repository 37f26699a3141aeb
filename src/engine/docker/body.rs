//! Streams as request bodies and answers as streams.

use std::sync::{Arc, Mutex, PoisonError};

use bollard::BollardRequest;
use bollard::errors::Error;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};

use super::fault;
use crate::engine::{ByteStream, EngineError, Result};

/// What went wrong with the source of an upload. The engine only notices that the body ended
/// early; this is the reason.
#[derive(Debug, Clone, Default)]
pub(super) struct SourceFault(Arc<Mutex<Option<EngineError>>>);

/// The type of a request's body, which the client crate does not export by name.
pub(super) type Body = <BollardRequest as HasBody>::Body;

/// Names the body of a request.
pub(super) trait HasBody {
    /// The body's type.
    type Body;
}

impl<T> HasBody for http::Request<T> {
    type Body = T;
}

/// A stream as the body of a request.
pub(super) fn upload(source: ByteStream) -> (Body, SourceFault) {
    let fault = SourceFault::default();
    let keep = fault.clone();
    let body = bollard::body_try_stream(source.map_err(move |error| {
        let words = std::io::Error::other(error.to_string());
        keep.set(error);
        words
    }));
    (body, fault)
}

/// An answer as a stream whose first piece has been seen: a refusal is an error here, not later.
pub(super) async fn download<S>(verb: &'static str, object: &str, stream: S) -> Result<ByteStream>
where
    S: Stream<Item = Result<Bytes, Error>> + Send + 'static,
{
    let mut stream = Box::pin(stream);
    let first = stream.next().await.transpose().map_err(|error| fault::map(verb, object, error))?;
    let object = object.to_owned();
    let rest = stream.map_err(move |error| fault::map(verb, &object, error));
    Ok(futures_util::stream::iter(first.map(Ok)).chain(rest).boxed())
}

// === impl SourceFault ===

impl SourceFault {
    fn set(&self, error: EngineError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// The source's own error, when there was one, in place of what the call reported.
    pub(super) fn or(&self, reported: EngineError) -> EngineError {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or(reported)
    }
}
