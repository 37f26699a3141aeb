use super::*;

fn parse(text: &str) -> ImageRef {
    text.parse().unwrap()
}

#[test]
fn defaults_are_filled_in() {
    for (text, pulled, shown) in [
        ("alpine", "docker.io/library/alpine:latest", "alpine:latest"),
        ("alpine:3", "docker.io/library/alpine:3", "alpine:3"),
        ("kindest/node:v1.34.0", "docker.io/kindest/node:v1.34.0", "kindest/node:v1.34.0"),
        ("docker.io/kindest/node:v1", "docker.io/kindest/node:v1", "kindest/node:v1"),
        ("index.docker.io/library/alpine", "docker.io/library/alpine:latest", "alpine:latest"),
        ("localhost/node", "localhost/node:latest", "localhost/node:latest"),
        ("127.0.0.1:5000/a/b/node:t", "127.0.0.1:5000/a/b/node:t", "127.0.0.1:5000/a/b/node:t"),
        ("registry.example:5000/node", "registry.example:5000/node:latest", "registry.example:5000/node:latest"),
        ("[::1]:5000/node:x", "[::1]:5000/node:x", "[::1]:5000/node:x"),
    ] {
        let image = parse(text);
        assert_eq!((image.pull_name().as_str(), image.to_string().as_str()), (pulled, shown), "{text}");
        assert_eq!(parse(&image.to_string()), image, "{text} does not survive");
    }
}

#[test]
fn a_digest_outranks_a_tag() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let image = parse(&format!("kindest/node:v1.34.0@{digest}"));
    assert_eq!(image.pull_name(), format!("docker.io/kindest/node@{digest}"));
    assert_eq!(image.to_string(), format!("kindest/node:v1.34.0@{digest}"));
    assert_eq!(image.short(), "kindest/node:v1.34.0");
    assert_eq!(parse(&format!("kindest/node@{digest}")).tag(), None, "no tag is made up beside a digest");
}

#[test]
fn nonsense_is_refused() {
    for text in ["", "Node", "a//b", "a:", "a:b:c", "-a", "a@sha256:12", "a b", "a:.x", "exa_mple.com/a", "host:99999/a", "a..b", "a/"] {
        assert!(text.parse::<ImageRef>().is_err(), "{text} was taken");
    }
}

#[test]
fn credentials_of_the_default_registry_have_an_old_key() {
    assert_eq!(parse("alpine").credentials_key(), "https://index.docker.io/v1/");
    assert_eq!(parse("127.0.0.1:5000/alpine").credentials_key(), "127.0.0.1:5000");
}

#[test]
fn every_default_image_is_pinned() {
    for (version, digest) in OFFICIAL {
        let version: KubernetesVersion = version.parse().unwrap();
        let text = official_image(&version, false).to_string();
        assert_eq!(text, format!("kindest/node:{version}@sha256:{digest}"));
        assert!(text.parse::<ImageRef>().is_ok(), "{text}");
    }
}

#[test]
fn the_offline_image_comes_first() {
    let shown = |version: Option<&str>| {
        let version = version.map(|version| version.parse::<KubernetesVersion>().unwrap());
        candidates(version.as_ref()).iter().map(ImageRef::short).collect::<Vec<_>>()
    };
    assert_eq!(shown(None), ["kindmesh/node:v1.34.4", "kindest/node:v1.34.0"]);
    assert_eq!(shown(Some("v1.34.4")), ["kindmesh/node:v1.34.4", "kindest/node:v1.34.4"], "what was asked for is not replaced");
    assert_eq!(shown(Some("1.33.1")), ["kindmesh/node:v1.33.1", "kindest/node:v1.33.1"]);
    assert_eq!(shown(Some("v1.35.0-rc.1+x")), ["kindmesh/node:v1.35.0-rc.1_x", "kindest/node:v1.35.0-rc.1_x"]);
    assert!(candidates(None)[1].digest().is_some());
}
