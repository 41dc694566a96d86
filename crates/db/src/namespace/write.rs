//! The write path: checked operations queue up, one writer at a time leads
//! and takes what waits as one log frame (one fsync for all), applies it in
//! the order of the log, and only then answers. A read never sees what is not
//! durable, and log order is apply order because there is one leader.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbill_core::{Error, Filter, Record, Result};
use crossbill_store::Wal;
use parking_lot::{Condvar, Mutex};

use super::Namespace;
use super::commit::Change;
use super::state::{Found, State};
use crate::env::Env;
use crate::metrics::{Failure, timed};
use crate::ops::{self, Op};
use crate::types::{Lsn, Update};

/// Bytes of operations one frame takes, beyond the first. Readers wait while a
/// frame is applied.
const FRAME_BYTES_AIM: usize = 2 << 20;
/// Bytes of log after which a flush is due whatever the memtable holds, so
/// that a log of deletions does not grow for ever.
const LOG_BYTES_MAX: usize = 64 << 20;
/// How long a write waits for room before it is refused.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(30);
/// How often a flush that failed is asked for again meanwhile.
const FLUSH_AGAIN: Duration = Duration::from_secs(1);

/// What a caller wants written; checked.
pub(crate) enum WriteOp {
    /// Needs no look at the present state.
    Blind(Vec<Op>),
    /// Changes these records, whose ids are distinct.
    Update(Vec<Update>),
    /// Changes all that match; the update's id counts nothing.
    UpdateMatching(Filter, Update),
    /// Deletes all that match.
    DeleteMatching(Filter),
    /// Makes the namespace; `Conflict` where it exists.
    Create(Option<Vec<String>>),
    /// Ends the namespace; `NotFound` where it does not exist.
    Drop,
}

/// What a write did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    /// The index's number of it.
    pub(crate) lsn: Lsn,
    /// Records that a filter matched.
    pub(crate) matched: u64,
}

type Outcome = std::result::Result<Written, (crossbill_core::ErrorKind, String)>;

struct Waiting {
    op: WriteOp,
    /// The encoded operations of a blind write.
    body: Vec<u8>,
    ticket: Arc<Mutex<Option<Outcome>>>,
}

struct Queue {
    waiting: VecDeque<Waiting>,
    led: bool,
}

/// Writers of one namespace.
pub(super) struct WriteQueue {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl WriteQueue {
    pub(super) fn new() -> Self {
        let queue = Queue { waiting: VecDeque::new(), led: false };
        Self { queue: Mutex::new(queue), changed: Condvar::new() }
    }

    /// What is to be done next in one go: blind writes up to a frame's size,
    /// or one other.
    fn take_group(&self) -> Vec<Waiting> {
        let mut queue = self.queue.lock();
        let mut group: Vec<Waiting> = Vec::new();
        let mut bytes = 0;
        while let Some(next) = queue.waiting.front() {
            let blind = matches!(next.op, WriteOp::Blind(_));
            if !group.is_empty() && (!blind || bytes + next.body.len() > FRAME_BYTES_AIM) {
                break;
            }
            bytes += next.body.len();
            group.extend(queue.waiting.pop_front());
            if !blind {
                break;
            }
        }
        group
    }
}

impl Namespace {
    /// Checks records and puts them, a bounded number per frame.
    pub(crate) fn upsert(&self, mut records: Vec<Record>) -> Result<Lsn> {
        let metadata_bytes_max = self.context.env.limits.metadata_bytes;
        for record in &mut records {
            self.context.accept(record, metadata_bytes_max)?;
        }
        let mut lsn = Lsn(self.context.lsn.load(Ordering::Acquire));
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let mut bytes = 0;
            let mut chunk = Vec::new();
            while let Some(record) = records.next_if(|_| bytes < FRAME_BYTES_AIM) {
                bytes += super::memtable::record_bytes(&record);
                chunk.push(Op::Put(record));
            }
            lsn = self.write(WriteOp::Blind(chunk))?.lsn;
        }
        Ok(lsn)
    }

    /// Does a checked write; durable and visible when it returns.
    pub(crate) fn write(&self, op: WriteOp) -> Result<Written> {
        let _span = tracing::debug_span!("write", namespace = %self.name).entered();
        let mut body = Vec::new();
        if let WriteOp::Blind(ops) = &op {
            ops.iter().for_each(|op| ops::encode_op(op, &mut body));
        }
        let ticket = Arc::new(Mutex::new(None));
        let mut queue = self.queue.queue.lock();
        queue.waiting.push_back(Waiting { op, body, ticket: Arc::clone(&ticket) });
        loop {
            if let Some(outcome) = ticket.lock().take() {
                return outcome.map_err(|(kind, message)| Error::new(kind, message));
            }
            if queue.led {
                self.queue.changed.wait(&mut queue);
                continue;
            }
            queue.led = true;
            drop(queue);
            let leading = Leading(&self.queue);
            self.lead(self.queue.take_group());
            drop(leading);
            queue = self.queue.queue.lock();
        }
    }

    /// Does one group and answers each of its writers.
    fn lead(&self, mut group: Vec<Waiting>) {
        let tickets: Vec<_> = group.iter().map(|waiting| Arc::clone(&waiting.ticket)).collect();
        let unanswered = Unanswered(tickets);
        let all_blind = group.iter().all(|waiting| matches!(waiting.op, WriteOp::Blind(_)));
        let result = if all_blind {
            self.write_blind(group)
        } else {
            match group.pop() {
                Some(waiting) => self.write_alone(waiting.op),
                None => Ok(Written::default()),
            }
        };
        let outcome = result.map_err(|error| {
            tracing::debug!(namespace = %self.name, %error, "a write was refused");
            (error.kind(), error.message().to_owned())
        });
        for ticket in &unanswered.0 {
            *ticket.lock() = Some(outcome.clone());
        }
    }

    fn write_blind(&self, group: Vec<Waiting>) -> Result<Written> {
        let puts = |waiting: &Waiting| match &waiting.op {
            WriteOp::Blind(ops) => ops.iter().any(|op| matches!(op, Op::Put(_))),
            _ => false,
        };
        if group.iter().any(puts) {
            self.ensure_exists()?;
        } else if !self.exists() {
            return Ok(self.written_nothing());
        }
        self.make_room()?;
        let frame = ops::frame(group.iter().map(|waiting| waiting.body.as_slice()));
        let ops = group.into_iter().flat_map(|waiting| match waiting.op {
            WriteOp::Blind(ops) => ops,
            _ => Vec::new(),
        });
        self.log_and_apply(&frame, ops.collect())
    }

    fn write_alone(&self, op: WriteOp) -> Result<Written> {
        match op {
            WriteOp::Blind(ops) => self.write_ops(ops),
            WriteOp::Update(updates) => self.update_each(&updates),
            WriteOp::UpdateMatching(filter, update) => self.update_matching(&filter, &update),
            WriteOp::DeleteMatching(filter) => self.delete_matching(&filter),
            WriteOp::Create(filterable) => self.create(filterable),
            WriteOp::Drop => self.drop_all(),
        }
    }

    pub(super) fn write_ops(&self, ops: Vec<Op>) -> Result<Written> {
        if ops.is_empty() {
            return Ok(self.written_nothing());
        }
        self.make_room()?;
        let mut body = Vec::new();
        ops.iter().for_each(|op| ops::encode_op(op, &mut body));
        self.log_and_apply(&ops::frame([body.as_slice()]), ops)
    }

    pub(super) fn written_nothing(&self) -> Written {
        Written { lsn: Lsn(self.context.lsn.load(Ordering::Acquire)), matched: 0 }
    }

    fn log_and_apply(&self, frame: &[u8], ops: Vec<Op>) -> Result<Written> {
        let log = self.log()?;
        let Env { metrics, clock, .. } = self.env();
        let lsn = timed(&**clock, &metrics.wal_append, || log.append(frame)).inspect_err(|_| {
            metrics.note_failure(Failure::WalAppend);
            // It takes nothing more; the next write opens it anew.
            *self.wal.lock() = None;
        })?;
        metrics.wal_bytes.inc_by(frame.len() as u64);
        let deletes = ops.iter().any(|op| !matches!(op, Op::Put(_)));
        let lsn = self.apply(lsn, frame.len(), ops);
        if deletes {
            self.merge_if_wasteful();
        }
        Ok(Written { lsn, matched: 0 })
    }

    /// Applies a durable frame; the index's number of it.
    fn apply(&self, lsn: u64, bytes: usize, ops: Vec<Op>) -> Lsn {
        let segments = self.state.read().live.clone();
        let found = Found::look(&segments, &ops);
        let mut state = self.state.write();
        assert!(lsn > state.applied_lsn, "the log gave frame {lsn} after {}", state.applied_lsn);
        let held = state.memory_bytes();
        state.apply(lsn, ops, &found);
        state.note_frame(lsn, bytes);
        self.env().memory_changed(held, state.memory_bytes());
        // Under the state lock, so that a reader that reports this number has
        // seen this write.
        Lsn(self.context.lsn.fetch_add(1, Ordering::AcqRel) + 1)
    }

    /// The log; opened at the first write, and again after it failed. Then it
    /// may hold a frame whose writer was told of the failure. That frame would
    /// come back at the next start, so it counts from now on; and because the
    /// disk's word on it is not to be trusted, all of the memtable is made
    /// durable another way before anything is built upon it.
    fn log(&self) -> Result<Arc<Wal>> {
        if let Some(wal) = &*self.wal.lock() {
            return Ok(Arc::clone(wal));
        }
        let applied = self.state.read().applied_lsn;
        let (opened, frames) = Wal::open(&self.env().root, &self.dir, applied)?;
        let opened = Arc::new(opened);
        for (lsn, payload) in frames {
            let ops = ops::decode(&payload)?;
            self.apply(lsn, payload.len(), ops);
        }
        if applied > 0 || opened.last_lsn() > 0 {
            self.flush()?;
            opened.truncate(self.state.read().applied_lsn)?;
        }
        *self.wal.lock() = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Ends this life of the namespace: all of it is about to be deleted.
    pub(crate) fn end_life(&self) -> Result<()> {
        if self.life().is_none() {
            return Ok(());
        }
        self.commit_header(|header| header.life = None)
    }

    fn ensure_exists(&self) -> Result<()> {
        if self.exists() {
            return Ok(());
        }
        self.commit_header(|header| header.deleted = false)
    }

    fn commit_header(&self, edit: impl FnOnce(&mut crossbill_store::Manifest)) -> Result<()> {
        let mut committer = self.committer();
        self.commit(&mut committer, |state| {
            let mut change = Change::of(state);
            edit(&mut change.header);
            Ok(Some(change))
        })
    }

    /// Waits until the memtable takes more: freezes a full one, and waits
    /// where the one before it is not flushed yet.
    fn make_room(&self) -> Result<()> {
        let clock = &self.env().clock;
        let deadline = clock.monotonic() + ROOM_WAIT_MAX;
        let (last_error, ended) = &self.flush_ended;
        let mut error = last_error.lock();
        loop {
            let frozen_now = {
                let mut state = self.state.write();
                if !self.is_full(&state) {
                    return Ok(());
                }
                let had_frozen = state.frozen.is_some();
                state.freeze();
                !had_frozen
            };
            if frozen_now {
                self.flush_soon();
                return Ok(());
            }
            if ended.wait_for(&mut error, FLUSH_AGAIN).timed_out() {
                self.flush_soon();
            }
            if clock.monotonic() > deadline || self.env().flushes.is_closed() {
                let reason = error.as_deref().unwrap_or("it takes too long");
                return Err(Error::unavailable(format!(
                    "memory for writes is full and cannot be flushed: {reason}"
                )));
            }
        }
    }

    fn is_full(&self, state: &State) -> bool {
        let env = self.env();
        state.memtable.rows().len() as usize >= env.memtable_rows_max
            || state.memtable.bytes() >= env.memtable_bytes_now()
            || state.logged_bytes >= LOG_BYTES_MAX
    }

    /// Asks the background for a flush.
    pub(crate) fn flush_soon(&self) {
        self.env().flushes.push(self.this.clone());
    }

    /// One frame for all, however many match: rows of parts, and ids of what
    /// is in memory.
    fn delete_matching(&self, filter: &Filter) -> Result<Written> {
        self.make_room()?;
        // Opening it may flush, which takes the right to commit.
        self.log()?;
        // From looking to applying no part may give way to another, and the
        // parts must be those of the stored manifest: a replay knows no others.
        let mut committer = self.committer();
        self.settle_with(&mut committer)?;
        let Some((snapshot, ())) = self.snapshot(|_| ()) else {
            return Ok(self.written_nothing());
        };
        let matching = snapshot.matching(filter);
        if matching.count() == 0 {
            return Ok(self.written_nothing());
        }
        let in_memory = snapshot.tables.iter().zip(&matching.tables);
        let ids: Vec<String> = in_memory
            .flat_map(|((rows, _), matching)| matching.iter().map(|row| rows.id(row).to_owned()))
            .collect();
        let mut ops = Vec::new();
        if !ids.is_empty() {
            ops.push(Op::Delete(ids));
        }
        let matched = matching.count();
        for (live, rows) in snapshot.segments.iter().zip(matching.segments) {
            if !rows.is_empty() {
                ops.push(Op::DeleteRows(live.entry.part.clone(), rows));
            }
        }
        let mut body = Vec::new();
        ops.iter().for_each(|op| ops::encode_op(op, &mut body));
        let written = self.log_and_apply(&ops::frame([body.as_slice()]), ops)?;
        Ok(Written { matched, ..written })
    }

    fn create(&self, filterable: Option<Vec<String>>) -> Result<Written> {
        if self.exists() {
            return Err(Error::conflict(format!("namespace {:?} already exists", self.name())));
        }
        self.commit_header(|header| {
            header.deleted = false;
            header.filterable = filterable;
        })?;
        Ok(self.written_nothing())
    }

    fn drop_all(&self) -> Result<Written> {
        // No flush may be under way: it would commit what is dropped here.
        let _no_flush = self.flushing.lock();
        if !self.exists() {
            return Err(Error::not_found(format!("namespace {:?} not found", self.name())));
        }
        let mut committer = self.committer();
        let mut through = 0;
        self.commit(&mut committer, |state| {
            let mut change = Change::of(state);
            through = state.applied_lsn;
            change.removed = state.live.iter().map(|live| live.entry.part.clone()).collect();
            change.flushed_lsn = Some(through);
            change.header.deleted = true;
            change.header.filterable = None;
            change.header.life = None;
            Ok(Some(change))
        })?;
        // Nothing is written meanwhile: this is the queue's leader.
        let mut state = self.state.write();
        let held = state.memory_bytes();
        state.memtable.clear();
        state.logged_bytes = 0;
        self.env().memory_changed(held, state.memory_bytes());
        drop(state);
        drop(committer);
        self.cut_log(through);
        Ok(self.written_nothing())
    }
}

/// Lets the next writer lead, also when this one panicked.
struct Leading<'a>(&'a WriteQueue);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.0.queue.lock().led = false;
        self.0.changed.notify_all();
    }
}

/// Answers that are still owed; a writer whose leader panicked gets an error.
struct Unanswered(Vec<Arc<Mutex<Option<Outcome>>>>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for ticket in &self.0 {
            let message = "the write ended unexpectedly; whether it took effect is unknown";
            let failed = (crossbill_core::ErrorKind::Internal, message.to_owned());
            ticket.lock().get_or_insert(Err(failed));
        }
    }
}
