//! The exporter to a collector. Spans wait in a bounded queue, and a separate thread sends them as OTLP over HTTP.
//! Must never hold up the service.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor};
use reqwest::Url;
use reqwest::blocking::Client;

use super::span::{Span, SpanName, TracesError};
use crate::domain::host::is_loopback;
use crate::domain::id::TaskId;

/// The longest wait for the collector, which also applies to the last spans at the end.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The exporter. Clones share its queue.
#[derive(Clone, Debug)]
pub(super) struct Collector(Arc<BatchSpanProcessor>);

impl Collector {
    pub(super) fn at(endpoint: &str) -> Result<Self, TracesError> {
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let client = client(&url).map_err(TracesError)?;
        let exporter =
            SpanExporter::builder().with_http().with_http_client(client).with_endpoint(url).build();
        let exporter = exporter.map_err(|error| TracesError(error.to_string()))?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        let resource = Resource::builder()
            .with_service_name("scrapehook")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        processor.set_resource(&resource.build());
        Ok(Self(Arc::new(processor)))
    }

    pub(super) fn take(&self, span: Span) {
        let start_time =
            SystemTime::UNIX_EPOCH + Duration::from_millis(span.began.as_millis().unsigned_abs());
        let root = root(span.task);
        let is_root = span.name == SpanName::Made;
        let id = if is_root { root } else { SpanId::from_bytes(rand::random()) };
        let mut attributes = vec![KeyValue::new("scrapehook.task", span.task.to_string())];
        attributes.extend(span.attributes.into_iter().map(|(name, value)| KeyValue::new(name, value)));
        self.0.on_end(SpanData {
            span_context: SpanContext::new(
                TraceId::from_bytes(*span.task.as_bytes()),
                id,
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: if is_root { SpanId::INVALID } else { root },
            parent_span_is_remote: false,
            span_kind: match span.name {
                SpanName::Submit | SpanName::Poll => SpanKind::Client,
                SpanName::Callback => SpanKind::Server,
                SpanName::Made | SpanName::Lifetime => SpanKind::Internal,
            },
            name: span.name.as_str().into(),
            start_time,
            end_time: start_time + span.took,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: if span.has_failed { Status::error("") } else { Status::Unset },
            instrumentation_scope: InstrumentationScope::builder("scrapehook").build(),
        });
    }

    pub(super) fn flush(&self) {
        // The log has the error.
        let _ = self.0.shutdown_with_timeout(TIMEOUT);
    }
}

/// The root of a task's trace, from the random half of the task's id.
fn root(task: TaskId) -> SpanId {
    let [.., a, b, c, d, e, f, g, h] = *task.as_bytes();
    SpanId::from_bytes([a, b, c, d, e, f, g, h])
}

/// Creates the client of the exporter's thread. This must happen outside of the runtime.
fn client(url: &str) -> Result<Client, String> {
    let is_near = Url::parse(url).is_ok_and(|url| url.host_str().is_some_and(is_loopback));
    crate::tls::install();
    let make = move || {
        #[expect(clippy::disallowed_methods, reason = "TLS is set up")]
        let builder = Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
        if is_near { builder.no_proxy() } else { builder }.build()
    };
    let made = std::thread::spawn(make).join().map_err(|_| "the HTTP client cannot be created".to_owned())?;
    made.map_err(|error| error.to_string())
}
