//! Charts on this machine.

use std::fs;
use std::path::Path;

use super::super::*;
use super::packed::{archive, files, gzip, packed};

async fn from_folder(folder: &Path) -> Result<String> {
    load(&ChartSource::Folder(folder.to_path_buf())).await.map(|charts| charts.version().to_owned())
}

fn unpack(folder: &Path, name: &str, version: &str) {
    for (path, text) in files(name, version) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[tokio::test]
async fn a_folder_holds_folders_and_archives() {
    let folder = tempfile::tempdir().unwrap();
    unpack(&folder.path().join("base"), "base", "1.31.1");
    fs::write(folder.path().join("gateway-1.31.1.tgz"), packed("gateway", "1.31.1")).unwrap();
    let error = from_folder(folder.path()).await.unwrap_err().to_string();
    assert!(error.contains("no chart 'istiod'") && error.contains("istiod.tgz"), "{error}");
    unpack(&folder.path().join("istio-control/istio-discovery"), "istiod", "1.31.1");
    assert_eq!(from_folder(folder.path()).await.unwrap(), "1.31.1");
    fs::write(folder.path().join("gateway-dashboards.tgz"), b"other").unwrap();
    assert_eq!(from_folder(folder.path()).await.unwrap(), "1.31.1");
    fs::write(folder.path().join("gateway.tgz"), packed("gateway", "1.30.0")).unwrap();
    let error = from_folder(folder.path()).await.unwrap_err().to_string();
    assert!(error.contains("several archives of chart 'gateway'") && error.contains("gateway-1.31.1.tgz, gateway.tgz"), "{error}");
}

#[tokio::test]
async fn charts_have_to_belong_together() {
    let bytes = |base: &str, istiod: &str, version: &str| {
        ChartSource::Bytes(PerChart { base: packed(base, "1.31.1"), istiod: packed(istiod, version), gateway: packed("gateway", "1.31.1") })
    };
    assert_eq!(load(&bytes("base", "istiod", "1.31.1")).await.unwrap().release(), Some("1.31.1"));
    for (source, words) in [
        (bytes("base", "istiod", "1.30.0"), "different versions: base 1.31.1, istiod 1.30.0"),
        (bytes("istiod", "base", "1.31.1"), "given as 'base' is 'istiod'"),
    ] {
        let error = load(&source).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let old = PerChart { base: packed("base", "1.29.9"), istiod: packed("istiod", "1.29.9"), gateway: packed("gateway", "1.29.9") };
    let error = load(&ChartSource::Bytes(old)).await.unwrap_err().to_string();
    assert!(error.contains("from 1.30 on"), "{error}");
}

#[tokio::test]
async fn archives_stay_where_they_are() {
    let good = || packed("istiod", "1.31.1");
    let named = |names: &[&str]| archive(&names.iter().map(|name| ((*name).to_owned(), b"x".as_slice())).collect::<Vec<_>>());
    let mut link = tar::Header::new_ustar();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_path("base/values.yaml").unwrap();
    link.set_link_name("/etc/passwd").unwrap();
    link.set_size(0);
    link.set_cksum();
    let mut linked = link.as_bytes().to_vec();
    linked.resize(512 + 1024, 0);
    let zeros = vec![0; (archive::MAX_UNPACKED as usize) + 1];
    for (base, words) in [
        (b"no archive".to_vec(), "no gzip-compressed tar"),
        (gzip(b""), "is empty"),
        (named(&["../evil"]), "outside its folder: ../evil"),
        (named(&["/etc/evil"]), "outside its folder"),
        (named(&["base/a/../../evil"]), "outside its folder"),
        (named(&["file"]), "outside its folder"),
        (named(&["base/a", "other/b"]), "more than one folder"),
        (named(&["base/a", "base/a"]), "twice"),
        (gzip(&linked), "no file but Symlink"),
        (archive(&[("base/large".to_owned(), &zeros)]), "64 MiB"),
        (named(&["base/a"]), "no chart that can be used"),
        (packed("base", "1.31.1")[..100].to_vec(), "no gzip-compressed tar"),
    ] {
        let source = ChartSource::Bytes(PerChart { base, istiod: good(), gateway: packed("gateway", "1.31.1") });
        let error = load(&source).await.unwrap_err().to_string();
        assert!(error.contains("chart 'base'") && error.contains(words), "{words}: {error}");
    }
}
