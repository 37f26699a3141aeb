//! What becomes of the record when a run is noted in it.

use serde_json::{Value, json};

use crate::report::merged;

fn run(tried: u64, survived: u64) -> Value {
    json!({"kind": "a", "tried": tried, "survived": survived, "date": "2026-01-02", "machine": "m", "sample": true})
}

/// The record after these runs, one after the other: tried, survived and what is due of each row.
fn after(runs: &[Value]) -> Vec<(u64, u64, Option<u64>)> {
    let record = runs.iter().fold(Value::Null, |record, run| merged(&record, run.clone()));
    let number = |row: &Value, what: &str| row[what].as_u64();
    let rows = record["rows"].as_array().unwrap().iter();
    rows.map(|row| (number(row, "tried").unwrap(), number(row, "survived").unwrap(), number(row, "due"))).collect()
}

#[test]
fn a_row_has_a_date_and_a_machine_of_its_own() {
    let before = json!({"date": "2026-01-01", "machine": "old", "rows": [{"kind": "b", "tried": 1, "survived": 1}]});
    let record = merged(&before, run(2, 2));
    assert_eq!(record["rows"][0], run(2, 2));
    assert_eq!(record["rows"][1], json!({"kind": "b", "tried": 1, "survived": 1, "date": "2026-01-01", "machine": "old"}));
    assert!(record["date"].is_null() && record["machine"].is_null(), "{record}");
}

#[test]
fn a_smaller_sample_takes_the_place_of_no_larger_run_without_failures() {
    assert_eq!(after(&[run(10, 10), run(9, 9)]), [(10, 10, None)]);
    assert_eq!(after(&[run(10, 10), run(10, 10)]), [(10, 10, None)]);
    let mut newer = run(10, 10);
    newer["date"] = json!("2026-01-03");
    assert_eq!(merged(&merged(&Value::Null, run(10, 10)), newer.clone())["rows"][0], newer, "the younger of two equal ones");
    assert_eq!(after(&[run(9, 9), run(10, 10)]), [(10, 10, None)]);
}

/// There may be less of everything than there was: steps that are no more, calls that are saved.
#[test]
fn all_there_is_takes_the_place_of_more() {
    let mut all = run(9, 9);
    all["sample"] = json!(false);
    assert_eq!(after(&[run(10, 10), all.clone()]), [(9, 9, None)]);
    assert_eq!(after(&[run(10, 9), all]), [(10, 9, None)], "but not of failures");
}

#[test]
fn failures_are_always_recorded() {
    assert_eq!(after(&[run(10, 10), run(3, 2)]), [(3, 2, None)]);
    assert_eq!(after(&[run(10, 8), run(12, 11)]), [(12, 11, None)]);
}

#[test]
fn failures_stay_until_as_many_pass() {
    assert_eq!(after(&[run(10, 9), run(9, 9)]), [(10, 9, None)]);
    assert_eq!(after(&[run(10, 9), run(10, 10)]), [(10, 10, None)]);
    // Fewer were enough to fail again, and would be enough to pass.
    let again = [run(10, 9), run(3, 2)];
    assert_eq!(after(&again), [(3, 2, Some(10))]);
    assert_eq!(after(&[&again[..], &[run(3, 3)]].concat()), [(3, 2, Some(10))]);
    assert_eq!(after(&[&again[..], &[run(4, 3)]].concat()), [(4, 3, Some(10))]);
    assert_eq!(after(&[&again[..], &[run(10, 10)]].concat()), [(10, 10, None)]);
}

#[test]
fn kinds_are_in_order_and_know_nothing_of_each_other() {
    let mut other = run(1, 0);
    other["kind"] = json!("0");
    assert_eq!(after(&[run(5, 5), other]), [(1, 0, None), (5, 5, None)]);
}
