//! `GET /metrics`: what Prometheus scrapes. Requests are counted here, the
//! rest is the database's own; what can be read off the state is read at the
//! scrape. docs/metrics.md lists every name, and a test holds it to that.
//!
//! Labels are routes of the table, names of indexes and fixed words, so that
//! no caller can make the list longer.

use std::fmt::Error;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbill_db::{Database, Gauges};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::call::{Answer, Call, Reply};
use crate::error::ApiError;
use crate::process;

/// The text format that scrapers agree on; in an answer its version stands beside it.
pub(crate) const FORMAT: &str = "application/openmetrics-text";
const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The route of a request that no route takes.
pub(crate) const NO_ROUTE: &str = "none";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Took {
    route: &'static str,
    method: &'static str,
}

type Histograms = Family<Took, Histogram, fn() -> Histogram>;

/// What the server counts, and the list of all that can be scraped.
pub(crate) struct Metrics {
    registry: Registry,
    answered: Family<Answered, Counter>,
    took: Histograms,
    in_flight: Gauge,
}

impl Metrics {
    /// Nothing counted yet.
    pub(crate) fn new(db: &Arc<Database>) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(OfProcess));
        let own = registry.sub_registry_with_prefix("crossbill");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        own.register("build", "The version that runs", version);
        let answered = Family::<Answered, Counter>::default();
        own.register("requests", "Requests by route and HTTP status", answered.clone());
        let took = Histograms::new_with_constructor(of_requests);
        let about = "Time from a request's head to its answer";
        own.register_with_unit("request", about, Unit::Seconds, took.clone());
        let in_flight = Gauge::default();
        own.register(
            "requests_in_flight",
            "Requests that wait for their answer",
            in_flight.clone(),
        );
        db.register_metrics(own);
        own.register_collector(Box::new(OfState(Arc::downgrade(db))));
        Self { registry, answered, took, in_flight }
    }

    /// Counts a request as under way until the guard is dropped.
    pub(crate) fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Counts an answered request.
    pub(crate) fn answered(
        &self,
        (route, method): (&'static str, &'static str),
        status: u16,
        took: Duration,
    ) {
        self.answered.get_or_create(&Answered { route, method, status }).inc();
        self.took.get_or_create(&Took { route, method }).observe(took.as_secs_f64());
    }
}

/// A request under way.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn of_requests() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 20))
}

/// `GET /metrics`.
pub(crate) fn metrics(call: &Call) -> Answer {
    let mut body = String::new();
    text::encode(&mut body, &call.shared.metrics.registry)
        .map_err(|_| ApiError::internal("the metrics cannot be written"))?;
    Ok(Reply::of(200, CONTENT, body.into_bytes()))
}

/// What the system knows of this process; nothing where it does not say.
#[derive(Debug)]
struct OfProcess;

impl Collector for OfProcess {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let Some(seen) = process::look() else { return Ok(()) };
        let cpu = ConstCounter::new(seen.cpu_seconds);
        let unit = Some(&Unit::Seconds);
        let about = "Processor time used";
        cpu.encode(encoder.encode_descriptor("process_cpu", about, unit, cpu.metric_type())?)?;
        let resident = ConstGauge::new(seen.resident_bytes as i64);
        let about = "Memory held, mapped files included";
        let unit = Some(&Unit::Bytes);
        let name = "process_resident_memory";
        resident.encode(encoder.encode_descriptor(name, about, unit, resident.metric_type())?)?;
        let open = ConstGauge::new(seen.open_files as i64);
        let about = "Files and sockets open";
        open.encode(encoder.encode_descriptor(
            "process_open_fds",
            about,
            None,
            open.metric_type(),
        )?)
    }
}

/// What can be read off the database.
#[derive(Debug)]
struct OfState(Weak<Database>);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Metrics")
    }
}

impl Collector for OfState {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let Some(db) = self.0.upgrade() else { return Ok(()) };
        let Gauges { indexes, memtable_bytes, searches, waiting } = db.gauges();
        let mut gauges = |name: &str, about: &str, values: &[(Vec<Label<'_>>, u64)]| {
            family(encoder.encode_descriptor(name, about, None, MetricType::Gauge)?, values)
        };
        let of_indexes = |value: fn(&crossbill_db::IndexGauges) -> u64| -> Vec<_> {
            indexes.iter().map(|one| (vec![("index", one.index.as_str())], value(one))).collect()
        };
        gauges("index_records", "Records", &of_indexes(|one| one.records))?;
        gauges("index_bytes", "Bytes of segments and memtables", &of_indexes(|one| one.bytes))?;
        gauges("index_namespaces", "Namespaces", &of_indexes(|one| one.namespaces))?;
        gauges("index_segments", "Segments", &of_indexes(|one| one.segments))?;
        let imports = indexes.iter().flat_map(|one| {
            let label = ("index", one.index.as_str());
            one.imports
                .iter()
                .map(move |(status, count)| (vec![label, ("status", *status)], *count))
        });
        gauges("imports", "Imports that are known, by status", &imports.collect::<Vec<_>>())?;
        let waiting = waiting.map(|(queue, count)| (vec![("queue", queue)], count));
        gauges("waiting", "Background work that waits for its turn", &waiting)?;
        let mut gauge = |name: &str, about: &str, value: u64| {
            let value = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            value.encode(encoder.encode_descriptor(name, about, None, MetricType::Gauge)?)
        };
        gauge("memtable_bytes", "Bytes of all memtables", memtable_bytes)?;
        gauge("searches", "Searches that run", searches)
    }
}

type Label<'a> = (&'static str, &'a str);

fn family(mut encoder: MetricEncoder<'_>, values: &[(Vec<Label<'_>>, u64)]) -> Result<(), Error> {
    for (labels, value) in values {
        let gauge = ConstGauge::new(i64::try_from(*value).unwrap_or(i64::MAX));
        gauge.encode(encoder.encode_family(&labels.as_slice())?)?;
    }
    Ok(())
}
