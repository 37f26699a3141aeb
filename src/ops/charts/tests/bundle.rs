//! One archive that has everything.

use super::super::*;
use super::packed::{archive, files, gzip};
use crate::domain::istio::Charts;

/// What a test packs: path and content, or where a link leads.
type Entry = (String, Result<Vec<u8>, &'static str>);

async fn unpacked(packed: &[u8]) -> Result<Charts> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("istio.tar.gz");
    std::fs::write(&path, packed).unwrap();
    load(&ChartSource::Archive(path)).await
}

async fn refusal(packed: &[u8]) -> String {
    let error = unpacked(packed).await.unwrap_err().to_string();
    assert!(error.contains("/istio.tar.gz"), "it names the archive: {error}");
    error
}

fn chart(folder: &str, name: &str) -> Vec<Entry> {
    files(name, "1.31.1").into_iter().map(|(path, text)| (format!("{folder}/{path}"), Ok(text.into_bytes()))).collect()
}

/// As Istio's releases are: the charts are a small part of it.
fn release() -> Vec<Entry> {
    let other = |path: &str, text: &str| (format!("istio-1.31.1/{path}"), Ok(text.as_bytes().to_vec()));
    let mut entries = vec![
        other("bin/istioctl", "program"),
        other("manifests/charts/README.md", "charts"),
        other("manifests/charts/default/Chart.yaml", "name: istio-default\nversion: 1.31.1\n"),
        other("manifests/charts/gateways/istio-ingress/Chart.yaml", "{{ no YAML"),
        other("manifests/charts/base/.helmignore", "*"),
        other("manifests/charts/base/._Chart.yaml", "name: base\n"),
        ("istio-1.31.1/manifests/latest".to_owned(), Err("/etc")),
    ];
    entries.extend(chart("istio-1.31.1/manifests/charts/base", "base"));
    entries.extend(chart("istio-1.31.1/manifests/charts/istio-control/istio-discovery", "istiod"));
    entries.extend(chart("istio-1.31.1/manifests/charts/gateway", "gateway"));
    entries
}

/// As `tar` packs a folder of charts.
fn folder() -> Vec<Entry> {
    PerChart::<()>::NAMES.into_iter().flat_map(|name| chart(&format!("./{name}"), name)).collect()
}

fn pack(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        match content {
            Ok(content) => {
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, path, content.as_slice()).unwrap();
            }
            Err(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, path, target).unwrap();
            }
        }
    }
    gzip(&builder.into_inner().unwrap())
}

#[tokio::test]
async fn charts_are_found_wherever_they_are() {
    let mut many = release();
    many.extend((0..=archive::MAX_FILES).map(|n| (format!("istio-1.31.1/samples/{n}"), Ok(b"x".to_vec()))));
    let mut backwards = release();
    backwards.reverse();
    for entries in [release(), backwards, many, folder()] {
        let charts = unpacked(&pack(&entries)).await.unwrap();
        assert_eq!((charts.version(), charts.istiod().name()), ("1.31.1", "istiod"));
        assert_eq!(charts.base().values()["a"], 1);
    }
    // Packed in parts, as some programs that use several processors do it.
    let whole = pack(&folder());
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(whole.as_slice()), &mut tar).unwrap();
    let parts: Vec<u8> = tar.chunks(1000).flat_map(gzip).collect();
    assert_eq!(unpacked(&parts).await.unwrap().version(), "1.31.1");
}

#[tokio::test]
async fn a_chart_is_there_once() {
    let without = |name: &str| -> Vec<Entry> { folder().into_iter().filter(|(path, _)| !path.contains(name)).collect() };
    let error = refusal(&pack(&without("istiod"))).await;
    assert!(error.contains("no chart 'istiod' in ") && error.contains("Istio's releases"), "{error}");
    let mut twice = release();
    twice.extend(chart("istio-1.31.1/old/gateway", "gateway"));
    let error = refusal(&pack(&twice)).await;
    let folders = "istio-1.31.1/manifests/charts/gateway, istio-1.31.1/old/gateway";
    assert!(error.contains("several folders of chart 'gateway'") && error.contains(folders), "{error}");
    // Only as a part of another one, which this program does not render either.
    let mut within = without("base");
    within.extend(chart("./gateway/charts/base", "base"));
    let error = refusal(&pack(&within)).await;
    assert!(error.contains("no chart 'base'"), "{error}");
    // A link is no folder, wherever it leads.
    let mut linked = without("base");
    linked.push(("base".to_owned(), Err("gateway")));
    let error = refusal(&pack(&linked)).await;
    assert!(error.contains("no chart 'base'"), "{error}");
}

#[tokio::test]
async fn charts_in_an_archive_belong_together_and_can_be_used() {
    let mut older = release();
    older.retain(|(path, _)| !path.contains("charts/base"));
    older.extend(files("base", "1.30.0").into_iter().map(|(path, text)| (format!("base/{path}"), Ok(text.into_bytes()))));
    let error = unpacked(&pack(&older)).await.unwrap_err().to_string();
    assert!(error.contains("different versions: base 1.30.0"), "{error}");
    let mut broken = folder();
    broken.push(("istiod/values.schema.json".to_owned(), Ok(b"{".to_vec())));
    let error = refusal(&pack(&broken)).await;
    assert!(error.starts_with("istiod in ") && error.contains("no chart that can be used"), "{error}");
}

#[tokio::test]
async fn nothing_else_is_taken() {
    let with = |path: &str, content: Result<Vec<u8>, &'static str>| {
        let mut entries = folder();
        entries.push((path.to_owned(), content));
        pack(&entries)
    };
    let whole = pack(&folder());
    let many: Vec<Entry> = (0..=archive::MAX_FILES).map(|n| (format!("base/files/{n}"), Ok(Vec::new()))).collect();
    let many = pack(&[folder(), many].concat());
    for (packed, words) in [
        (b"no archive".to_vec(), "no gzip-compressed tar"),
        (gzip(b"no archive"), "no gzip-compressed tar"),
        (whole[..whole.len() / 2].to_vec(), "no gzip-compressed tar"),
        (archive(&[("../evil".to_owned(), b"x")]), "has ../evil in it, which leads out of it"),
        (archive(&[("/etc/evil".to_owned(), b"x")]), "leads out of it"),
        (archive(&[("base/a/../../evil".to_owned(), b"x")]), "leads out of it"),
        (with("base/values.yaml", Ok(b"a: 2\n".to_vec())), "has base/values.yaml twice"),
        (with("base/templates/link.yaml", Err("/etc/passwd")), "no file but Symlink"),
        (with("base/large", Ok(vec![0; archive::MAX_UNPACKED as usize])), "64 MiB"),
        (many, "more than 2000 files"),
    ] {
        let error = refusal(&packed).await;
        assert!(error.contains(words), "{words}: {error}");
    }
    let gone = ChartSource::Archive("/nowhere/istio.tgz".into());
    assert_eq!(load(&gone).await.unwrap_err().to_string(), "read /nowhere/istio.tgz");
}
