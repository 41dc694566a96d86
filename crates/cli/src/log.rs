//! The log on stderr: how much is told, and in which form.

use clap::ValueEnum;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{FilterFn, LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::error::{CliError, Result};
use crate::traces::Traces;

/// The form of the log's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line, with the id of the request that it belongs to
    Json,
}

/// Starts it, with so much as `level` says; spans go to `traces`, too.
pub(crate) fn start(level: &str, format: LogFormat, traces: Option<&Traces>) -> Result<()> {
    let targets: Targets = level.parse().map_err(|_| {
        CliError::usage(format!(
            "--log is {level:?}, expected off, error, warn, info, debug, trace or target=level,…"
        ))
    })?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(crate::output::stderr_is_terminal());
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    // Our own spans, not those of the libraries below.
    let of_ours = Targets::new().with_target("crossbill", LevelFilter::DEBUG);
    let traced = traces.map(|traces| {
        let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer());
        // Events are the log's.
        let spans = FilterFn::new(|metadata| metadata.is_span());
        layer.with_location(false).with_threads(false).with_filter(of_ours).with_filter(spans)
    });
    tracing_subscriber::registry()
        .with(traced)
        .with(lines.with_filter(targets))
        .try_init()
        .map_err(|error| CliError::failed(format!("cannot start the log: {error}")))
}
