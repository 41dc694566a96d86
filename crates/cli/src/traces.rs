//! OpenTelemetry traces over OTLP/HTTP: spans of the log's own library, sent by
//! a thread of their own. What cannot be sent is dropped; nothing waits for it.

use std::time::Duration;

use crossbill_server::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use reqwest::Url;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::error::{CliError, Result};

/// How long a batch of spans may take to be sent.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the end of the server waits for the last ones.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// What sends traces, for as long as it is held.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends one trace in `one_in` to the collector at `endpoint`.
    pub(crate) fn to(endpoint: &str, one_in: u32) -> Result<Self> {
        let url = Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(mut url) = url else {
            return Err(CliError::usage(format!(
                "--otlp-endpoint is {endpoint:?}, expected an address such as http://127.0.0.1:4318"
            )));
        };
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        url.set_path(&path);
        crate::client::http::install_tls();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(url.as_str())
            .with_timeout(SEND_TIMEOUT)
            .build()
            .map_err(|error| CliError::usage(format!("--otlp-endpoint: {error}")))?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("crossbill");
        }
        let sampler =
            Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(1.0 / f64::from(one_in))));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(resource.build())
            .build();
        Ok(Self(provider))
    }

    pub(crate) fn tracer(&self) -> SdkTracer {
        self.0.tracer("crossbill")
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(END_TIMEOUT) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Makes the span of a request part of the trace that its `traceparent` names.
pub(crate) fn join(span: &tracing::Span, headers: &HeaderMap) {
    if headers.contains_key("traceparent") {
        let context = TraceContextPropagator::new().extract(&Headers(headers));
        // An error where the span is not traced at all.
        let _ = span.set_parent(context);
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}
