//! Charts, and values for them: those of users are laid over ours, and rendered.

use std::collections::BTreeMap;

use kindmesh::domain::helm::{Chart, Release, render, render_files};
use kindmesh::domain::istio::{GatewayKind, Member, Operator, chart_values, user_values};
use kindmesh::domain::mesh::{IstioSpec, MeshSpec};
use kindmesh::ops::mesh::MeshInput;
use serde_json::{Value, json};

use crate::targets::{Run, told};

/// A chart that shows all its values.
const SHOWS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shown}\ndata:\n  yaml: {{ toYaml .Values | quote }}\n  \
                     json: {{ toJson .Values | quote }}\n  network: {{ (.Values.global).network | default \"\" | quote }}\n";

/// An `IstioOperator` file, and what its values make of a member.
pub fn operator(input: &[u8]) -> String {
    match Operator::parse(&String::from_utf8_lossy(input), "operator.yaml") {
        Ok(operator) => member(&user_values(Some(&operator), &[], &Value::Null)),
        Err(error) => error.to_string(),
    }
}

/// A file of values, read as one that a fleet file names, and what it makes of a member.
pub fn values() -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    let istio = IstioSpec { values_files: vec![file.clone()], ..IstioSpec::default() };
    let spec = MeshSpec { istio, ..MeshSpec::default() };
    Box::new(move |input| {
        std::fs::write(&file, input).unwrap();
        match runtime.block_on(MeshInput::read(&spec, jiff::Timestamp::UNIX_EPOCH)) {
            Ok(input) => {
                let files: Vec<Value> = input.values.into_iter().map(|(_, values)| Value::Object(values)).collect();
                member(&user_values(None, &files, &Value::Null))
            }
            // The folder has another name each time.
            Err(error) => error.one_line().replace(&*folder.path().to_string_lossy(), ""),
        }
    })
}

/// Whatever is asked for, a cluster stays the member of the mesh that it is.
fn member(user: &Value) -> String {
    let member = Member {
        cluster: "east".to_owned(),
        network: "network-east".to_owned(),
        mesh_id: "mesh1".to_owned(),
        hub: "docker.io/istio".to_owned(),
        tag: "1.31.1".to_owned(),
        ingress: true,
        egress: true,
    };
    let values = match chart_values(&member, &Value::Null, user) {
        Ok(values) => values,
        Err(error) => return error.to_string(),
    };
    for chart in [&values.base, &values.istiod] {
        let global = &chart["global"];
        let identity = json!([global["network"], global["meshID"], global["multiCluster"]["clusterName"]]);
        assert_eq!(identity, json!(["network-east", "mesh1", "east"]), "the cluster is out of the mesh: {user}");
        let preferred = chart.pointer("/pilot/global/network").unwrap_or(&global["network"]);
        assert_eq!(preferred, "network-east", "what the charts prefer is out of the mesh: {user}");
    }
    assert!(values.gateways.contains_key(&GatewayKind::EastWest) && values.gateways.values().all(Value::is_object), "{user}");
    let chart = Chart::from_files(files("global: {network: none}\nown: {a: [1]}\n", SHOWS)).unwrap();
    let charts = [&values.base, &values.istiod].into_iter().chain(values.gateways.values());
    charts.map(|values| told(render(&chart, &release(), values))).collect::<Vec<_>>().join("; ")
}

/// Values, a line of dashes, and a template. The values are the chart's own and, where they can be read, the user's.
pub fn template(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let (values, template) = text.split_once("-----\n").unwrap_or(("", &text));
    let user: Value = serde_saphyr::from_str(values).unwrap_or(Value::Null);
    match Chart::from_files(files(values, template)) {
        Ok(chart) => told(render_files(&chart, &release(), &user)),
        // As a chart without values of its own has it.
        Err(error) => match Chart::from_files(files("", template)) {
            Ok(chart) => format!("{error}; {}", told(render_files(&chart, &release(), &user))),
            Err(error) => error.to_string(),
        },
    }
}

fn files(values: &str, template: &str) -> BTreeMap<String, Vec<u8>> {
    let file = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
    BTreeMap::from([
        file("Chart.yaml", "name: c\nversion: 1.0.0\n"),
        file("values.yaml", values),
        file("templates/a.yaml", template),
        file("templates/_b.tpl", "{{ define \"b\" }}{{ . }}{{ end }}"),
    ])
}

fn release() -> Release {
    Release { name: "r".to_owned(), namespace: "n".to_owned() }
}
