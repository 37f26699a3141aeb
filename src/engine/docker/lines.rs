//! Output frames as lines: a line may span frames, and a frame may hold many.

/// Bytes that do not yet make a line, longest line heard of: beyond it, pieces are told as lines.
const LONGEST: usize = 64 * 1024;

/// Collects one stream's frames into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

// === impl Lines ===

impl Lines {
    /// Takes a frame and tells every line it completes.
    pub(super) fn push(&mut self, frame: &[u8], hear: &dyn Fn(&str)) {
        for piece in frame.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.rest.len() > LONGEST {
                self.flush(hear);
            }
        }
    }

    /// Tells what is left without an end of line.
    pub(super) fn flush(&mut self, hear: &dyn Fn(&str)) {
        if !self.rest.is_empty() {
            hear(String::from_utf8_lossy(&self.rest).trim_end_matches(['\n', '\r']));
            self.rest.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn heard(frames: &[&[u8]]) -> Vec<String> {
        let heard = RefCell::new(Vec::new());
        let hear = |line: &str| heard.borrow_mut().push(line.to_owned());
        let mut lines = Lines::default();
        for frame in frames {
            lines.push(frame, &hear);
        }
        lines.flush(&hear);
        heard.into_inner()
    }

    #[test]
    fn a_line_may_span_frames_and_a_frame_hold_many() {
        assert_eq!(heard(&[b"on", b"e\ntwo\r\nth", b"ree"]), ["one", "two", "three"]);
        assert_eq!(heard(&[b"a\n\nb\n"]), ["a", "", "b"]);
        assert!(heard(&[]).is_empty());
    }

    #[test]
    fn a_character_split_over_frames_stays_whole() {
        assert_eq!(heard(&[&[0xc3], &[0xa4, b'\n']]), ["ä"]);
    }

    #[test]
    fn endless_lines_come_in_pieces() {
        let frame = vec![b'x'; LONGEST + 1];
        assert_eq!(heard(&[&frame, b"y"]).len(), 2);
    }
}
