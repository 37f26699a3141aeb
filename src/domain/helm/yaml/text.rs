//! A YAML text and a place in it.

/// A text and how far it has been read.
pub(super) struct Text<'t> {
    text: &'t str,
    at: usize,
}

// === impl Text ===

impl<'t> Text<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// The rest of the line, without its end.
    pub(super) fn line(&self) -> &'t str {
        let rest = self.rest();
        let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
        line.strip_suffix('\r').unwrap_or(line)
    }

    /// The next byte; `None` at the end of the line.
    pub(super) fn first(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied().filter(|byte| *byte != b'\n' && *byte != b'\r')
    }

    /// Goes on by some bytes.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.text.len());
    }

    /// Goes on behind the end of the line.
    pub(super) fn skip_line(&mut self) {
        let rest = self.rest();
        self.skip(rest.find('\n').map_or(rest.len(), |end| end + 1));
    }

    /// Goes on over blanks; how many there were.
    pub(super) fn skip_blanks(&mut self) -> usize {
        let count = self.rest().bytes().take_while(|byte| *byte == b' ').count();
        self.skip(count);
        count
    }

    /// Whether nothing more stands on the line than a comment.
    pub(super) fn at_line_end(&self) -> bool {
        matches!(self.first(), None | Some(b'#'))
    }

    /// Whether a value that ended here has the line for itself; goes behind the line when it has.
    pub(super) fn line_is_over(&mut self) -> bool {
        let blanks = self.skip_blanks();
        let over = self.first().is_none() || (blanks > 0 && self.first() == Some(b'#'));
        if over {
            self.skip_line();
        }
        over
    }

    /// Whether a list's item begins here.
    pub(super) fn at_dash(&self) -> bool {
        let line = self.line();
        line == "-" || line.starts_with("- ")
    }

    /// Goes on to the next line with content, unless the place is within one, and returns its indent; `Some(None)` at the
    /// end of the text. `None` for what only the full parser understands.
    pub(super) fn next_content(&mut self) -> Option<Option<usize>> {
        loop {
            if self.at >= self.text.len() {
                return Some(None);
            }
            let before = self.text[..self.at].trim_end_matches(' ');
            if !before.is_empty() && !before.ends_with('\n') {
                // Behind a key or a dash: nothing but a comment may be left.
                self.skip_blanks();
                if !self.at_line_end() {
                    return None;
                }
                self.skip_line();
                continue;
            }
            // The place may already be the first letter of the line.
            let indent = self.at - before.len() + self.skip_blanks();
            match self.first() {
                Some(b'\t' | b'%') => return None,
                Some(b'#') | None => self.skip_line(),
                Some(_) if indent == 0 && self.at > 0 && self.is_mark() => return None,
                Some(_) => return Some(Some(indent)),
            }
        }
    }

    /// Whether a document begins or ends here.
    fn is_mark(&self) -> bool {
        let line = self.line();
        line.starts_with("---") || line.starts_with("...")
    }

    /// Whether the line begins with a key. `None` for keys that only the full parser understands.
    pub(super) fn has_key(&self) -> Option<bool> {
        let line = self.line();
        let bytes = line.as_bytes();
        match bytes.first()? {
            quote @ (b'"' | b'\'') => {
                let mut at = 1;
                while at < bytes.len() && bytes[at] != *quote {
                    at += if *quote == b'"' && bytes[at] == b'\\' { 2 } else { 1 };
                }
                if bytes.get(at + 1) == Some(quote) && *quote == b'\'' {
                    return None;
                }
                let behind = bytes.get(at + 1..).unwrap_or_default();
                Some(behind == b":" || behind.starts_with(b": "))
            }
            b'[' | b'{' => Some(false),
            b'&' | b'*' | b'!' | b'%' | b'@' | b'`' | b'?' | b',' | b']' | b'}' | b'\t' => None,
            b'|' | b'>' => Some(false),
            _ => Some(colon(bytes).is_some()),
        }
    }
}

/// Where the colon of a bare key stands: followed by a blank or nothing, and before any comment.
pub(super) fn colon(line: &[u8]) -> Option<usize> {
    let mut before = b' ';
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b':' if line.get(at + 1).is_none_or(|next| *next == b' ') => return Some(at),
            b'#' if before == b' ' => return None,
            _ => {}
        }
        before = *byte;
    }
    None
}
