//! The same values, rendered by both.

use kindmesh::domain::helm::Release;

use super::support::{by_helm, by_us, charts, differences};
use super::values::cases;

#[test]
fn helm_renders_the_same() {
    let charts = charts();
    let mut wrong = Vec::new();
    for case in cases() {
        let folder = charts.join(case.chart);
        let release = Release { name: case.release.to_owned(), namespace: "istio-system".to_owned() };
        let what = format!("{} with '{}'", case.chart, case.name);
        match (by_us(&folder, &release, &case.values), by_helm(&folder, &release, &case.values)) {
            (Ok(ours), Ok(helm)) => {
                assert!(!helm.is_empty(), "{what}: Helm rendered nothing");
                wrong.extend(differences(&ours, &helm).into_iter().map(|difference| format!("{what}: {difference}")));
            }
            (ours, helm) => wrong.push(format!("{what}: ours {:?}, Helm's {:?}", ours.map(|_| "renders"), helm.map(|_| "renders"))),
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
