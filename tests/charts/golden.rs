//! The same values, rendered by both.

use kindmesh::domain::helm::Release;

use super::support::{by_helm, by_us, charts, differences};
use super::values::cases;

/// Every chart with all values, and every difference. None is accepted.
#[test]
fn helm_renders_the_same() {
    let charts = charts();
    let (mut wrong, mut refused, mut compared) = (Vec::new(), 0, 0);
    let mut done = Vec::new();
    for case in cases() {
        for (chart, name, values) in
            [("base", "istio-base", &case.base), ("istiod", "istiod", &case.istiod), ("gateway", "istio-gateway", &case.gateway)]
        {
            if done.contains(&(chart, values.clone())) {
                continue;
            }
            done.push((chart, values.clone()));
            let folder = charts.join(chart);
            let release = Release { name: name.to_owned(), namespace: "istio-system".to_owned() };
            let what = format!("{chart} with '{}'", case.name);
            match (by_us(&folder, &release, values), by_helm(&folder, &release, values)) {
                (Ok(ours), Ok(helm)) => {
                    compared += helm.len();
                    wrong.extend(differences(&ours, &helm).into_iter().map(|difference| format!("{what}: {difference}")));
                }
                (Err(ours), Err(helm)) => {
                    refused += 1;
                    let expected = case.name.starts_with("refused");
                    wrong.extend((!expected).then(|| format!("{what}: both refuse it: {ours}")));
                    wrong.extend(other_reason(chart, &ours, &helm).map(|reason| format!("{what}: {reason}")));
                }
                (Err(ours), Ok(_)) => wrong.push(format!("{what}: only Helm renders it; ours: {ours}")),
                (Ok(_), Err(helm)) => wrong.push(format!("{what}: only we render it; Helm: {helm}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    // A comparison of nothing with nothing would find no difference either.
    assert!(compared > 400 && refused == 15, "{compared} objects compared, {refused} refusals");
}

/// Whether both refuse for the same reason: at the same line of the same file, or because of the schema.
fn other_reason(chart: &str, ours: &str, helm: &str) -> Option<String> {
    let place = ours.split_whitespace().find(|word| word.starts_with("templates/"));
    let same = match place {
        Some(place) => helm.contains(&format!("{chart}/{place}")),
        None => ours.contains("schema") && helm.contains("schema"),
    };
    (!same).then(|| format!("refused for another reason\n  ours: {ours}\n  Helm: {helm}"))
}
