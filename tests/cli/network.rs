//! `network pools`: the calculator.

use crate::support::Sealed;

fn pools(args: &str) -> crate::support::Ran {
    let args: Vec<&str> = ["network", "pools"].into_iter().chain(args.split(' ')).collect();
    // Pure arithmetic: no engine, not even an address of one.
    Sealed::new().without("DOCKER_HOST").run(&args)
}

#[test]
fn a_table_for_people() {
    insta::assert_snapshot!(pools("--subnet 172.18.0.0/16 --count 2").ok(), @r#"
    CLUSTER   RANGE                          SIZE
    cluster1  172.18.255.230-172.18.255.254  25
    cluster2  172.18.255.205-172.18.255.229  25
    "#);
}

#[test]
fn a_document_for_programs() {
    let text = pools("--subnet 10.9.0.0/24 --count 2 --size 4 -o json").ok();
    insta::assert_snapshot!(text, @r#"{"pools":[{"cluster":"cluster1","range":"10.9.0.251-10.9.0.254","size":4},{"cluster":"cluster2","range":"10.9.0.247-10.9.0.250","size":4}]}"#);
}

#[test]
fn reserved_addresses_in_every_spelling_are_left_alone() {
    let text = pools(
        "--subnet 10.9.0.0/24 --count 2 --size 8 --reserved 10.9.0.250 --reserved 10.9.0.240-10.9.0.245 --reserved 10.9.0.128/26 -o json",
    );
    insta::assert_snapshot!(text.ok(), @r#"{"pools":[{"cluster":"cluster1","range":"10.9.0.232-10.9.0.239","size":8},{"cluster":"cluster2","range":"10.9.0.224-10.9.0.231","size":8}]}"#);
}

#[test]
fn the_gateway_is_the_first_address_unless_told() {
    let range = |args: &str| pools(args).json()["pools"][0]["range"].as_str().unwrap().to_owned();
    assert_eq!(range("--subnet 10.0.0.0/28 --count 1 --size 13 -o json"), "10.0.0.2-10.0.0.14");
    assert_eq!(range("--subnet 10.0.0.0/28 --count 1 --size 13 --gateway 10.0.0.14 -o json"), "10.0.0.1-10.0.0.13");
}

#[test]
fn what_does_not_fit_is_refused_with_the_numbers() {
    let said = pools("--subnet 10.0.0.0/28 --count 3 --size 5").failed(3);
    for number in ["10.0.0.0/28", "15", "14", "13"] {
        assert!(said.contains(number), "{number} is not in: {said}");
    }
    let error = pools("--subnet 10.0.0.0/28 --count 1 --size 3 -o json").json_error(3);
    assert_eq!(error["kind"], "config");
    assert!(error["message"].as_str().unwrap().contains("at least 4"), "{error}");
}

#[test]
fn a_text_that_is_no_address_is_a_usage_error() {
    for args in
        ["--subnet 10.0.0/28 --count 1", "--subnet 10.0.0.0/28 --count 1 --reserved 10.0.0.9-10.0.0.1", "--subnet 10.0.0.0/28 --count -1"]
    {
        let said = pools(args).failed(2);
        assert!(said.starts_with("error: ") && said.contains("--help"), "{said}");
    }
}
