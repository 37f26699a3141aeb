//! Small charts, packed.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// The files of a chart that renders to one config map.
pub(super) fn files(name: &str, version: &str) -> Vec<(String, String)> {
    vec![
        ("Chart.yaml".to_owned(), format!("apiVersion: v2\nname: {name}\nversion: {version}\n")),
        ("values.yaml".to_owned(), "a: 1\n".to_owned()),
        ("templates/a.yaml".to_owned(), "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n".to_owned()),
    ]
}

/// A packed chart.
pub(super) fn packed(name: &str, version: &str) -> Vec<u8> {
    let files = files(name, version);
    let named: Vec<(String, &[u8])> = files.iter().map(|(path, text)| (format!("{name}/{path}"), text.as_bytes())).collect();
    archive(&named)
}

/// An archive with these files, whatever their names.
pub(super) fn archive(files: &[(String, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    gzip(&tar)
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
