//! The YAML that charts are made of, read fast: block maps and lists, one document, no anchors and no tags.
//!
//! Definitions alone are a megabyte that is read three times while the base chart renders. Whatever is not plainly
//! this subset yields `None`, and the full parser has the word, errors included; a test holds both against each other.

use std::borrow::Cow;

use super::Make;
use super::scalar::{self, Text};

/// How deep maps and lists may lie in each other before the full parser has to decide.
const MAX_DEPTH: usize = 100;

/// Reads a document of the subset.
pub(super) fn parse<M: Make>(text: &str) -> Option<M> {
    let mut reader = Reader { text: Text::new(text), depth: 0 };
    let Some(indent) = reader.text.next_content()? else { return Some(M::null()) };
    let indent = if reader.text.rest() == "---" || reader.text.rest().starts_with("---\n") {
        reader.text.skip(3);
        match reader.text.next_content()? {
            Some(indent) => indent,
            None => return Some(M::null()),
        }
    } else {
        indent
    };
    // A text alone is for the full parser.
    if !reader.text.at_dash() && !reader.text.has_key()? {
        return None;
    }
    let value = reader.block::<M>(indent)?;
    reader.text.next_content()?.is_none().then_some(value)
}

struct Reader<'t> {
    text: Text<'t>,
    depth: usize,
}

// === impl Reader ===

impl<'t> Reader<'t> {
    /// Reads what begins at the text's place, which is the first letter of a line's content, in column `indent`.
    fn block<M: Make>(&mut self, indent: usize) -> Option<M> {
        self.depth += 1;
        let value = if self.depth > MAX_DEPTH {
            None
        } else if self.text.at_dash() {
            self.list(indent)
        } else if self.text.has_key()? {
            self.map(indent)
        } else {
            // A value on a line of its own, below its key. How far a block's text has to be indented then is another
            // question.
            indent.checked_sub(1).filter(|_| self.text.first() != Some(b'|')).and_then(|parent| self.scalar(parent))
        };
        self.depth -= 1;
        value
    }

    fn list<M: Make>(&mut self, indent: usize) -> Option<M> {
        let mut items = Vec::new();
        loop {
            self.text.skip(1);
            let blanks = self.text.skip_blanks();
            items.push(if self.text.at_line_end() {
                match self.text.next_content()? {
                    Some(deeper) if deeper > indent => self.block(deeper)?,
                    _ => M::null(),
                }
            } else if self.text.at_dash() || self.text.has_key()? {
                self.block(indent + 1 + blanks)?
            } else {
                self.scalar(indent)?
            });
            match self.text.next_content()? {
                Some(next) if next == indent && self.text.at_dash() => {}
                Some(next) if next > indent => return None,
                _ => return Some(M::list(items)),
            }
        }
    }

    fn map<M: Make>(&mut self, indent: usize) -> Option<M> {
        let mut entries: Vec<(Cow<'t, str>, M)> = Vec::new();
        loop {
            // A text alone among keys is for the full parser.
            if !self.text.has_key()? {
                return None;
            }
            let key = scalar::key(&mut self.text)?;
            self.text.skip_blanks();
            let value = if self.text.at_line_end() {
                match self.text.next_content()? {
                    Some(deeper) if deeper > indent => self.block(deeper)?,
                    Some(same) if same == indent && self.text.at_dash() => self.block(indent)?,
                    _ => M::null(),
                }
            } else {
                self.scalar(indent)?
            };
            entries.push((key, value));
            match self.text.next_content()? {
                Some(next) if next == indent && !self.text.at_dash() => {}
                Some(next) if next > indent => return None,
                _ => return Some(M::map(entries)),
            }
        }
    }

    /// Reads a value that begins on the line of its key or dash; `indent` is theirs.
    fn scalar<M: Make>(&mut self, indent: usize) -> Option<M> {
        match self.text.first()? {
            b'|' => scalar::literal(&mut self.text, indent).map(|text| M::text(Cow::Owned(text))),
            b'"' => {
                let text = scalar::double_quoted(&mut self.text, indent)?;
                self.text.line_is_over().then(|| M::text(text))
            }
            b'\'' => {
                let text = scalar::single_quoted(&mut self.text, indent)?;
                self.text.line_is_over().then(|| M::text(text))
            }
            b'[' | b'{' => {
                let value = self.flow()?;
                self.text.line_is_over().then_some(value)
            }
            _ => scalar::resolve(scalar::bare(&mut self.text, indent)?),
        }
    }

    /// Reads a list or map in brackets that stands on one line.
    fn flow<M: Make>(&mut self) -> Option<M> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let list = self.text.first()? == b'[';
        let close = if list { b']' } else { b'}' };
        self.text.skip(1);
        let (mut items, mut entries) = (Vec::new(), Vec::new());
        loop {
            self.text.skip_blanks();
            if self.text.first()? == close {
                self.text.skip(1);
                break;
            }
            if list {
                items.push(self.flow_value()?);
            } else {
                let key = scalar::flow_key(&mut self.text)?;
                self.text.skip_blanks();
                entries.push((key, self.flow_value()?));
            }
            self.text.skip_blanks();
            match self.text.first()? {
                b',' => self.text.skip(1),
                other if other == close => {}
                _ => return None,
            }
        }
        self.depth -= 1;
        Some(if list { M::list(items) } else { M::map(entries) })
    }

    fn flow_value<M: Make>(&mut self) -> Option<M> {
        match self.text.first()? {
            b'[' | b'{' => self.flow(),
            b'"' => scalar::double_quoted_on_line(&mut self.text).map(M::text),
            b'\'' => scalar::single_quoted_on_line(&mut self.text).map(M::text),
            _ => scalar::resolve(Cow::Borrowed(scalar::flow_bare(&mut self.text)?)),
        }
    }
}
