//! Exit codes and the form of errors.

use std::process::Stdio;

use crate::support::Sealed;

/// Scripts rely on these numbers: changing one breaks them.
#[test]
fn the_codes_are_fixed() {
    let codes = Sealed::new().run(&["exit-codes", "-o", "json"]).json();
    let pairs: Vec<String> =
        codes["exitCodes"].as_array().unwrap().iter().map(|code| format!("{}={}", code["name"].as_str().unwrap(), code["code"])).collect();
    assert_eq!(
        pairs.join(" "),
        "success=0 failure=1 usage=2 config=3 engine=4 image=5 conflict=6 timeout=7 cluster=8 notFound=9 unproven=10 differs=11 cancelled=130 brokenPipe=141"
    );
}

#[test]
fn an_unknown_flag_comes_with_a_suggestion() {
    let said = Sealed::new().run(&["up", "--flet", "x"]).failed(2);
    assert!(said.contains("--flet") && said.contains("--fleet"), "{said}");
}

#[test]
fn usage_errors_are_documents_too() {
    let error = Sealed::new().run(&["up", "--flet", "x", "-o", "json"]).json_error(2);
    assert_eq!(error["kind"], "usage");
    assert!(error["message"].as_str().unwrap().contains("--flet"), "{error}");
    assert!(error["hints"].as_array().unwrap().iter().any(|hint| hint.as_str().unwrap().contains("--fleet")), "{error}");
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    for args in [
        &["up", "-f", "x", "--fleet", "y"][..],
        &["up", "-f", "x", "--clusters", "2"],
        &["down", "--all", "--fleet", "y"],
        &["down", "--cluster", "a", "--all"],
        &["status", "-q", "-v"],
        &["status", "--host", "x", "--context", "y"],
        &["load"],
        &["load", "shop:dev", "--archive", "shop.tar"],
        &["up", "--clusters", "0"],
        &["up", "--warm", "1", "--prune"],
        &["up", "--warm", "1", "--kubeconfig", "k"],
        &["up", "--warm", "100"],
        &["pool", "lease", "demo", "-f", "x"],
        &["pool", "serve", "Not_A_Name"],
        &["up", "--fleet", "Not_A_Name"],
    ] {
        let said = Sealed::new().run(args).failed(2);
        assert!(said.starts_with("error: "), "{args:?}: {said}");
    }
}

#[test]
fn a_broken_log_filter_is_told() {
    let said = Sealed::new().with("KINDMESH_LOG", "kindmesh=loud").run(&["version"]).failed(2);
    assert!(said.contains("kindmesh=loud") && said.contains("hint: "), "{said}");
}

#[test]
fn a_reader_that_went_away_is_no_error_to_talk_about() {
    let sealed = Sealed::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = sealed.command(&["completion", "bash"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(141), ""));
}

#[test]
fn who_knows_kind_is_told_the_commands_of_this_program() {
    for (verb, ours) in [("create", "kindmesh up"), ("delete", "kindmesh down")] {
        let said = Sealed::new().run(&[verb, "cluster"]).failed(2);
        assert!(said.contains(&format!("unrecognized subcommand '{verb}'")) && said.contains(ours), "{said}");
    }
}
