//! Hears the `tracing` spans of the library and of its Kubernetes client, for a recorder.

use std::fmt;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::recorder::Recorder;
use crate::domain::trace::SpanKind;
use crate::event::{CLUSTER_SPAN, ENGINE_SPAN, STEP_SPAN, WAIT_SPAN};

/// Target and name of the span that the Kubernetes client puts around each request, until the answer's
/// body is read or dropped; its fields are named as OpenTelemetry has them.
const REQUEST_SPAN: &str = "kube_client::client::builder";
const REQUEST_NAME: &str = "HTTP";

/// The layer.
pub struct SpanLayer {
    recorder: Arc<Recorder>,
}

/// What a span is a part of.
#[derive(Debug, Clone, Default)]
struct Place {
    cluster: Option<String>,
    /// The recorded span: its own, or the nearest one above.
    span: Option<usize>,
    /// Whether `span` is its own.
    own: bool,
    /// Verb and object of a call of the engine.
    call: Option<String>,
}

#[derive(Default)]
struct Fields {
    cluster: Option<String>,
    step: Option<String>,
    awaited: Option<String>,
    last: Option<String>,
    verb: String,
    object: String,
    method: String,
    url: String,
    status: Option<u64>,
    error: bool,
}

// === impl SpanLayer ===

impl SpanLayer {
    /// A layer for this recorder, which sees nothing but the spans it knows: others cost nothing more.
    pub fn hearing<S>(recorder: Arc<Recorder>) -> impl Layer<S> + Send + Sync
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let known: FilterFn<fn(&Metadata<'_>) -> bool> = filter_fn(known);
        Self { recorder }.with_filter(known)
    }

    fn place(&self, target: &str, fields: Fields, above: Place) -> Place {
        let cluster = fields.cluster.or(above.cluster);
        let (kind, name) = match target {
            STEP_SPAN => (SpanKind::Step, fields.step.unwrap_or_default()),
            WAIT_SPAN => (SpanKind::Wait, fields.awaited.unwrap_or_default()),
            ENGINE_SPAN => (SpanKind::Engine, format!("{} {}", fields.verb, shortened(&fields.object))),
            REQUEST_SPAN => (SpanKind::ApiServer, request(&fields.method, &fields.url)),
            _ => return Place { cluster, span: above.span, own: false, call: None },
        };
        // A command in a container takes several requests of one name; the whole is enough.
        if kind == SpanKind::Engine && above.call.as_ref() == Some(&name) {
            return Place { cluster, own: false, ..above };
        }
        let span = self.recorder.open(kind, &name, cluster.as_deref(), above.span);
        let call = (kind == SpanKind::Engine).then_some(name);
        Place { cluster, own: span.is_some(), span: span.or(above.span), call }
    }
}

impl<S> Layer<S> for SpanLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let above = span.scope().skip(1).find_map(|above| above.extensions().get::<Place>().cloned());
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let place = self.place(attributes.metadata().target(), fields, above.unwrap_or_default());
        span.extensions_mut().insert(place);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        let own = context.span(id).and_then(|span| span.extensions().get::<Place>().filter(|place| place.own)?.span);
        if let (Some(own), Some(last)) = (own, &fields.last) {
            self.recorder.seen(own, last);
        }
        match (own, fields.status) {
            // A 404 or 409 is an answer like others: something is not there yet, or there already.
            (Some(own), Some(status)) => self.recorder.note(own, status >= 500, &format!("status {status}")),
            (Some(own), None) if fields.error => self.recorder.fail_silent(own, "no answer"),
            _ => {}
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let own = context.span(&id).and_then(|span| span.extensions().get::<Place>().filter(|place| place.own)?.span);
        if let Some(own) = own {
            self.recorder.close(own);
        }
    }
}

fn known(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
        && match metadata.target() {
            CLUSTER_SPAN | STEP_SPAN | WAIT_SPAN | ENGINE_SPAN => true,
            REQUEST_SPAN => metadata.name() == REQUEST_NAME,
            _ => false,
        }
}

/// Verb and path of a request; a watch is a verb of its own, as in Kubernetes.
fn request(method: &str, url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or(rest, |at| &rest[at..]);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let watch = query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1");
    format!("{} {path}", if watch { "WATCH" } else { method })
}

/// IDs as short as people know them.
fn shortened(object: &str) -> String {
    let is_id = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = object.split(' ').map(|word| if is_id(word) { &word[..12] } else { word });
    words.collect::<Vec<_>>().join(" ")
}

// === impl Fields ===

impl Fields {
    fn set(&mut self, name: &str, value: String) {
        match name {
            "cluster" => self.cluster = Some(value),
            "step" => self.step = Some(value),
            "awaited" => self.awaited = Some(value),
            "last" => self.last = Some(value),
            "verb" => self.verb = value,
            "object" => self.object = value,
            "http.method" => self.method = value,
            "http.url" => self.url = value,
            "otel.status_code" => self.error = value == "ERROR",
            _ => {}
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value.to_owned());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "http.status_code" {
            self.status = Some(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing::Instrument as _;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::registry;

    use super::*;
    use crate::domain::trace::Timeline;
    use crate::k8s::ApiServer;

    const NOBODY: &str = "{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a, user: a}}],
        clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}], users: [{name: a, user: {token: t}}]}";

    fn told(timeline: &Timeline) -> Vec<(SpanKind, &str, Option<&str>, Option<usize>)> {
        timeline.spans.iter().map(|span| (span.kind, span.name.as_str(), span.cluster.as_deref(), span.parent)).collect()
    }

    #[test]
    fn spans_nest_and_calls_belong_to_the_cluster_of_their_step() {
        let recorder = Arc::new(Recorder::new("kindmesh up"));
        tracing::subscriber::with_default(registry().with(SpanLayer::hearing(recorder.clone())), || {
            let _cluster = tracing::trace_span!(target: CLUSTER_SPAN, "cluster", cluster = Some("a")).entered();
            {
                let _step = tracing::trace_span!(target: STEP_SPAN, "step", step = "start nodes", cluster = "a").entered();
                let _other = tracing::trace_span!("somebody else's").entered();
                let _call = tracing::trace_span!(target: ENGINE_SPAN, "call", verb = "run", object = "sh in n").entered();
                let _same = tracing::trace_span!(target: ENGINE_SPAN, "call", verb = "run", object = "sh in n").entered();
            }
            let wait = tracing::trace_span!(target: WAIT_SPAN, "wait", awaited = "node n", last = tracing::field::Empty).entered();
            for state in ["unknown", "NotReady"] {
                wait.record("last", state);
            }
        });
        let waits: Vec<_> = recorder.waits().into_iter().map(|wait| (wait.awaited, wait.last, wait.end_ms.is_some())).collect();
        assert_eq!(waits, [("node n".to_owned(), Some("NotReady".to_owned()), true)]);
        let timeline = recorder.timeline(None);
        assert_eq!(
            told(&timeline),
            [
                (SpanKind::Command, "kindmesh up", None, None),
                (SpanKind::Step, "start nodes", Some("a"), None),
                (SpanKind::Engine, "run sh in n", Some("a"), Some(1)),
                (SpanKind::Wait, "node n", Some("a"), None),
            ]
        );
        assert!(timeline.spans.iter().all(|span| span.end.is_some()));
    }

    /// The client's spans are its own: this fails when another version of it names them otherwise.
    #[tokio::test]
    async fn requests_to_api_servers_are_heard_within_their_step() {
        let recorder = Arc::new(Recorder::new("kindmesh up"));
        let _guard = tracing::subscriber::set_default(registry().with(SpanLayer::hearing(recorder.clone())));
        let server = ApiServer::from_kubeconfig(NOBODY).await.unwrap();
        let step = tracing::trace_span!(target: STEP_SPAN, "step", step = "ask", cluster = "a");
        server.server_version().instrument(step).await.unwrap_err();
        let timeline = recorder.timeline(None);
        assert_eq!(told(&timeline)[2], (SpanKind::ApiServer, "GET /version", Some("a"), Some(1)), "{timeline:?}");
        assert!(timeline.spans[2].failed && timeline.spans[2].end.is_some(), "{timeline:?}");
    }

    #[test]
    fn names_are_short() {
        assert_eq!(request("GET", "https://127.0.0.1:6443/api/v1/pods?&watch=true&limit=1"), "WATCH /api/v1/pods");
        assert_eq!(request("PATCH", "/api/v1/nodes/n?force=true"), "PATCH /api/v1/nodes/n");
        assert_eq!(shortened(&format!("{} to n1", "0a".repeat(32))), "0a0a0a0a0a0a to n1");
        assert_eq!(shortened("n1-control-plane"), "n1-control-plane");
    }
}
