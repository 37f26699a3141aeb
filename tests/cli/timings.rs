//! `--timings`: the files are there however the command ends, and it does not begin without them.

use serde_json::Value;

use crate::support::Sealed;

#[test]
fn a_command_that_fails_leaves_its_timings() {
    for args in [&["up"][..], &["up", "-o", "json"], &["down"], &["verify"]] {
        let sealed = Sealed::new();
        let said = sealed.run(&[args, &["--timings", "out.trace.json"]].concat()).failed(4);
        assert!(said.contains("out.trace.json") && said.contains("out.trace.svg"), "{said}");
        let trace = std::fs::read_to_string(sealed.home().join("out.trace.json")).unwrap();
        let trace: Value = serde_json::from_str(&trace).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let command = events.iter().find(|event| event["ph"] == "X").unwrap();
        assert_eq!(command["name"], format!("kindmesh {}", args[0]));
        assert_eq!(command["args"]["error"], "no container engine answers");
        let chart = std::fs::read_to_string(sealed.home().join("out.trace.svg")).unwrap();
        assert!(chart.starts_with("<svg ") && chart.contains("no container engine answers"), "{chart}");
    }
}

#[test]
fn what_cannot_be_written_is_told_before_anything_is_done() {
    let sealed = Sealed::new();
    // The engine does not answer either; that it is not even asked shows in the exit code.
    let said = sealed.run(&["up", "--timings", "nowhere/trace.json"]).failed(1);
    assert!(said.contains("write nowhere/trace.json") && said.contains("caused by") && said.contains("hint: "), "{said}");
    sealed.write("trace.svg/taken", "");
    let said = sealed.run(&["down", "--timings", "trace.json"]).failed(1);
    assert!(said.contains("write trace.svg"), "{said}");
    let said = sealed.run(&["up", "--timings", "."]).failed(1);
    assert!(said.contains("write ."), "{said}");
    let said = sealed.run(&["up", "--timings", "chart.svg"]).failed(2);
    assert!(said.contains("chart.svg") && said.contains("trace.json"), "{said}");
}
