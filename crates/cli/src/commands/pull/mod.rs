//! `crossbill pull`: reads an index of another server over the public API
//! into an index here. Resumable: whatever ends it, the same command goes on.
//!
//! ```text
//! describe ─ make or check the index ─ read into staged files ─ import them ─ clean up
//! ```

mod batches;
mod caller;
mod checkpoint;
mod pace;
mod report;
mod source;
mod staging;
mod target;
mod walk;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crossbill_core::limits::IMPORT_NAMESPACES_MAX;
use crossbill_core::{Clock, Error, IdSource as _, NamespaceName, RandomIds, Seed, SystemClock};
use crossbill_db::RecordFile;
use crossbill_wire::ImportModel;
use reqwest::Url;

use self::caller::{Caller, Http, KEY_VARIABLES, Stop};
use self::checkpoint::{Checkpoint, Errand, Load, Namespace};
use self::report::Progress;
use self::source::{Described, Source, Stats};
use self::staging::Staging;
use self::target::Target;
use self::walk::Walk;
use crate::args::PullArgs;
use crate::client::{self, Client, Imports, http};
use crate::commands::follow::{self, Followed};
use crate::commands::import;
use crate::error::{CliError, Exit, Result};
use crate::settings::IntegrationTable;
use crate::signals::Interrupt;
use crate::table::printable;
use crate::units::count;
use crate::{output, progress};

/// Pulls as `args` say.
pub(crate) fn run(args: &PullArgs, integrations: &[IntegrationTable]) -> Result<Exit> {
    let asked = asked_url(args)?;
    let key = key()?;
    if key.is_some() && asked.scheme() == "http" && !http::is_loopback(&asked) {
        output::note(&format!("the source's key goes to {asked} unencrypted: expected https"));
    }
    let interrupt = Interrupt::listen()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let manners = &args.manners;
    let version = &manners.api_version;
    let transport = Http::new(&asked, key.as_deref(), version, manners.request_timeout.0)?;
    let is_asked = {
        let interrupt = interrupt.clone();
        Box::new(move || interrupt.is_asked())
    };
    let pace = (manners.rate, manners.retry_budget.0);
    let rng = seed().derive("requests").rng();
    let caller = Caller::new(Box::new(transport), Arc::clone(&clock), rng, pace, is_asked);
    let client = client::connect(&args.connect, integrations, Imports::Run)?;
    let pull =
        Pull { args, caller, client: client.as_ref(), clock: &*clock, interrupt: &interrupt };
    match pull.attempt(&asked) {
        Ok(exit) => Ok(exit),
        Err(Stop::Failed(error) | Stop::TokenRefused(error)) => Err(error),
        Err(Stop::Interrupted) => {
            client.close();
            output::note("stopped; the same command goes on from the last whole file");
            Ok(Exit::Interrupted)
        }
    }
}

/// The address that is asked first: the source's own, or the control plane's.
fn asked_url(args: &PullArgs) -> Result<Url> {
    let (flag, text) = match &args.source.from {
        Some(host) => ("--from", host),
        None => ("--control-plane", &args.control_plane),
    };
    read_url(text).map_err(|error| CliError::usage(format!("{flag} is {text:?}: {error}")))
}

/// An address; one without a scheme is HTTPS, or plain HTTP on this machine.
fn read_url(text: &str) -> std::result::Result<Url, String> {
    let url = http::base_url(text, "https")?;
    if http::is_loopback(&url) { http::base_url(text, "http") } else { Ok(url) }
}

/// The source's key, from the environment only: flags stand in histories and
/// in the list of processes.
fn key() -> Result<Option<String>> {
    for name in KEY_VARIABLES {
        match std::env::var(name) {
            Ok(key) if !key.is_empty() => return Ok(Some(key)),
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(CliError::usage(format!("{name} is not UTF-8, expected a key")));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Chance for the waits between tries.
fn seed() -> Seed {
    Seed(RandomIds.next_id().0 as u64)
}

/// One run of the command.
struct Pull<'a> {
    args: &'a PullArgs,
    caller: Caller,
    client: &'a dyn Client,
    clock: &'a dyn Clock,
    interrupt: &'a Interrupt,
}

impl Pull<'_> {
    fn attempt(&self, asked: &Url) -> std::result::Result<Exit, Stop> {
        let args = self.args;
        let (host, described) = self.host(asked)?;
        let errand = Errand {
            from: host.to_string(),
            into: args.into.clone(),
            namespaces: args.namespaces.clone(),
            load: args.load.into(),
        };
        let usual = || PathBuf::from(format!("crossbill-pull-{}", args.into));
        let directory = args.staging.clone().unwrap_or_else(usual);
        let source = Source { caller: &self.caller, host };
        let stats = source.stats()?;
        let shape = source::shape(described.as_ref(), &stats)?;
        let staging = Staging::open(&directory)?;
        let found = staging.checkpoint(&errand)?;
        if let Some(checkpoint) = found.as_ref().filter(|checkpoint| checkpoint.finished) {
            let again = match args.keep_staging {
                true => format!("remove {} to pull anew", directory.display()),
                false => "give the command again to pull anew".to_owned(),
            };
            output::note(&format!("this pull had finished; {again}"));
            return Ok(self.end(staging, checkpoint, None)?);
        }
        let mut checkpoint = match found {
            Some(checkpoint) => {
                output::note(&format!(
                    "going on with the pull in {}: {} records are read",
                    directory.display(),
                    count(checkpoint.counts().listed)
                ));
                checkpoint
            }
            None => {
                let namespaces = namespaces(&errand, &stats)?;
                Checkpoint::new(RandomIds.next_id().to_string(), errand, namespaces)
            }
        };
        let target = Target::open(self.client, &args.into, &shape)?;
        staging.settle(&mut checkpoint)?;
        if checkpoint.namespaces.iter().any(|namespace| namespace.load == Load::Import) {
            target.check_reads(&staging.scratch(&checkpoint))?;
        }
        self.walk(&source, &target, &staging).run(&mut checkpoint)?;
        self.load(&target, staging, checkpoint)
    }

    fn walk<'a>(
        &'a self,
        source: &'a Source<'a>,
        target: &'a Target<'a>,
        staging: &'a Staging,
    ) -> Walk<'a> {
        let manners = &self.args.manners;
        Walk {
            source,
            target,
            staging,
            clock: self.clock,
            rng: seed().derive("upserts").rng(),
            concurrency: manners.concurrency.into(),
            part_rows: manners.part_rows,
            progress: Progress::new(),
            saved_at: self.clock.monotonic(),
        }
    }

    /// The source's data plane, and what the control plane said of it.
    fn host(&self, asked: &Url) -> std::result::Result<(Url, Option<Described>), Stop> {
        let Some(name) = &self.args.source.from_index else { return Ok((asked.clone(), None)) };
        let described = source::describe(&self.caller, asked, name)?;
        let host = http::base_url(&described.host, asked.scheme()).map_err(|error| {
            CliError::failed(format!(
                "the control plane names the host {:?}: {error}",
                printable(&described.host)
            ))
        })?;
        if asked.scheme() == "https" && host.scheme() != "https" {
            return Err(CliError::failed(format!(
                "the control plane names the host {host}, expected https as its own: the key \
                 would go unencrypted"
            ))
            .into());
        }
        Ok((host, Some(described)))
    }

    /// Imports what is staged, if anything, and ends the pull.
    fn load(
        &self,
        target: &Target<'_>,
        staging: Staging,
        mut checkpoint: Checkpoint,
    ) -> std::result::Result<Exit, Stop> {
        let mut import = None;
        if checkpoint.files().next().is_some() {
            let started = target.import(&staging.records(&checkpoint))?;
            let mut display = progress::display(false);
            let (id, index) = (&started.id, &self.args.into);
            match follow::follow(self.client, index, id, display.as_mut(), self.interrupt)? {
                Followed::Ended(ended) => import = Some(ended),
                Followed::Interrupted(_) => return Ok(import::let_go(self.client, index, id)),
            }
        }
        if import.as_ref().is_none_or(|import| import.status == "Completed") {
            checkpoint.finished = true;
            staging.save(&checkpoint)?;
        }
        Ok(self.end(staging, &checkpoint, import.as_ref())?)
    }

    /// Shows how the pull ended, and cleans up after one that finished.
    fn end(
        &self,
        staging: Staging,
        checkpoint: &Checkpoint,
        import: Option<&ImportModel>,
    ) -> Result<Exit> {
        let json = self.args.connect.json;
        if json {
            output::document(&report::document(checkpoint, import));
        } else {
            output::line(&report::summary(checkpoint));
        }
        let exit = match import {
            Some(import) => follow::finish(self.client, &self.args.into, import, json)?,
            None => Exit::Success,
        };
        if checkpoint.finished && !self.args.keep_staging {
            staging.remove(checkpoint)?;
        }
        let refused = checkpoint.counts().refused > 0;
        Ok(if exit == Exit::Success && refused { Exit::Rejects } else { exit })
    }
}

/// The namespaces to pull, each with the way it is loaded.
fn namespaces(errand: &Errand, stats: &Stats) -> Result<Vec<Namespace>> {
    let checked = |name: &str| -> Result<NamespaceName> {
        NamespaceName::new(name).map_err(|error| {
            CliError::from(Error::from(error))
                .hint("an index here cannot hold it; pull the others, each with --namespace")
        })
    };
    let wanted = errand.namespaces.iter().map(|name| checked(name)).collect::<Result<Vec<_>>>()?;
    let mut found: BTreeMap<NamespaceName, (&String, u64)> = BTreeMap::new();
    for (as_said, summary) in &stats.namespaces {
        let name = match checked(as_said) {
            Ok(name) => name,
            Err(error) if wanted.is_empty() => return Err(error),
            Err(_) => continue,
        };
        if found.insert(name, (as_said, summary.vector_count)).is_some() {
            return Err(CliError::failed("the source names its default namespace twice"));
        }
    }
    if let Some(missing) = wanted.iter().find(|name| !found.contains_key(name)) {
        let some: Vec<String> =
            found.keys().take(10).map(|name| format!("{:?}", name.as_str())).collect();
        let missing = missing.as_str();
        return Err(CliError::failed(format!("the source has no namespace {missing:?}"))
            .hint(format!("it has {} of them: {}", found.len(), some.join(", "))));
    }
    found.retain(|name, _| wanted.is_empty() || wanted.contains(name));
    if found.len() > IMPORT_NAMESPACES_MAX {
        return Err(CliError::failed(format!(
            "the source has {} namespaces, expected at most {IMPORT_NAMESPACES_MAX} at once",
            found.len()
        ))
        .hint("pull them in several runs with --namespace, each with a --staging of its own"));
    }
    let namespace = |(name, (as_said, expected)): (NamespaceName, (&String, u64))| {
        let mut load = errand.load;
        if load == Load::Import && RecordFile::path_of(name.as_str(), 0).is_err() {
            output::note(&format!(
                "namespace {:?} is loaded by upserts: its name cannot be a directory's",
                name.as_str()
            ));
            load = Load::Upsert;
        }
        Namespace::new(as_said.clone(), load, expected)
    };
    Ok(found.into_iter().map(namespace).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(wanted: &[&str], json: &str) -> Result<Vec<(String, Load)>> {
        let errand = Errand {
            from: "http://h/".into(),
            into: "x".into(),
            namespaces: wanted.iter().map(|&name| name.to_owned()).collect(),
            load: Load::Import,
        };
        let stats: Stats = serde_json::from_str(json).unwrap();
        let namespaces = namespaces(&errand, &stats)?;
        Ok(namespaces.into_iter().map(|one| (one.name, one.load)).collect())
    }

    #[test]
    fn each_namespace_has_a_way_in() {
        let json = r#"{"namespaces":{"":{"vectorCount":1},"a/b":{},"_x":{},"en":{},"a b":{}}}"#;
        let all = chosen(&[], json).unwrap();
        let way = |name: &str| all.iter().find(|one| one.0 == name).unwrap().1;
        assert_eq!([way(""), way("en"), way("a b")], [Load::Import; 3]);
        assert_eq!([way("a/b"), way("_x")], [Load::Upsert; 2]);
        let some = chosen(&["__default__", "en"], json).unwrap();
        assert_eq!(some, [(String::new(), Load::Import), ("en".into(), Load::Import)]);
        let error = chosen(&["fr"], json).unwrap_err().to_string();
        assert!(error.contains("\"fr\"") && error.contains("\"en\""), "{error}");
        let json = r#"{"namespaces":{"naïve":{},"en":{}}}"#;
        assert!(chosen(&[], json).unwrap_err().to_string().contains("--namespace"));
        assert_eq!(chosen(&["en"], json).unwrap().len(), 1);
        assert!(chosen(&[], r#"{"namespaces":{"":{},"__default__":{}}}"#).is_err());
        assert_eq!(chosen(&[], "{}").unwrap(), []);
    }

    #[test]
    fn hosts_without_a_scheme_are_https_but_here() {
        for (text, expected) in [
            ("x-1.svc.example.io", "https://x-1.svc.example.io/"),
            ("127.0.0.1:5081", "http://127.0.0.1:5081/"),
            ("localhost:5081", "http://localhost:5081/"),
            ("http://10.0.0.1:1", "http://10.0.0.1:1/"),
        ] {
            assert_eq!(read_url(text).unwrap().as_str(), expected);
        }
        assert!(read_url("ftp://x").is_err());
    }
}
