//! Verification results as JUnit XML, for CI systems.

use std::fmt::Write as _;

use crate::domain::mesh::proof::Check;
use crate::domain::xml::Escape;
use crate::ops::VerifyReport;

/// Writes one test case for each check of each cluster.
pub fn junit(report: &VerifyReport) -> String {
    let checks = &report.verdict.checks;
    let failed = checks.iter().filter(|check| !check.passed()).count();
    let counts = format!(r#"tests="{}" failures="{failed}" errors="0" time="{:.3}""#, checks.len(), report.took.as_secs_f64());
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string cannot fail.
    let _ = writeln!(out, r#"<testsuites name="kindmesh verify" {counts}>"#);
    let _ = writeln!(out, r#"  <testsuite name="{}" {counts} skipped="0">"#, escape(&format!("mesh of fleet {}", report.fleet)));
    for check in checks {
        case(&mut out, check);
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn case(out: &mut String, check: &Check) {
    let place = check.cluster.as_deref().unwrap_or("fleet");
    let head = format!(r#"    <testcase classname="{}" name="{}" time="0""#, escape(place), escape(check.check.title()));
    // A case has one failure at most: the first one names it, all are told in its text.
    let Some(first) = check.failures.iter().min_by_key(|failure| failure.cause) else {
        let _ = writeln!(out, "{head}/>");
        return;
    };
    let lines: Vec<String> =
        check.failures.iter().map(|failure| format!("{}: {}\nnext: {}", failure.cause, failure.message, failure.next)).collect();
    let _ = writeln!(out, "{head}>");
    let _ = writeln!(
        out,
        r#"      <failure type="{}" message="{}">{}</failure>"#,
        first.cause,
        escape(&first.message),
        escape(&lines.join("\n"))
    );
    out.push_str("    </testcase>\n");
}

/// Text as it was, also in attributes.
fn escape(text: &str) -> String {
    Escape::REPORT.apply(text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::mesh::proof::{Cause, CheckKind, Failure, Verdict};

    fn report(fleet: &str, failures: Vec<Failure>) -> VerifyReport {
        let check = |check, cluster: Option<&str>, failures| Check { check, cluster: cluster.map(str::to_owned), failures };
        let checks = vec![check(CheckKind::Fleet, None, Vec::new()), check(CheckKind::Sync, Some("a"), failures)];
        VerifyReport {
            fleet: fleet.into(),
            ok: false,
            clusters: Vec::new(),
            verdict: Verdict { checks, ..Verdict::default() },
            converged_after: None,
            took: Duration::from_millis(1234),
        }
    }

    fn failure(cause: Cause, message: &str) -> Failure {
        Failure { cause, about: None, message: message.into(), next: "try".into() }
    }

    #[test]
    fn failures_are_named_and_counted() {
        let failures = vec![failure(Cause::NotObserved, "late"), failure(Cause::NotSynced, "istiod has not read b: timeout")];
        insta::assert_snapshot!(junit(&report("duo", failures)), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="kindmesh verify" tests="2" failures="1" errors="0" time="1.234">
          <testsuite name="mesh of fleet duo" tests="2" failures="1" errors="0" time="1.234" skipped="0">
            <testcase classname="fleet" name="the fleet has clusters" time="0"/>
            <testcase classname="a" name="istiod has read all clusters" time="0">
              <failure type="notSynced" message="istiod has not read b: timeout">notObserved: late&#10;next: try&#10;notSynced: istiod has not read b: timeout&#10;next: try</failure>
            </testcase>
          </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn foreign_text_stays_text() {
        let text = junit(&report("a\"<b>", vec![failure(Cause::BadAnswer, "<html>&]]>\u{7}\n\u{fffe}")]));
        assert!(text.contains("mesh of fleet a&quot;&lt;b&gt;"), "{text}");
        assert!(text.contains("message=\"&lt;html&gt;&amp;]]&gt;\u{fffd}&#10;\u{fffd}\""), "{text}");
        assert!(!text.contains('\u{7}'));
    }
}
