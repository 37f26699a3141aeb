//! The same values, rendered by both.

use kindmesh::domain::helm::Release;

use super::support::{by_helm, by_us, charts, differences};
use super::values::cases;

/// Every chart with all values, and every difference. None is accepted.
#[test]
fn helm_renders_the_same() {
    let charts = charts();
    let (mut wrong, mut refused, mut compared) = (Vec::new(), 0, 0);
    for case in cases() {
        for (chart, name, values) in
            [("base", "istio-base", &case.base), ("istiod", "istiod", &case.istiod), ("gateway", "istio-gateway", &case.gateway)]
        {
            let folder = charts.join(chart);
            let release = Release { name: name.to_owned(), namespace: "istio-system".to_owned() };
            let what = format!("{chart} with '{}'", case.name);
            match (by_us(&folder, &release, values), by_helm(&folder, &release, values)) {
                (Ok(ours), Ok(helm)) => {
                    compared += helm.len();
                    wrong.extend(differences(&ours, &helm).into_iter().map(|difference| format!("{what}: {difference}")));
                }
                (Err(_), Err(_)) => refused += 1,
                (Err(ours), Ok(_)) => wrong.push(format!("{what}: only Helm renders it; ours: {ours}")),
                (Ok(_), Err(helm)) => wrong.push(format!("{what}: only we render it; Helm: {helm}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    // A comparison of nothing with nothing would find no difference either.
    assert!(compared > 400 && refused == 9, "{compared} objects compared, {refused} refusals");
}
