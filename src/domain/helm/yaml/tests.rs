//! The fast reader against the full parser.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn fast(text: &str) -> Option<Json> {
    plain::parse(text)
}

/// What the fast reader reads at all, it reads as the full parser does.
fn agree(text: &str) {
    if let Some(fast) = fast(text) {
        assert_eq!(Ok(&fast), parse_fully(text).as_ref(), "{text}");
    }
}

#[test]
fn what_charts_are_made_of_is_read_fast() {
    let text = "# comment\na: 1\nb:\n- x\n- y: 'it''s'\n  z: \"q\\n\\u00e4\"\n\n- - 1\n  - 2\nc: {}\nd: [a, \"b\", {e: f}]\ne: |\n  one\n    two\n\n  three\nf: |-\n  x\ng:\n  h:\n    i: long text\n      over lines\n\n      and more\n  q:\n    - r:\n        s: 1\n    - t\n  u: 1\nj: 10m # comment\nk: -5\nl: null\nm:\nn: ~\no: v1.31.1\np: 1.31.1\nq: 0.5\nr:\n  {}\ns:\n  text\n  more\nt: -12.25\n";
    let expected = json!({
        "a": 1, "b": ["x", { "y": "it's", "z": "q\nä" }, [1, 2]], "c": {}, "d": ["a", "b", { "e": "f" }], "e": "one\n  two\n\nthree\n", "f": "x",
        "g": { "h": { "i": "long text over lines\nand more" }, "q": [{ "r": { "s": 1 } }, "t"], "u": 1 }, "j": "10m", "k": -5, "l": null, "m": null, "n": null, "o": "v1.31.1", "p": "1.31.1",
        "q": 0.5, "r": {}, "s": "text more", "t": -12.25,
    });
    assert_eq!(fast(text), Some(expected.clone()));
    assert_eq!(parse_fully(text), Ok(expected));
}

#[test]
fn what_is_odd_is_left_to_the_full_parser() {
    for text in [
        "a: &x 1",
        "a: *x",
        "a: !!str 1",
        "? a\n: b",
        "a: >\n  x",
        "a: 0777",
        "a: 1e3",
        "a: yes",
        "a: 1_000",
        "a: 1\n b: 2",
        "a\nb",
        "a: b: c",
        "<<: {}",
        "a: [1,\n 2]",
        "a: 1\n---\nb: 2",
        "\ta: 1",
        "a: \"\\q\"",
        "%YAML 1.2\n---\na: 1",
        "a: 'x' y",
        "a: 2020-01-01",
    ] {
        assert_eq!(fast(text), None, "{text}");
    }
}

#[test]
fn both_readers_agree() {
    for text in [
        "",
        "# only\n",
        "---\na: 1\n",
        "a:\n  - 1\n  -\n  - 3\n",
        "a:\n-\n  b: 1\n",
        "- a:\n    b\n",
        "a: 'x\n  y\n\n  z'\nb: 2\n",
        "a: \"x\n  y \\\n  z\"\nb: 2\n",
        "a: x #y\nb: x#y\n",
        "a: |2\n    x\n  y\nb: 1\n",
        "a: |+\n  x\n\n\nb: 1\n",
        "a: |\n\n  x\n",
        "a: |\nb: 1\n",
        "a: ''\nb: \"\"\n",
        "\"a b\": 1\n'c: d': 2\n",
        "a:b: 1\n",
        "a: b:c\n",
        "a: http://x:80/\n",
        "a: {b: 1, c: [x, y]}\n",
        "a: [ ]\nb: { }\n",
        "a: -\n",
        "a: - b\n",
        "a: .5\nb: 5.\nc: -1.5\nd: +1\n",
        "a: 123456789012345678901\n",
        "a: 1\na: 2\n",
        "a: 0\nb: 00\nc: -0\n",
        "- - - a\n    - b\n  - c\n",
        "a: x\r\nb: y\r\n",
        "a: \"x\" # c\nb: 'y'#c\n",
        "a: [b\n",
        "a: {b}\n",
        "a: \"x\n",
        "  a: 1\n  b: 2\n",
        "  a: 1\n b: 2\n",
        "a: |\n   x\n  y\n",
        "a: #c\n  b: 1\n",
        "a: x\n  # c\n  y\n",
        "a: null\nnull: 1\n",
        "a: True\nb: tRUE\nc: Off\n",
        "a: |  \n  x\n",
        "a: |-\n  x\n \nb: 1\n",
        "- |\n x\n- y\n",
        "- 'a': 1\n  b: 2\n",
        "a: x\n\n\n  y\nb: z\n",
    ] {
        agree(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn both_readers_agree_on_anything(text in r#"([ab1\-:#'"|>\[\]{},&*?!~.+%\\ ]|\n|\n  |- |: |a: |\n    ){0,24}"#) {
        agree(&text);
    }
}
