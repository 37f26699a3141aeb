//! Arguments of a function, taken out by kind.

use std::rc::Rc;

use super::super::error::Fault;
use super::super::value::{Map, Value};

/// The arguments of one call.
#[derive(Clone, Copy)]
pub(in super::super) struct Args<'a> {
    /// The function's name, for errors.
    pub(super) function: &'static str,
    /// The arguments.
    pub(super) values: &'a [Value],
}

// === impl Args ===

impl<'a> Args<'a> {
    /// A failure of this function.
    pub(super) fn fault(&self, message: impl AsRef<str>) -> Fault {
        Fault::new(format!("{}: {}", self.function, message.as_ref()))
    }

    /// Fails when there are fewer arguments or more.
    pub(super) fn exactly(&self, count: usize) -> Result<(), Fault> {
        if self.values.len() == count { Ok(()) } else { Err(self.fault(format!("wants {count} arguments, got {}", self.values.len()))) }
    }

    /// The argument at a position.
    pub(super) fn value(&self, at: usize) -> Result<&'a Value, Fault> {
        self.values.get(at).ok_or_else(|| self.fault(format!("wants at least {} arguments, got {}", at + 1, self.values.len())))
    }

    /// The argument at a position, which must be a text.
    pub(super) fn text(&self, at: usize) -> Result<&'a Rc<str>, Fault> {
        match self.value(at)? {
            Value::Str(text) => Ok(text),
            other => Err(self.wrong(at, "a string", other)),
        }
    }

    /// The argument at a position, which must be a whole number.
    pub(super) fn int(&self, at: usize) -> Result<i64, Fault> {
        match self.value(at)? {
            Value::Int(number) => Ok(*number),
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Ok(*number as i64),
            other => Err(self.wrong(at, "an int", other)),
        }
    }

    /// The argument at a position as a size: not below zero, and no larger than anything real.
    pub(super) fn size(&self, at: usize) -> Result<usize, Fault> {
        let number = self.int(at)?;
        usize::try_from(number).ok().filter(|size| *size <= 1 << 20).ok_or_else(|| self.fault(format!("{number} is no size")))
    }

    /// The argument at a position, which must be a map.
    pub(super) fn map(&self, at: usize) -> Result<&'a Map, Fault> {
        match self.value(at)? {
            Value::Map(map) => Ok(map),
            other => Err(self.wrong(at, "a map", other)),
        }
    }

    /// The argument at a position, which must be a list.
    pub(super) fn list(&self, at: usize) -> Result<&'a Rc<Vec<Value>>, Fault> {
        match self.value(at)? {
            Value::List(items) => Ok(items),
            other => Err(self.wrong(at, "a list", other)),
        }
    }

    fn wrong(&self, at: usize, expected: &str, found: &Value) -> Fault {
        self.fault(format!("argument {} has to be {expected}, and is a {}", at + 1, found.kind()))
    }
}
