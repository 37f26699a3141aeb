//! New inputs out of old ones.

/// The longest input; what is repeated stops there.
const LONGEST: usize = 64 << 10;
/// Values that are at an edge of something.
const EDGES: [&str; 14] = [
    "0",
    "-1",
    "4294967296",
    "18446744073709551615",
    "1e999",
    "null",
    "true",
    "\"\"",
    "[]",
    "{}",
    "~",
    "\u{0}",
    "\u{feff}",
    "255.255.255.255/0",
];
/// What nests.
const NESTS: [(&str, &str); 6] = [("[", "]"), ("{\"a\":", "}"), ("{{if true}}", "{{end}}"), ("- ", ""), ("&a [*a,", "]"), ("(", ")")];

/// Makes inputs, the same ones for the same seed.
pub struct Mutator {
    state: u64,
    inputs: Vec<Vec<u8>>,
}

// === impl Mutator ===

impl Mutator {
    pub fn new(seed: u64, inputs: Vec<Vec<u8>>) -> Self {
        Self { state: seed, inputs }
    }

    /// Goes on from this input, too.
    pub fn keep(&mut self, input: Vec<u8>) {
        self.inputs.push(input);
    }

    /// How many inputs are gone on from.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// The next input.
    pub fn next(&mut self) -> Vec<u8> {
        let at = self.below(self.inputs.len());
        let mut input = self.inputs[at].clone();
        for _ in 0..=self.below(4) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let (from, to) = self.piece(input.len());
        match self.below(10) {
            0 if !input.is_empty() => input[from.min(to.saturating_sub(1))] ^= 1 << self.below(8),
            1 => drop(input.drain(from..to)),
            2 => {
                let copy = input[from..to].to_vec();
                input.splice(from..from, copy);
            }
            3 => {
                let edge = EDGES[self.below(EDGES.len())];
                input.splice(from..to, edge.bytes());
            }
            4 => {
                let random = u8::try_from(self.below(256)).unwrap_or(0);
                input.insert(from, random);
            }
            5 => {
                let (open, close) = NESTS[self.below(NESTS.len())];
                let depth = 1 << self.below(13);
                let nest = [open.repeat(depth), close.repeat(depth)].concat();
                input.splice(from..to, nest.into_bytes());
            }
            6 => {
                // A line of another input.
                let other = self.below(self.inputs.len());
                let lines: Vec<Vec<u8>> = self.inputs[other].split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                if !lines.is_empty() {
                    let line = lines[self.below(lines.len())].clone();
                    input.splice(from..from, line);
                }
            }
            7 => {
                let other = self.below(self.inputs.len());
                let tail = self.inputs[other].clone();
                let cut = self.below(tail.len() + 1);
                input.truncate(from);
                input.extend_from_slice(&tail[cut..]);
            }
            8 => {
                let line = input[from..to].to_vec();
                let times = 1 << self.below(10);
                let many = line.repeat(times.min(LONGEST / (line.len() + 1)));
                input.splice(from..to, many);
            }
            _ => {
                // Digits are lengths, ports and prefixes.
                let digits: Vec<usize> = input.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()).map(|(at, _)| at).collect();
                if !digits.is_empty() {
                    let at = digits[self.below(digits.len())];
                    input[at] = b'0' + u8::try_from(self.below(10)).unwrap_or(0);
                }
            }
        }
        input.truncate(LONGEST);
    }

    /// A range, mostly a short one.
    fn piece(&mut self, length: usize) -> (usize, usize) {
        let from = self.below(length + 1);
        let longest = if self.below(8) == 0 { length } else { 16 };
        let to = (from + self.below(longest + 1)).min(length);
        (from, to)
    }

    fn below(&mut self, limit: usize) -> usize {
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % (limit.max(1) as u64)).unwrap_or(0)
    }
}
