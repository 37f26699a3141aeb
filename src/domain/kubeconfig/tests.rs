use proptest::prelude::*;

use super::*;

const ADMIN: &str = r#"apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://c1-control-plane:6443
  name: c1
contexts:
- context: {cluster: c1, user: kubernetes-admin}
  name: kubernetes-admin@c1
current-context: kubernetes-admin@c1
kind: Config
users:
- name: kubernetes-admin
  user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZ}
"#;

fn entry(cluster: &str) -> ClusterEntry {
    ClusterEntry::from_admin_conf(ADMIN, cluster).unwrap()
}

#[test]
fn an_entry_gets_kinds_names() {
    let internal = entry("one").to_kubeconfig();
    insta::assert_snapshot!(internal.to_yaml(), @r"
    apiVersion: v1
    clusters:
    - cluster:
        certificate-authority-data: Q0E=
        server: https://c1-control-plane:6443
      name: kind-one
    contexts:
    - context:
        cluster: kind-one
        user: kind-one
      name: kind-one
    current-context: kind-one
    kind: Config
    users:
    - name: kind-one
      user:
        client-certificate-data: Q0VSVA==
        client-key-data: S0VZ
    ");
    let external = entry("one").with_server(&server_url("127.0.0.1", 40123));
    assert_eq!(external.server(), Some("https://127.0.0.1:40123"));
    assert_eq!(external.name(), "kind-one");
    assert_eq!(server_url("::1", 6443), "https://[::1]:6443");
}

#[test]
fn a_users_file_keeps_what_nobody_here_knows() {
    let text = r#"
apiVersion: v1
kind: Config
preferences: {colors: true}
x-own: [1, two]
current-context: prod
clusters:
- name: prod
  cluster: {server: "https://prod", extensions: [{name: e, extension: {a: 1}}]}
- name: kind-one
  cluster: {server: "https://old"}
contexts: null
users:
- name: prod
  user: {exec: {command: get-token, args: ["-n", no]}, password: 0777, username: yes, token: 1_000}
"#;
    let mut config = Kubeconfig::parse(text).unwrap();
    assert!(config.upsert(&entry("one"), true));
    assert!(!config.upsert(&entry("one"), true), "a second time changes nothing");
    assert_eq!(config.current_context(), Some("kind-one"));
    insta::assert_snapshot!(config.to_yaml(), @r#"
    apiVersion: v1
    clusters:
    - cluster:
        extensions:
        - extension:
            a: 1
          name: e
        server: https://prod
      name: prod
    - cluster:
        certificate-authority-data: Q0E=
        server: https://c1-control-plane:6443
      name: kind-one
    contexts:
    - context:
        cluster: kind-one
        user: kind-one
      name: kind-one
    current-context: kind-one
    kind: Config
    preferences:
      colors: true
    users:
    - name: prod
      user:
        exec:
          args:
          - -n
          - "no"
          command: get-token
        password: "0777"
        token: "1_000"
        username: "yes"
    - name: kind-one
      user:
        client-certificate-data: Q0VSVA==
        client-key-data: S0VZ
    x-own:
    - 1
    - two
    "#);
    assert_eq!(Kubeconfig::parse(&config.to_yaml()).unwrap(), config);
}

#[test]
fn removal_takes_only_its_own() {
    let mut config = Kubeconfig::default();
    config.upsert(&entry("one"), true);
    config.upsert(&entry("two"), true);
    assert!(config.has("one"));
    assert!(config.remove("one"));
    assert!(!config.remove("one") && !config.has("one"));
    assert_eq!((config.contexts(), config.current_context()), (vec!["kind-two"], Some("kind-two")));
    assert!(config.remove("two"));
    assert_eq!((config.contexts(), config.current_context()), (vec![], None));
}

#[test]
fn an_empty_file_is_an_empty_kubeconfig() {
    for text in ["", "\n", "# nothing\n", "---\n", "null\n", "{}\n"] {
        assert_eq!(Kubeconfig::parse(text).unwrap(), Kubeconfig::default(), "{text:?}");
    }
    assert_eq!(Kubeconfig::default().to_yaml(), "");
}

#[test]
fn errors_tell_the_place_and_no_secret() {
    for (text, expected) in [
        ("users:\n- name: a\n  user: {token: s3cret\n", "line 3, column 9: this is no valid YAML"),
        ("users:\n- name: a\n  user: {token: s3cret, token: s3cret}\n", "line 3, column 25: this is no valid YAML"),
        ("- s3cret", "this is no kubeconfig: the document is no mapping"),
        ("s3cret", "this is no kubeconfig: the document is no mapping"),
        ("users: {s3cret: 1}", "this is no kubeconfig: 'users' is no list"),
        ("users: [s3cret]", "this is no kubeconfig: entry 1 of 'users' has no name"),
        ("users: [{name: a, user: s3cret}]", "this is no kubeconfig: 'user' of entry 1 of 'users' is no mapping"),
        ("a: s3cret\n---\nb: 1\n", "line 3, column 1: this is no valid YAML"),
    ] {
        let error = Kubeconfig::parse(text).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
        assert!(!format!("{error:?}").contains("s3cret"));
    }
    assert!(!format!("{:?} {:?}", entry("one"), entry("one").to_kubeconfig()).contains("S0VZ"));
}

#[test]
fn an_admin_conf_has_one_of_each() {
    let two = ADMIN.replace("users:\n", "users:\n- {name: other, user: {}}\n");
    let error = ClusterEntry::from_admin_conf(&two, "one").unwrap_err();
    assert_eq!(error.to_string(), "this is no kubeconfig: it has 2 users where one is expected");
    assert!(ClusterEntry::from_admin_conf("", "one").is_err());
}

proptest! {
    /// Whatever order clusters come and go in, each leaves as it came and the others stay.
    #[test]
    fn upserts_and_removals_do_not_disturb_each_other(steps in prop::collection::vec((0usize..4, any::<bool>()), 0..20)) {
        let names = ["a", "b", "c", "d"];
        let mut config = Kubeconfig::parse("x: 1\nclusters: [{name: other, cluster: {server: s}}]\n").unwrap();
        let mut there = std::collections::BTreeSet::new();
        for (which, add) in steps {
            if add {
                config.upsert(&entry(names[which]), true);
                there.insert(which);
            } else {
                prop_assert_eq!(config.remove(names[which]), there.remove(&which));
            }
            config = Kubeconfig::parse(&config.to_yaml()).unwrap();
        }
        for (index, cluster) in names.iter().enumerate() {
            prop_assert_eq!(config.has(cluster), there.contains(&index));
        }
        prop_assert!(config.to_yaml().contains("name: other"));
    }
}

#[test]
fn what_a_program_put_there_is_kept_and_read_back() {
    let mut document = Kubeconfig::default();
    document.upsert(&ClusterEntry::with_token("a", "https://127.0.0.1:1", "ca", "token"), true);
    document.set_extension("dev.example", json!({"fleet": "one"}));
    document.set_extension("dev.example", json!({"fleet": "two"}));
    let mut document = Kubeconfig::parse(&document.to_yaml()).unwrap();
    assert_eq!(document.extension("dev.example"), Some(&json!({"fleet": "two"})));
    assert_eq!(document.extension("dev.other"), None);
    document.remove("a");
    assert!(document.extension("dev.example").is_some());
    assert_eq!(Kubeconfig::parse("extensions: [1]").unwrap().extension("dev.example"), None);
}
