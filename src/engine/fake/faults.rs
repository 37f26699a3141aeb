//! Misbehaviour to order.

use std::time::Duration;

use futures_util::StreamExt;

use super::calls::{Call, Verb};
use crate::engine::{ByteStream, EngineError, EngineErrorKind};

/// Which call misbehaves. Calls are counted from 1, from the moment the engine was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The n-th call of all.
    Call(usize),
    /// The n-th call of this verb.
    Verb(Verb, usize),
    /// Every call of this verb.
    Every(Verb),
}

/// How it misbehaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Fails without having done anything.
    Fail(EngineErrorKind, String),
    /// Does what is asked, then the connection breaks before the answer: `Interrupted`.
    LoseAnswer,
    /// Reports success without having done anything. Reading verbs find nothing.
    Lie,
    /// Takes this long, then goes on as usual.
    Delay(Duration),
    /// Breaks off the stream after this many bytes: the one that is read, or the one that is sent.
    Cut(usize),
}

/// The faults ordered, and how often each verb was called.
#[derive(Debug, Default)]
pub(super) struct Faults {
    ordered: Vec<(When, Fault)>,
}

// === impl Faults ===

impl Faults {
    pub(super) fn add(&mut self, when: When, fault: Fault) {
        self.ordered.push((when, fault));
    }

    /// The faults of the newest call.
    pub(super) fn of(&self, calls: &[Call]) -> Vec<Fault> {
        let Some(newest) = calls.last() else { return Vec::new() };
        let of_verb = calls.iter().filter(|call| call.verb == newest.verb).count();
        let meant = |when: &When| match *when {
            When::Call(number) => number == calls.len(),
            When::Verb(verb, number) => verb == newest.verb && number == of_verb,
            When::Every(verb) => verb == newest.verb,
        };
        self.ordered.iter().filter(|(when, _)| meant(when)).map(|(_, fault)| fault.clone()).collect()
    }
}

/// A stream that breaks off after so many bytes.
pub(super) fn cut(stream: ByteStream, after: usize, verb: Verb, object: &str) -> ByteStream {
    let broken = EngineError::new(verb.words(), object, EngineErrorKind::Interrupted, "the connection broke in the middle");
    let left = stream.scan(Some(after), move |left, piece| {
        let item = match (left.as_mut(), piece) {
            (None, _) => None,
            (Some(room), Ok(bytes)) if bytes.len() <= *room => {
                *room -= bytes.len();
                Some(vec![Ok(bytes)])
            }
            (Some(room), Ok(bytes)) => {
                let head = bytes.slice(..*room);
                *left = None;
                let error = EngineError::new(broken.verb, broken.object.clone(), broken.kind, broken.message.clone());
                Some(vec![Ok(head), Err(error)])
            }
            (Some(_), Err(error)) => Some(vec![Err(error)]),
        };
        std::future::ready(item)
    });
    left.flat_map(futures_util::stream::iter).boxed()
}
