//! Reads the namespaces of the source, page by page: one listing, a few
//! fetches under way, records in the order of the listing into files or
//! upserts. A part of it counts once its checkpoint is stored.
//!
//! ```text
//! list ─ page ─ batches ─┬ fetch ┬─ records ─ part ─ file, checkpoint
//!                        └ fetch ┘
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use crossbill_core::limits::{PULL_NOTES_MAX, PULL_PART_BYTES};
use crossbill_core::{Clock, NamespaceName, Record, Rng};
use crossbill_db::RecordFile;
use serde_json::value::RawValue;

use super::caller::Stop;
use super::checkpoint::{Checkpoint, Counts, Load, StagedFile, failed};
use super::report::Progress;
use super::source::Source;
use super::staging::{Staging, measure};
use super::target::Target;
use crate::error::CliError;
use crate::output;

/// Pages without an id, one after the other, before a listing is given up.
const EMPTY_PAGES_MAX: u32 = 1000;
/// Between two checkpoints at the ends of namespaces, at least.
const SAVE_INTERVAL: Duration = Duration::from_secs(2);

/// What reading works with.
pub(super) struct Walk<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) target: &'a Target<'a>,
    pub(super) staging: &'a Staging,
    pub(super) clock: &'a dyn Clock,
    pub(super) rng: Rng,
    pub(super) concurrency: usize,
    pub(super) part_rows: u64,
    pub(super) progress: Progress,
    /// When the checkpoint was stored last.
    pub(super) saved_at: Duration,
}

type Step<T> = Result<T, Stop>;
type Records = BTreeMap<String, Box<RawValue>>;

impl Walk<'_> {
    /// Reads every namespace that is not read yet.
    pub(super) fn run(&mut self, checkpoint: &mut Checkpoint) -> Step<()> {
        let read = (0..checkpoint.namespaces.len()).try_for_each(|number| {
            if checkpoint.namespaces[number].ended {
                return Ok(());
            }
            self.namespace(checkpoint, number)
        });
        self.progress.end();
        // Whatever ended it, what is whole counts.
        let saved = self.save(checkpoint);
        read.and(saved)
    }

    fn save(&mut self, checkpoint: &Checkpoint) -> Step<()> {
        self.saved_at = self.clock.monotonic();
        Ok(self.staging.save(checkpoint)?)
    }

    /// Reads one namespace; from its beginning where the source does not know
    /// the token any more by which its listing would go on.
    fn namespace(&mut self, checkpoint: &mut Checkpoint, number: usize) -> Step<()> {
        match self.read(checkpoint, number) {
            Err(Stop::TokenRefused(error)) => {
                let namespace = &mut checkpoint.namespaces[number];
                output::note(&format!(
                    "{}; reading namespace {:?} from its beginning",
                    error.message(),
                    namespace.name
                ));
                namespace.restart();
                self.staging.save_and_sweep(checkpoint)?;
                // Refused once more, it is no matter of age.
                self.read(checkpoint, number).map_err(|stop| match stop {
                    Stop::TokenRefused(error) => Stop::Failed(error),
                    other => other,
                })
            }
            other => other,
        }
    }

    fn read(&mut self, checkpoint: &mut Checkpoint, number: usize) -> Step<()> {
        let namespace = &checkpoint.namespaces[number];
        let (source, name) = (self.source, namespace.name.clone());
        let pages = Pages {
            source,
            namespace: &name,
            dimension: self.target.shape.dimension,
            token: namespace.token.clone(),
            ended: false,
            waiting: VecDeque::new(),
        };
        thread::scope(|scope| {
            let read = self.drain(scope, pages, checkpoint, number);
            if matches!(read, Err(Stop::Interrupted | Stop::Failed(_))) {
                source.caller.abandon();
            }
            read
        })
    }

    fn drain<'scope, 'env>(
        &mut self,
        scope: &'scope Scope<'scope, 'env>,
        mut pages: Pages<'env>,
        checkpoint: &mut Checkpoint,
        number: usize,
    ) -> Step<()> {
        let mut part = Part::default();
        let mut flights = VecDeque::new();
        loop {
            while flights.len() < self.concurrency
                && let Some(batch) = pages.batch()?
            {
                flights.push_back(Flight::start(scope, &pages, batch)?);
            }
            let Some(flight) = flights.pop_front() else { break };
            let (batch, records) = flight.land()?;
            self.take(checkpoint, number, &mut part, &batch, records)?;
            if batch.ends_page && part.is_full(self.part_rows) {
                self.close(checkpoint, number, mem::take(&mut part), batch.next)?;
                self.save(checkpoint)?;
            }
        }
        self.close(checkpoint, number, part, None)?;
        checkpoint.namespaces[number].ended = true;
        // Thousands of small namespaces need not be stored one by one.
        if self.clock.monotonic().saturating_sub(self.saved_at) >= SAVE_INTERVAL {
            self.save(checkpoint)?;
        }
        Ok(())
    }

    /// Adds what was fetched to the part.
    fn take(
        &mut self,
        checkpoint: &Checkpoint,
        number: usize,
        part: &mut Part,
        batch: &Batch,
        mut fetched: Records,
    ) -> Step<()> {
        let namespace = &checkpoint.namespaces[number];
        let mut records = Vec::with_capacity(batch.ids.len());
        for id in &batch.ids {
            part.counts.listed += 1;
            let Some(json) = fetched.remove(id) else {
                part.counts.vanished += 1;
                part.note(&namespace.name, id, "was listed, and was not there to be fetched");
                continue;
            };
            part.counts.fetched += 1;
            match self.target.record(id, &json) {
                Ok(record) => records.push(record),
                Err(error) => {
                    part.counts.refused += 1;
                    part.note(&namespace.name, id, error.message());
                }
            }
        }
        if !records.is_empty() {
            self.store(checkpoint, namespace.load, &namespace.name, part, &records)?;
        }
        let mut sum = checkpoint.counts();
        sum.add(&part.counts);
        let expected = checkpoint.namespaces.iter().map(|namespace| namespace.expected).sum();
        self.progress.show(&namespace.name, sum.listed, expected, self.clock.monotonic());
        Ok(())
    }

    fn store(
        &mut self,
        checkpoint: &Checkpoint,
        load: Load,
        namespace: &str,
        part: &mut Part,
        records: &[Record],
    ) -> Step<()> {
        if load == Load::Upsert {
            self.target.upsert(namespace, records, self.clock, &mut self.rng)?;
            return Ok(());
        }
        let file = match &mut part.file {
            Some(file) => file,
            None => {
                let scratch = self.staging.scratch(checkpoint);
                part.file.insert(RecordFile::create(&scratch, self.target.shape)?)
            }
        };
        Ok(file.add(records)?)
    }

    /// Makes the part whole, and counts it: the namespace goes on at `token`,
    /// once that is stored.
    fn close(
        &self,
        checkpoint: &mut Checkpoint,
        number: usize,
        part: Part,
        token: Option<String>,
    ) -> Step<()> {
        let records = self.staging.records(checkpoint);
        let namespace = &mut checkpoint.namespaces[number];
        if let Some(file) = part.file {
            let name = NamespaceName::new(&namespace.name).map_err(crossbill_core::Error::from)?;
            let path = RecordFile::path_of(name.as_str(), namespace.files.len())?;
            let whole = records.join(&path);
            let rows = file.rows();
            file.finish(&whole)?;
            let measured = measure(&whole).map_err(|error| failed("reading", &whole, &error))?;
            let (bytes, crc32c) = measured;
            namespace.files.push(StagedFile { path, rows, bytes, crc32c });
        }
        namespace.counts.add(&part.counts);
        namespace.token = token;
        part.notes.into_iter().for_each(|note| checkpoint.note(note));
        Ok(())
    }
}

/// What is read since the last checkpoint.
#[derive(Default)]
struct Part {
    file: Option<RecordFile>,
    counts: Counts,
    notes: Vec<String>,
}

impl Part {
    fn is_full(&self, rows: u64) -> bool {
        let bytes = self.file.as_ref().map_or(0, RecordFile::bytes);
        self.counts.listed >= rows || bytes >= PULL_PART_BYTES
    }

    fn note(&mut self, namespace: &str, id: &str, reason: &str) {
        if self.notes.len() < PULL_NOTES_MAX {
            self.notes.push(format!("namespace {namespace:?}, record {id:?}: {reason}"));
        }
    }
}

/// Ids that one request fetches.
struct Batch {
    ids: Vec<String>,
    /// Whether its page ends with it; only then `next` is where to go on.
    ends_page: bool,
    next: Option<String>,
}

/// The listing of a namespace as batches.
struct Pages<'a> {
    source: &'a Source<'a>,
    namespace: &'a str,
    dimension: u32,
    token: Option<String>,
    ended: bool,
    waiting: VecDeque<Batch>,
}

impl Pages<'_> {
    /// The next batch; none at the end of the listing.
    fn batch(&mut self) -> Step<Option<Batch>> {
        let mut empty_pages = 0;
        while self.waiting.is_empty() && !self.ended {
            let page = self.source.list(self.namespace, self.token.as_deref())?;
            self.ended = page.next.is_none();
            self.token.clone_from(&page.next);
            let batches = self.source.batches(page.ids, self.namespace, self.dimension);
            let of_page = |ids| Batch { ids, ends_page: false, next: None };
            self.waiting.extend(batches.into_iter().map(of_page));
            if let Some(last) = self.waiting.back_mut() {
                (last.ends_page, last.next) = (true, page.next);
            }
            empty_pages += 1;
            if self.waiting.is_empty() && empty_pages >= EMPTY_PAGES_MAX {
                return Err(CliError::failed(format!(
                    "the source gave {EMPTY_PAGES_MAX} pages of namespace {:?} without an id, \
                     expected its end",
                    self.namespace
                ))
                .into());
            }
        }
        Ok(self.waiting.pop_front())
    }
}

/// A fetch under way.
struct Flight<'scope>(ScopedJoinHandle<'scope, (Batch, Step<Records>)>);

impl<'scope> Flight<'scope> {
    fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        pages: &Pages<'env>,
        batch: Batch,
    ) -> Step<Self> {
        let (source, namespace) = (pages.source, pages.namespace);
        let thread = thread::Builder::new().name("pull-fetch".to_owned());
        let started = thread.spawn_scoped(scope, move || {
            let records = source.fetch(namespace, &batch.ids);
            (batch, records)
        });
        let started =
            started.map_err(|error| CliError::failed(format!("cannot start a thread: {error}")))?;
        Ok(Self(started))
    }

    /// Waits for the answer.
    fn land(self) -> Step<(Batch, Records)> {
        let ended = self.0.join();
        let (batch, records) =
            ended.map_err(|_| CliError::failed("a fetch ended unexpectedly, see above"))?;
        Ok((batch, records?))
    }
}
