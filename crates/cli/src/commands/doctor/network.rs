//! What the settings say is reached, and where the server is to be reached:
//! certificate, ports, object stores, models. Each look is bounded in time.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crossbill_core::{Clock as _, SystemClock, Timestamp};
use crossbill_db::doctor::{DataPlace, check_integrations, index_ports};
use crossbill_inference::{EmbedTexts, ModelKind, RankDocuments};

use super::certificate::validity;
use super::check::Report;
use crate::args::ServeArgs;
use crate::settings::IntegrationTable;
use crate::units::Span;
use crate::{models, options};

/// How long one connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a model is waited for.
const MODEL: Duration = Duration::from_secs(10);
/// Days before its end that a certificate is spoken of.
const EXPIRY_DAYS: u32 = 30;

/// Until when the certificate is valid. Whether it can be read and fits the
/// key is part of the settings' check.
pub(super) fn tls(args: &ServeArgs, report: &mut Report) {
    let (Some(path), Some(_)) = (&args.tls_cert, &args.tls_key) else { return };
    let Ok(pem) = std::fs::read(path) else { return };
    let (shown, now) = (path.display(), SystemClock::new().now());
    let renew = "renew it and put it in place; a running server reads it again";
    for (number, dates) in validity(&pem).into_iter().enumerate() {
        let which = match number {
            0 => format!("the certificate in {shown}"),
            number => format!("certificate {} in {shown}", number + 1),
        };
        match dates {
            None => report.warning("tls", format!("{which} says no dates that are known"), renew),
            Some((from, _)) if from > now => {
                report.problem("tls", format!("{which} is valid from {from} on"), renew);
            }
            Some((_, until)) if until < now => {
                report.problem("tls", format!("{which} ended at {until}"), renew);
            }
            Some((_, until)) if until < soon(now) => {
                report.warning("tls", format!("{which} ends at {until}"), renew);
            }
            Some((_, until)) => report.ok("tls", format!("{which} is valid until {until}")),
        }
    }
}

fn soon(now: Timestamp) -> Timestamp {
    now.plus_days(EXPIRY_DAYS)
}

/// Whether the ports are free, or the server that owns the data answers.
pub(super) fn ports(args: &ServeArgs, report: &mut Report) {
    let is_live = matches!(DataPlace::look(&args.data),
        Ok(DataPlace::There(facts)) if facts.holder.is_some());
    // Without a catalog that reads there is only the control plane's.
    let indexes = index_ports(&args.data).unwrap_or_default();
    let control = ("the server".to_owned(), args.listen.port());
    let named = indexes.into_iter().map(|(name, port)| (format!("index {name}"), port));
    let all: Vec<(String, u16)> = std::iter::once(control).chain(named).collect();
    if is_live {
        return answers(args.listen, report);
    }
    let mut taken = 0;
    for (what, port) in &all {
        let address = SocketAddr::new(args.listen.ip(), *port);
        if let Err(error) = TcpListener::bind(address) {
            taken += 1;
            report.problem(
                "ports",
                format!("{address} for {what}: {error}"),
                "end what listens there, or choose another with --listen",
            );
        }
    }
    if taken == 0 {
        report.ok("ports", format!("{} free at {}", all.len(), args.listen.ip()));
    }
}

fn answers(address: SocketAddr, report: &mut Report) {
    match TcpStream::connect_timeout(&address, CONNECT) {
        Ok(_) => report.ok("ports", format!("the server accepts connections at {address}")),
        Err(error) => report.warning(
            "ports",
            format!("a server owns the data directory and {address} does not accept: {error}"),
            "give the settings that it was started with, or look at its log",
        ),
    }
}

/// Whether a bucket of each integration can be listed.
pub(super) fn integrations(args: &ServeArgs, tables: &[IntegrationTable], report: &mut Report) {
    let dirs = args.allow_import_dir.clone();
    let options =
        options::database(args.data.clone(), &args.engine, tables, dirs, args.index_port_first);
    // Wrong settings are the settings' own finding.
    let Ok(options) = options else { return };
    let checks = match check_integrations(&args.data, &options.source_policy) {
        Ok(checks) => checks,
        Err(error) => {
            report.problem("integrations", error.message(), "see the scrub's findings");
            return;
        }
    };
    for check in checks {
        let name = match check.id.as_str() {
            "" => format!("{} without integration", check.kind),
            id => format!("{id:?} ({})", check.kind),
        };
        match (check.tried, check.problem) {
            (None, _) => report.ok("integrations", format!("{name} names no bucket to look at")),
            (Some(tried), None) => report.ok("integrations", format!("{name} lists {tried}")),
            (Some(tried), Some(problem)) => report.problem(
                "integrations",
                format!("{name} cannot list {tried}: {problem}"),
                "check endpoint, bucket and credentials (crossbill integrations test)",
            ),
        }
    }
}

/// Whether each model answers one short text.
pub(super) fn models(args: &ServeArgs, report: &mut Report) {
    let mut settings = args.models.clone();
    settings.model_timeout = Span(settings.model_timeout.0.min(MODEL));
    // Wrong settings are the settings' own finding.
    let Ok(Some(inference)) = models::inference(&settings) else { return };
    for model in inference.models() {
        let name = model.name.as_str();
        let answered = match model.kind {
            ModelKind::Embed => {
                let asked = EmbedTexts { model: name, texts: &["crossbill"], dimension: None };
                inference.embed(&asked, &|| false).map(|found| {
                    let dimension = found.vectors.first().map_or(0, Vec::len);
                    format!("{name} embeds into {dimension} components")
                })
            }
            ModelKind::Rerank => {
                let asked = RankDocuments {
                    model: name,
                    query: "crossbill",
                    documents: &["a bird of pine woods"],
                    top_n: 1,
                };
                inference.rerank(&asked, &|| false).map(|_| format!("{name} ranks documents"))
            }
        };
        match answered {
            Ok(found) => report.ok("models", found),
            Err(error) => report.problem(
                "models",
                format!("{name}: {}", error.message()),
                "check the address, the key and the model's name there",
            ),
        }
    }
}
