//! Charts from the web.

use std::fs;
use std::path::Path;

use super::super::*;
use super::packed::packed;
use crate::ops::tests::server::{Server, answer};

const VERSION: &str = "1.30.7";

/// With a digest for each chart.
fn download(repository: &str, cache: &Path) -> Download {
    Download {
        version: VERSION.parse().unwrap(),
        repositories: vec![repository.parse().unwrap()],
        digests: digests(),
        cache: cache.to_path_buf(),
    }
}

fn digests() -> PerChart<Option<Digest>> {
    PerChart::each(|chart| Ok::<_, ()>(Some(Digest::of(&packed(chart, VERSION))))).unwrap()
}

/// What the fleet file lacks for this chart, as the error has it.
fn line(chart: &str) -> String {
    format!("write `mesh.istio.digests.{chart}: {}` in the fleet file", Digest::of(&packed(chart, VERSION)))
}

async fn get(download: &Download) -> Result<String> {
    load(&ChartSource::Download(download.clone())).await.map(|charts| charts.version().to_owned())
}

fn index(server: &Server, digest: impl Fn(&str) -> Option<Digest>) {
    let mut text = "apiVersion: v1\nentries:\n".to_owned();
    for name in PerChart::<()>::NAMES {
        text.push_str(&format!(
            "  {name}:\n  - version: 1.31.0\n    urls: [x]\n  - version: {VERSION}\n    urls:\n    - {name}-{VERSION}.tgz\n"
        ));
        if let Some(digest) = digest(name) {
            text.push_str(&format!("    digest: {}\n", digest.hex()));
        }
    }
    server.page("/charts/index.yaml", text.as_bytes());
}

async fn helm_repository() -> Server {
    let server = Server::start().await;
    for name in PerChart::<()>::NAMES {
        server.page(&format!("/charts/{name}-{VERSION}.tgz"), &packed(name, VERSION));
    }
    index(&server, |name| Some(Digest::of(&packed(name, VERSION))));
    server
}

#[tokio::test]
async fn a_repository_is_asked_once() {
    let (server, cache) = (helm_repository().await, tempfile::tempdir().unwrap());
    let download = download(&format!("http://{}/charts/", server.host), cache.path());
    assert_eq!(get(&download).await.unwrap(), VERSION);
    let asked = server.asked().len();
    assert_eq!(asked, 6, "{:?}", server.asked());
    assert_eq!(get(&download).await.unwrap(), VERSION);
    assert_eq!(server.asked().len(), asked, "what is kept is not fetched again");

    // What is damaged is fetched again, and has to be what it was.
    let kept = cache.path().join("istio-charts").join(VERSION).join("base.tgz");
    fs::write(&kept, b"damaged").unwrap();
    assert_eq!(get(&download).await.unwrap(), VERSION);
    assert_eq!(fs::read(&kept).unwrap(), packed("base", VERSION));
}

/// What the repository announces is no digest that counts: who can change the one can change the other.
#[tokio::test]
async fn charts_without_a_digest_are_refused_all_at_once() {
    let (server, cache) = (helm_repository().await, tempfile::tempdir().unwrap());
    let repository = format!("http://{}/charts", server.host);
    let mut unpinned = Download { digests: PerChart::default(), ..download(&repository, cache.path()) };
    for _ in 0..2 {
        let error = get(&unpinned).await.unwrap_err();
        assert!(matches!(&error, LoadError::Unpinned(charts) if charts.len() == 3), "{error:?}");
        let error = error.to_string();
        for name in PerChart::<()>::NAMES {
            let told = format!("\nchart '{name}' {VERSION} from {repository} has the digest {}; ", Digest::of(&packed(name, VERSION)));
            assert!(error.contains(&told) && error.contains(&line(name)), "{name}: {error}");
        }
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0, "nothing of it is kept");
    }
    // Only those that lack one are told.
    unpinned.digests = PerChart { gateway: None, ..digests() };
    let error = get(&unpinned).await.unwrap_err().to_string();
    assert!(error.contains(&line("gateway")) && !error.contains(&line("base")) && !error.contains(&line("istiod")), "{error}");

    // With all of them what is kept is used, and the repository asked for the one that is not.
    let asked = server.asked().len();
    unpinned.digests = digests();
    assert_eq!(get(&unpinned).await.unwrap(), VERSION);
    assert_eq!(server.asked()[asked..].len(), 2, "{:?}", server.asked());
    assert_eq!(get(&unpinned).await.unwrap(), VERSION);
    assert_eq!(server.asked()[asked..].len(), 2, "{:?}", server.asked());

    // What is kept is not known for that: without its digest it is not used.
    unpinned.digests = PerChart::default();
    let error = get(&unpinned).await.unwrap_err();
    assert!(matches!(&error, LoadError::Unpinned(charts) if charts.len() == 3), "{error:?}");
}

#[tokio::test]
async fn digests_are_held_against_what_comes() {
    let server = helm_repository().await;
    let fresh = || tempfile::tempdir().unwrap();
    // What the index announces.
    index(&server, |name| Some(Digest::of(if name == "gateway" { b"other" } else { b"" })).filter(|_| name == "gateway"));
    let cache = fresh();
    let repository = format!("http://{}/charts", server.host);
    let error = get(&download(&repository, cache.path())).await.unwrap_err().to_string();
    assert!(error.contains("chart 'gateway'") && error.contains("is what it announces"), "{error}");
    assert!(!cache.path().join("istio-charts").join(VERSION).join("gateway.tgz").exists(), "nothing of it is kept");

    // What the caller insists on, with and without agreement.
    index(&server, |_| None);
    let kept = fresh();
    let mut insisting = download(&repository, kept.path());
    assert_eq!(get(&insisting).await.unwrap(), VERSION);
    insisting.digests.base = Some(Digest::of(b"other"));
    let error = get(&insisting).await.unwrap_err().to_string();
    assert!(error.contains("chart 'base'") && error.contains("was asked for"), "{error}");
    assert!(error.contains(&line("base")), "{error}");

    // What is pinned: the real archive of this version is another one.
    let kept = fresh();
    let mut pinned = Download { digests: PerChart::default(), ..download(&repository, kept.path()) };
    pinned.version = "1.31.1".parse().unwrap();
    let text = "entries:\n  base: [{version: 1.31.1, urls: [a]}]\n  istiod: [{version: 1.31.1, urls: [a]}]\n  gateway: [{version: 1.31.1, urls: [a]}]\n";
    server.page("/charts/index.yaml", text.as_bytes());
    server.page("/charts/a", &packed("base", "1.31.1"));
    let error = get(&pinned).await.unwrap_err().to_string();
    assert!(error.contains("is pinned for it"), "{error}");
}

#[tokio::test]
async fn trouble_is_told_with_its_place() {
    let cache = tempfile::tempdir().unwrap();
    let server = helm_repository().await;
    let repository = format!("http://{}/charts", server.host);
    for (prepare, words) in [
        (("/charts/index.yaml", "entries:\n  base: []\n"), "it has no version 1.30.7 of 'base'"),
        (("/charts/index.yaml", "entries: 5\n"), "no index of charts"),
        (("/charts/index.yaml", "entries:\n  base:\n  - version: v1.30.7\n    urls: [../x]\n"), "neither an address nor a file beside it"),
        (("/charts/index.yaml", "entries:\n  base:\n  - version: 1.30.7\n    urls: [missing.tgz]\n"), "404"),
        (("/charts/index.yaml", "entries:\n  base:\n  - version: 1.30.7\n    urls: [wrong]\n"), "no gzip-compressed tar"),
    ] {
        server.page(prepare.0, prepare.1.as_bytes());
        server.page("/charts/wrong", b"<html>");
        let mut download = download(&repository, cache.path());
        download.digests.base = Some(Digest::of(b"<html>"));
        let error = get(&download).await.unwrap_err().to_string();
        assert!(error.contains(words) || error.contains("has no chart"), "{words}: {error}");
    }
    let mut both = download(&format!("http://{}/nothing", server.host), cache.path());
    both.repositories.push("oci://127.0.0.1:1/x".parse().unwrap());
    let error = get(&both).await.unwrap_err().to_string();
    assert!(
        error.contains("404")
            && error.contains("127.0.0.1:1")
            && error.contains("`mesh.istio.charts`")
            && error.contains("`mesh.istio.repositories`"),
        "{error}"
    );
}

/// A registry with the charts, where strangers get a token, and the server it keeps them on.
async fn registry() -> (Server, Server) {
    let (server, storage) = (Server::start().await, Server::start().await);
    for name in PerChart::<()>::NAMES {
        let archive = packed(name, VERSION);
        let digest = Digest::of(&archive);
        let base = format!("/v2/istio/charts/{name}");
        let challenge = format!(
            "WWW-Authenticate: Bearer realm=\"http://{}/token\",service=\"registry\",scope=\"repository:istio/charts/{name}:pull\"\r\n",
            server.host
        );
        server.answer(&format!("{base}/manifests/{VERSION}"), answer("401 Unauthorized", &challenge, b"{}"));
        server.page(
            &format!("/token?scope=repository:istio/charts/{name}:pull&service=registry"),
            format!("{{\"token\":\"for-{name}\"}}").as_bytes(),
        );
        let manifest = format!(
            "{{\"layers\":[{{\"mediaType\":\"application/vnd.cncf.helm.chart.content.v1.tar+gzip\",\"digest\":\"{digest}\",\"size\":{}}}]}}",
            archive.len()
        );
        server.page(&format!("{base}/manifests/{VERSION} by Bearer for-{name}"), manifest.as_bytes());
        let location = format!("Location: http://{}/{name}\r\n", storage.host);
        server.answer(&format!("{base}/blobs/{digest} by Bearer for-{name}"), answer("307 Temporary Redirect", &location, b""));
        storage.page(&format!("/{name}"), &archive);
    }
    (server, storage)
}

#[tokio::test]
async fn a_registry_gives_everybody_a_token() {
    let ((server, storage), cache) = (registry().await, tempfile::tempdir().unwrap());
    let download = download(&format!("oci://{}/istio/charts", server.host), cache.path());
    assert_eq!(get(&download).await.unwrap(), VERSION);
    let asked = storage.asked();
    assert!(asked.len() == 3 && asked.iter().all(|asked| asked.ends_with(" by nobody")), "the token stays with its host: {asked:?}");

    // Something else under the digest of the manifest.
    storage.page("/base", b"other");
    let again = Download { cache: tempfile::tempdir().unwrap().path().to_path_buf(), ..download };
    let error = get(&again).await.unwrap_err().to_string();
    assert!(error.contains("chart 'base'") && error.contains("is what it announces"), "{error}");
}

/// A manifest names its archive by digest, and is itself found by a version, which anybody who rules the registry can move.
#[tokio::test]
async fn a_manifest_is_no_pin() {
    let ((server, _storage), cache) = (registry().await, tempfile::tempdir().unwrap());
    let mut unpinned = download(&format!("oci://{}/istio/charts", server.host), cache.path());
    unpinned.digests.istiod = None;
    let error = get(&unpinned).await.unwrap_err().to_string();
    assert!(error.contains(&line("istiod")) && error.contains("oci://") && !error.contains(&line("gateway")), "{error}");
}
