//! Charts of a few lines, rendered. Istio's own are held against Helm in `tests/charts`.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::*;

fn chart(files: &[(&str, &str)]) -> Chart {
    let own = [("Chart.yaml", "apiVersion: v2\nname: probe\nversion: 1.2.3\nappVersion: \"4\"\n")];
    let files = own.iter().chain(files).map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    Chart::from_files(files).unwrap()
}

fn release() -> Release {
    Release { name: "rel".to_owned(), namespace: "ns".to_owned() }
}

/// What a template makes of values: the text it renders to.
fn text(template: &str, values: Json) -> Result<String, RenderError> {
    let indented = format!(
        "kind: ConfigMap\napiVersion: v1\nmetadata: {{name: x}}\ndata:\n  text: {{{{ include \"probe\" . | quote }}}}\n{{{{ define \"probe\" }}}}{template}{{{{ end }}}}"
    );
    let objects = render(
        &chart(&[("templates/a.yaml", &indented), ("values.yaml", "own: {a: 1, b: [1, 2], c: null}\n"), ("files/f.txt", "file\n")]),
        &release(),
        &values,
    )?;
    Ok(objects[0].value().pointer("/data/text").unwrap().as_str().unwrap().to_owned())
}

fn rendered(files: &[(&str, &str)], values: Json) -> Result<Vec<String>, String> {
    let objects = render(&chart(files), &release(), &values).map_err(|error| error.to_string())?;
    Ok(objects.iter().map(ToString::to_string).collect())
}

#[test]
fn templates_say_what_go_says() {
    for (template, expected) in [
        (
            "{{ .Release.Name }}/{{ .Release.Namespace }}/{{ .Chart.Name }}-{{ .Chart.Version }}/{{ .Chart.AppVersion }}",
            "rel/ns/probe-1.2.3/4",
        ),
        ("{{ .Values.own.a }} {{ .Values.own.b }} {{ .Values.own }}", "1 [1 2] map[a:1 b:[1 2] c:<nil>]"),
        (
            "{{ .Values.large }} {{ .Values.large | int }} {{ dict \"a\" .Values.large | toYaml }} {{ .Values.large | toJson }}",
            "1e+06 1000000 a: 1000000 1000000",
        ),
        (
            "[{{ .Values.missing }}] [{{ quote .Values.missing }}] [{{ .Values.missing | default \"d\" }}] [{{ (.Values.missing).deeper }}]",
            "[] [] [d] []",
        ),
        (
            "{{ range $k, $v := .Values.own }}{{ $k }}={{ kindOf $v }} {{ end }}{{ range .Values.none }}x{{ else }}none{{ end }}",
            "a=float64 b=slice c=invalid none",
        ),
        (
            "{{ range $i, $v := list 1 2 3 4 }}{{ if eq $v 2 }}{{ continue }}{{ end }}{{ if eq $i 3 }}{{ break }}{{ end }}{{ $v }}{{ end }}",
            "13",
        ),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ end }}{{ $x }}", "2"),
        ("{{ with .Values.own }}{{ .a }}{{ $.Release.Name }}{{ else }}no{{ end }}", "1rel"),
        ("{{ and 1 0 (fail \"never\") }} {{ or 0 \"x\" (fail \"never\") }} {{ not nil }}", "0 x true"),
        (
            "{{ printf \"%s-%d-%v-%q-%t-%%\" \"a\" 1 1.5 \"b\" true }} {{ print 1 2 \"x\" 3 }} {{ cat \"a\" nil 1 }}",
            "a-1-1.5-\"b\"-true-% 1 2x3 a 1",
        ),
        (
            "{{ \"a,b\" | splitList \",\" | join \"+\" }} {{ (split \",\" \"a,b\")._1 }} {{ trunc 2 \"abc\" }}{{ trunc -2 \"abc\" }} {{ \"-x-\" | trimPrefix \"-\" | trimSuffix \"-\" }}",
            "a+b b abbc x",
        ),
        (
            "{{ $m := dict \"a\" 1 }}{{ $_ := set $m \"b\" (dict \"c\" 2) }}{{ $n := $m }}{{ $_ := unset $n \"a\" }}{{ $m | toJson }}",
            "{\"b\":{\"c\":2}}",
        ),
        ("{{ $m := dict \"a\" (dict \"b\" 1) }}{{ $c := deepCopy $m }}{{ $_ := set $m.a \"b\" 2 }}{{ $c.a.b }}{{ $m.a.b }}", "12"),
        (
            "{{ mergeOverwrite (dict \"a\" 1 \"b\" (dict \"c\" 1 \"d\" 1)) (dict \"b\" (dict \"c\" 2) \"e\" nil) | toJson }}",
            "{\"a\":1,\"b\":{\"c\":2,\"d\":1},\"e\":null}",
        ),
        ("{{ merge (dict \"a\" 0 \"b\" 1) (dict \"a\" 2 \"b\" 2 \"c\" 3) | toJson }}", "{\"a\":2,\"b\":1,\"c\":3}"),
        (
            "{{ dig \"own\" \"a\" 9 .Values }}{{ dig \"own\" \"x\" 9 .Values }} {{ index .Values \"own\" \"b\" 1 }} {{ has 2.0 .Values.own.b }} {{ hasKey .Values \"own\" }}",
            "19 2 true true",
        ),
        (
            "{{ .Files.Get \"files/f.txt\" | trim }}{{ .Files.Get \"none\" }} {{ tpl \"{{ .Release.Name }}\" . }} {{ regexMatch \"^[0-9]+$\" \"12\" }}",
            "file rel true",
        ),
        (
            "{{ coalesce nil \"\" 0 \"x\" }} {{ ternary 1 2 false }} {{ empty (list) }} {{ len \"abc\" }} {{ repeat 2 \"ab\" }} {{ \"A\" | lower }}",
            "x 2 true 3 abab a",
        ),
        ("{{ \"a: 1\\nb: [x]\" | fromYaml | toJson }} {{ `<&>` | toJson }}", "{\"a\":1,\"b\":[\"x\"]} \"\\u003c\\u0026\\u003e\""),
        ("a\n{{- /* gone */}}\nb\n{{/* gone */ -}}\nc", "a\nb\nc"),
        ("{{ template \"other\" . }}{{ define \"other\" }}[{{ .Release.Name }}]{{ end }}", "[rel]"),
    ] {
        assert_eq!(text(template, json!({ "large": 1_000_000 })).map_err(|error| error.to_string()).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn yaml_is_written_as_go_yaml_writes_it() {
    let value = json!({
        "z": ["a", { "b": 1, "c": [] }, ["d"]], "10": "ten", "9": "nine", "a10": 1.5, "a9": 2, "empty": "", "yes": "yes", "num": "12", "null": null, "colon": "a: b",
        "block": "one\ntwo\n", "strip": "one\n two", "quote": "it's", "dash": "- x", "star": "*", "long": "word ".repeat(20).trim_end(), "tab": "a\tb", "date": "2020-01-01",
    });
    let expected = "\"9\": nine\n\"10\": ten\na9: 2\na10: 1.5\nblock: |\n  one\n  two\ncolon: 'a: b'\ndash: '- x'\ndate: \"2020-01-01\"\nempty: \"\"\nlong: word word word word word word word word word word word word word word word word\n  word word word word\n\"null\": null\nnum: \"12\"\nquote: it's\nstar: '*'\nstrip: |-\n  one\n   two\ntab: \"a\\tb\"\n\"yes\": \"yes\"\nz:\n- a\n- b: 1\n  c: []\n- - d";
    assert_eq!(text("{{ .Values.v | toYaml }}", json!({ "v": value })).unwrap(), expected);
}

#[test]
fn faults_name_chart_file_and_line() {
    let define = "{{ define \"deep\" }}\n{{ .Values.none.deeper }}{{ end }}";
    for (template, expected) in [
        ("a: b\n{{ fail \"not so\" }}", "render chart probe-1.2.3: templates/a.yaml:2: not so"),
        ("{{ required \"give it\" .Values.x }}", "render chart probe-1.2.3: templates/a.yaml:1: give it"),
        ("\n\n{{ if false }}{{ lookup \"v1\" \"a\" \"b\" \"c\" }}{{ end }}", "templates/a.yaml:3: function 'lookup' is not known here"),
        ("\n{{ include \"deep\" . }}", "templates/_h.tpl:2: nothing there to take .deeper of"),
        ("{{ include \"none\" . }}", "templates/a.yaml:1: template \"none\" is not defined"),
        ("{{ .Capabilities.KubeVersion }}", "templates/a.yaml:1: .Capabilities has no KubeVersion here"),
        ("{{ if }}", "templates/a.yaml:1: not a valid template"),
        ("{{ end }}", "templates/a.yaml:1: not a valid template"),
        ("a: b\n{{ if true }}c{{ end }}{{ end }}\nkind: A", "templates/a.yaml:2: not a valid template: there is an {{ end }}"),
        ("{{ if true }}a", "templates/a.yaml:1: not a valid template"),
        ("a\n{{ else }}b", "templates/a.yaml:2: not a valid template"),
        ("{{ define \"x\" }}{{ end }}{{ end }}", "templates/a.yaml:1: not a valid template"),
        ("{{ trunc 1 .Values.own }}", "templates/a.yaml:1: trunc: argument 2 has to be a string"),
        ("{{ eq 1 \"a\" }}", "templates/a.yaml:1: eq: a int and a string can't be compared"),
        ("{{ $ok }}", "undefined variable $ok"),
        ("{{ define \"loop\" }}{{ include \"loop\" . }}{{ end }}{{ include \"loop\" . }}", "more than 60 deep"),
        ("{{ $_ := set .Values \"self\" .Values }}{{ toYaml .Values }}", "contains itself"),
        ("a: [", "templates/a.yaml:1: what it renders to is no valid YAML"),
        ("kind: A\napiVersion: v1\nmetadata: {}", "templates/a.yaml:1: what it renders to is no object"),
        ("kind: A\napiVersion: v1\nmetadata: {name: x, annotations: {helm.sh/hook: pre-install}}", "A x is a hook"),
    ] {
        let files = [("templates/a.yaml", template), ("templates/_h.tpl", define), ("values.yaml", "own: {}\n")];
        let error = rendered(&files, json!({})).expect_err(template);
        assert!(error.contains("chart probe-1.2.3") && error.contains(expected), "{template}\n{error}");
    }
}

#[test]
fn one_template_changes_values_for_the_next() {
    let object = |name: &str| format!("kind: A\napiVersion: v1\nmetadata: {{name: {name}}}\n");
    let files = [
        ("templates/a.yaml", object("{{ .Values.name }}")),
        ("templates/zzz.yaml", "{{ $_ := set . \"Values\" (mergeOverwrite (dict \"name\" \"default\") .Values) }}".to_owned()),
        ("templates/NOTES.txt", "{{ .Values.name }} is not YAML: [".to_owned()),
        ("crds/b.yaml", object("first")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    assert_eq!(rendered(&files, json!({})).unwrap(), ["A first", "A default"]);
    assert_eq!(rendered(&files, json!({ "name": "mine" })).unwrap(), ["A first", "A mine"]);
}

#[test]
fn documents_are_told_apart() {
    let text = "---\n# nothing\n---\nkind: A\napiVersion: v1\nmetadata: {name: a}\ndata:\n  x: |\n    ---\n    y\n--- # b\nkind: A\napiVersion: v1\nmetadata:\n  name: b\n  name: c\n---\n";
    assert_eq!(rendered(&[("templates/a.yaml", text)], json!({})).unwrap(), ["A a", "A c"]);
}

#[test]
fn a_chart_has_to_be_one() {
    let from = |files: &[(&str, &str)]| {
        let files: BTreeMap<String, Vec<u8>> = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
        Chart::from_files(files).map(|chart| chart.full_name()).map_err(|error| error.to_string())
    };
    assert_eq!(from(&[("Chart.yaml", "name: a\nversion: 1")]).unwrap_err(), "Chart.yaml: has no version, or one that is no text");
    assert_eq!(from(&[("Chart.yaml", "name: a\nversion: 1.0.0")]).unwrap(), "a-1.0.0");
    let own = ("Chart.yaml", "name: a\nversion: 1.0.0");
    for (files, words) in [
        (vec![("values.yaml", "")], "this is no chart"),
        (vec![own, ("values.yaml", "a: [")], "values.yaml: is no valid YAML"),
        (vec![own, ("values.yaml", "- a")], "values.yaml: is no map"),
        (vec![own, ("values.schema.json", "{")], "values.schema.json: is no JSON"),
        (vec![own, ("charts/b/Chart.yaml", "name: b")], "depends on other charts"),
    ] {
        let error = from(&files).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn values_are_held_against_the_schema() {
    let schema = r##"{"$ref": "#/$defs/v", "$defs": {"v": {"type": "object", "additionalProperties": false, "required": ["a"], "properties": {
        "a": {"type": ["integer", "null"]}, "b": {"enum": ["x", "y"]}, "c": {"type": "array", "items": {"type": "string"}}, "d": {"anyOf": [{"type": "string"}, {"type": "boolean"}]}}}}}"##;
    let check = |values: Json| rendered(&[("values.schema.json", schema)], values).map(|_| ());
    assert_eq!(check(json!({ "a": 1, "b": "x", "c": ["s"], "d": true })), Ok(()));
    let error = check(json!({ "b": "z", "c": [1], "d": 1, "e": 1 })).unwrap_err();
    let place = "render chart probe-1.2.3: values.schema.json: the values do not fit the chart's schema: ";
    for words in [
        place,
        "needs a",
        "b is \"z\", and has to be one of \"x\", \"y\"",
        "c.0 is a number, and has to be string",
        "d fits none",
        "has a e, which is not known",
    ] {
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn values_are_laid_over_each_other() {
    let mut base = json!({ "a": { "b": 1, "c": [1, 2] }, "d": 1 });
    overlay(&mut base, &json!({ "a": { "c": [3], "e": null }, "d": { "f": 1 } }));
    assert_eq!(base, json!({ "a": { "b": 1, "c": [3], "e": null }, "d": { "f": 1 } }));
    // A null takes the chart's own value out; `own` of the chart is gone, `c` in it too.
    assert_eq!(text("{{ .Values | toJson }}", json!({ "own": null, "new": null })).unwrap(), "{\"new\":null}");
    assert_eq!(text("{{ .Values.own | toJson }}", json!({ "own": { "a": null, "b": [3] } })).unwrap(), "{\"b\":[3],\"c\":null}");
}
