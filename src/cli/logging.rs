//! Log records of the library and its dependencies, on standard error.
//!
//! The engine's client logs request bodies at `debug`, registry credentials among them. No number
//! of `-v` raises it that far; only KINDMESH_LOG can, and its description says so.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt as records, registry};

use super::env::{Env, KINDMESH_LOG};
use super::errors::CliError;
use super::exit::Exit;
use super::output::Printer;
use super::recorder::Recorder;
use super::screen::{RecordWriter, Screen};
use super::span_layer::SpanLayer;

/// Filter for each number of `-v`.
///
/// While an API server starts, its client calls every refused connection an error, and watches that break off with it
/// are warnings; what is waited for, and what was seen last, the events tell. Only who asks for more sees them.
const FILTERS: [&str; 3] = [
    "warn,kindmesh=info,bollard=info,kube_client=error,kube_runtime=error,kube_client::client::builder=off",
    "warn,kindmesh=debug,bollard=info,kube=info",
    "info,kindmesh=trace,bollard=info,kube=debug",
];
/// Filter with `-q`.
const QUIET: &str = "error,kube_client::client::builder=off";

/// Writes records where everything else is written.
struct Screens(Arc<Screen>);

/// A record as a JSON object on one line, beside the events.
struct JsonRecords;

#[derive(Default)]
struct Fields(Map<String, Value>);

/// Installs the subscriber for the whole process; with a recorder, it also hears the library's spans.
///
/// # Errors
/// When KINDMESH_LOG is no filter.
pub fn install(printer: &Printer, verbose: u8, env: &Env, recorder: Option<Arc<Recorder>>) -> Result<(), CliError> {
    let filter = filter(printer.is_quiet(), verbose, env)?;
    let records = records::layer::<Registry>().with_writer(Screens(printer.screen()));
    let records = match printer.is_json() {
        true => records.event_format(JsonRecords).boxed(),
        false => records.with_ansi(printer.style().is_coloured()).without_time().boxed(),
    };
    // A second installation in one process (tests) keeps the first.
    let _ = registry().with(records.with_filter(filter)).with(recorder.map(SpanLayer::hearing)).try_init();
    Ok(())
}

fn filter(quiet: bool, verbose: u8, env: &Env) -> Result<EnvFilter, CliError> {
    if let Some(text) = env.text(KINDMESH_LOG) {
        return EnvFilter::try_new(text).map_err(|error| {
            CliError::new(Exit::Usage, format!("{KINDMESH_LOG}='{text}' is no log filter"))
                .because(&error)
                .hint(format!("write it like {KINDMESH_LOG}=kindmesh=debug,kube=info"))
        });
    }
    let text = if quiet { QUIET } else { FILTERS[usize::from(verbose).min(FILTERS.len() - 1)] };
    Ok(EnvFilter::new(text))
}

// === impl Screens ===

impl<'a> MakeWriter<'a> for Screens {
    type Writer = RecordWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        self.0.record()
    }
}

// === impl JsonRecords ===

impl<S, N> FormatEvent<S, N> for JsonRecords
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        fields.0.insert("event".into(), "log".into());
        fields.0.insert("level".into(), event.metadata().level().as_str().to_lowercase().into());
        fields.0.insert("target".into(), event.metadata().target().into());
        event.record(&mut fields);
        writeln!(writer, "{}", Value::Object(fields.0))
    }
}

// === impl Fields ===

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Request bodies hold registry credentials.
    #[test]
    fn no_flag_raises_the_engines_client_to_debug() {
        for text in FILTERS {
            assert!(text.contains("bollard=info"), "{text}");
        }
        for verbose in 0..=u8::MAX {
            filter(false, verbose, &Env::default()).unwrap();
        }
    }

    #[test]
    fn refused_connections_of_a_starting_server_are_no_errors_unless_asked_for() {
        let shown = |quiet, verbose| {
            let screen = Arc::new(Screen::memory());
            let records = records::layer::<Registry>().with_writer(Screens(screen.clone())).event_format(JsonRecords);
            let subscriber = registry().with(records.with_filter(filter(quiet, verbose, &Env::default()).unwrap()));
            tracing::subscriber::with_default(subscriber, || {
                tracing::error!(target: "kube_client::client::builder", "failed");
                tracing::warn!(target: "kube_client::client", "eof in poll");
                tracing::warn!(target: "kube_runtime::watcher", "watch initlist error with 403");
            });
            !screen.text().is_empty()
        };
        assert_eq!([shown(true, 0), shown(false, 0), shown(false, 1)], [false, false, true]);
    }

    #[test]
    fn a_broken_filter_is_a_usage_error() {
        let env = Env::from_pairs([(KINDMESH_LOG, "kindmesh=loud")]);
        let error = filter(false, 0, &env).unwrap_err();
        assert_eq!(error.kind, Exit::Usage);
        assert!(error.message.contains("kindmesh=loud"), "{}", error.message);
    }

    #[test]
    fn records_are_json_objects_when_results_are() {
        let screen = Arc::new(Screen::memory());
        let subscriber = tracing_subscriber::fmt().with_writer(Screens(screen.clone())).event_format(JsonRecords).finish();
        tracing::subscriber::with_default(subscriber, || tracing::info!(target: "kindmesh::ops", nodes = 3, "nodes \"started\""));
        let value: Value = serde_json::from_str(&screen.text()).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"event": "log", "level": "info", "target": "kindmesh::ops", "message": "nodes \"started\"", "nodes": 3})
        );
    }
}
