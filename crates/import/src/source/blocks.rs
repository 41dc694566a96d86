//! Ranged reads through a bounded cache of blocks with read-ahead. Several
//! columns stream through it at once, each at its own place in the file.
//! Memory held is the cache's bound plus what the decoder still borrows.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::{Bytes, BytesMut};
use crossbill_store::SourceError;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::RangeRead;

/// Sizes of a cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockOptions {
    /// Bytes of one read.
    pub(crate) block_bytes: u64,
    /// Blocks kept.
    pub(crate) blocks_max: usize,
    /// Blocks read ahead of each place.
    pub(crate) ahead: u64,
}

impl BlockOptions {
    /// Sizes for `streams` columns within `bytes` of memory.
    pub(crate) fn within(bytes: usize, streams: usize) -> Self {
        const BLOCK_BYTES_MIN: u64 = 64 << 10;
        const BLOCK_BYTES_MAX: u64 = 4 << 20;
        let streams = streams.max(1) as u64;
        let block_bytes = (bytes as u64 / (4 * streams)).clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX);
        // Each stream stands in one block and reads one ahead at least.
        let fewest = 2 * streams + 2;
        let blocks_max = (bytes as u64 / block_bytes).clamp(fewest, fewest.max(64)) as usize;
        let ahead = (blocks_max as u64 / (2 * streams)).clamp(1, 4);
        Self { block_bytes, blocks_max, ahead }
    }
}

/// Reads that somebody will want soon.
#[derive(Default)]
pub(crate) struct ReadAhead {
    queue: Mutex<Wishes>,
    more: Condvar,
}

#[derive(Default)]
struct Wishes {
    waiting: VecDeque<(Arc<Blocks>, u64)>,
    closed: bool,
}

impl ReadAhead {
    fn ask(&self, blocks: &Arc<Blocks>, number: u64) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.push_back((Arc::clone(blocks), number));
        drop(queue);
        self.more.notify_one();
    }

    /// Reads what is asked for until [`ReadAhead::close`]; the body of a
    /// read-ahead thread.
    pub(crate) fn serve(&self) {
        loop {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let (blocks, number) = loop {
                if queue.closed {
                    return;
                }
                match queue.waiting.pop_front() {
                    Some(wish) => break wish,
                    None => {
                        queue = self.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
                    }
                }
            };
            drop(queue);
            // A reader that was faster has read the block itself, and may be
            // done with it.
            if blocks.state().asked.contains(&number) {
                // Whoever needs the block in earnest meets the same error.
                let _ = blocks.fetch(number);
            }
        }
    }

    /// Ends the threads; wishes not yet begun are dropped.
    pub(crate) fn close(&self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.closed = true;
        queue.waiting.clear();
        drop(queue);
        self.more.notify_all();
    }
}

/// Ends the reading ahead, however what it is for ends.
pub(crate) struct Closing<'a>(pub(crate) &'a ReadAhead);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

enum Slot {
    /// Somebody reads it.
    Coming,
    /// Here, last used at the given tick.
    Here(Bytes, u64),
}

#[derive(Default)]
struct State {
    slots: HashMap<u64, Slot>,
    /// Asked for, but nobody reads it yet.
    asked: HashSet<u64>,
    here: usize,
    tick: u64,
}

/// One file's cache.
pub(crate) struct Blocks {
    file: Box<dyn RangeRead>,
    options: BlockOptions,
    /// Byte ranges that will be read at all, ascending; read-ahead stays in
    /// them.
    wanted: Vec<Range<u64>>,
    ahead: Arc<ReadAhead>,
    state: Mutex<State>,
    arrived: Condvar,
    failure: OnceLock<SourceError>,
}

impl Blocks {
    /// A cache over `file` that reads ahead within `wanted` by the threads
    /// that serve `ahead`.
    pub(crate) fn new(
        file: Box<dyn RangeRead>,
        options: BlockOptions,
        mut wanted: Vec<Range<u64>>,
        ahead: Arc<ReadAhead>,
    ) -> Arc<Self> {
        wanted.sort_by_key(|range| range.start);
        Arc::new(Self {
            file,
            options,
            wanted,
            ahead,
            state: Mutex::default(),
            arrived: Condvar::new(),
            failure: OnceLock::new(),
        })
    }

    /// The source's error behind a decoder's error, if that was the cause:
    /// the decoder keeps only its text.
    pub(crate) fn failure(&self) -> Option<SourceError> {
        self.failure.get().cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn range(&self, number: u64) -> Range<u64> {
        let start = number * self.options.block_bytes;
        start..(start + self.options.block_bytes).min(self.file.size())
    }

    fn is_wanted(&self, range: &Range<u64>) -> bool {
        let next = self.wanted.partition_point(|wanted| wanted.end <= range.start);
        self.wanted.get(next).is_some_and(|wanted| wanted.start < range.end)
    }

    /// Block `number`, from the cache or the source; asks for those behind it.
    fn block(self: &Arc<Self>, number: u64) -> Result<Bytes, SourceError> {
        let bytes = self.fetch(number).inspect_err(|error| {
            let _ = self.failure.set(error.clone());
        })?;
        for next in number + 1..=number + self.options.ahead {
            let range = self.range(next);
            if range.is_empty() || range.start >= self.file.size() || !self.is_wanted(&range) {
                break;
            }
            let mut state = self.state();
            if !state.slots.contains_key(&next) && state.asked.insert(next) {
                drop(state);
                self.ahead.ask(self, next);
            }
        }
        Ok(bytes)
    }

    fn fetch(&self, number: u64) -> Result<Bytes, SourceError> {
        let mut state = self.state();
        state.asked.remove(&number);
        loop {
            state.tick += 1;
            let tick = state.tick;
            match state.slots.get_mut(&number) {
                Some(Slot::Here(bytes, used)) => {
                    *used = tick;
                    return Ok(bytes.clone());
                }
                Some(Slot::Coming) => {
                    state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                None => break,
            }
        }
        state.slots.insert(number, Slot::Coming);
        drop(state);
        let mut coming = Coming { blocks: self, number, bytes: None };
        let read = self.file.read(self.range(number));
        coming.bytes = read.as_ref().ok().cloned();
        drop(coming);
        read
    }

    fn evict(&self, state: &mut State) {
        while state.here > self.options.blocks_max {
            let oldest = state.slots.iter().filter_map(|(number, slot)| match slot {
                Slot::Here(_, used) => Some((*used, *number)),
                Slot::Coming => None,
            });
            let Some((_, number)) = oldest.min() else { return };
            state.slots.remove(&number);
            state.here -= 1;
        }
    }

    /// The bytes of `start..start + length`; borrowed from one block where
    /// they lie in one.
    pub(crate) fn bytes(self: &Arc<Self>, start: u64, length: usize) -> Result<Bytes, ReadError> {
        let end = start.checked_add(length as u64).filter(|end| *end <= self.file.size());
        let Some(end) = end else { return Err(ReadError::End) };
        let size = self.options.block_bytes;
        let (first, last) = (start / size, end.saturating_sub(1).max(start) / size);
        if length == 0 {
            return Ok(Bytes::new());
        }
        if first == last {
            let from = (start - first * size) as usize;
            return Ok(self.exact(first)?.slice(from..from + length));
        }
        let mut joined = BytesMut::with_capacity(length);
        for number in first..=last {
            let block = self.exact(number)?;
            let base = number * size;
            let from = start.saturating_sub(base) as usize;
            let to = ((end - base) as usize).min(block.len());
            joined.extend_from_slice(&block[from..to]);
        }
        Ok(joined.freeze())
    }

    fn exact(self: &Arc<Self>, number: u64) -> Result<Bytes, ReadError> {
        let block = self.block(number)?;
        let range = self.range(number);
        if block.len() as u64 != range.end - range.start {
            return Err(ReadError::End);
        }
        Ok(block)
    }
}

/// Marks a block as here, or as absent again where the read failed or
/// panicked, and wakes who waits for it.
struct Coming<'a> {
    blocks: &'a Blocks,
    number: u64,
    bytes: Option<Bytes>,
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        let mut state = self.blocks.state();
        state.tick += 1;
        let tick = state.tick;
        match self.bytes.take() {
            Some(bytes) => {
                state.slots.insert(self.number, Slot::Here(bytes, tick));
                state.here += 1;
                self.blocks.evict(&mut state);
            }
            None => drop(state.slots.remove(&self.number)),
        }
        drop(state);
        self.blocks.arrived.notify_all();
    }
}

/// Why a range could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It goes past the file's end.
    #[error("it points past the end of the file")]
    End,
    /// The source failed.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// A file's cache as the decoder wants it.
#[derive(Clone)]
pub(crate) struct BlockReader(pub(crate) Arc<Blocks>);

impl Length for BlockReader {
    fn len(&self) -> u64 {
        self.0.file.size()
    }
}

impl ChunkReader for BlockReader {
    type T = BlockStream;

    fn get_read(&self, start: u64) -> parquet::errors::Result<BlockStream> {
        Ok(BlockStream { blocks: Arc::clone(&self.0), at: start, held: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.0.bytes(start, length).map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// Reads on and on from one place.
pub(crate) struct BlockStream {
    blocks: Arc<Blocks>,
    at: u64,
    /// The rest of the block that `at` stands in.
    held: Bytes,
}

impl Read for BlockStream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.held.is_empty() {
            if self.at >= self.blocks.file.size() {
                return Ok(0);
            }
            let number = self.at / self.blocks.options.block_bytes;
            let block = self.blocks.exact(number).map_err(std::io::Error::other)?;
            let from = self.at - number * self.blocks.options.block_bytes;
            self.held = block.slice(from as usize..);
        }
        let count = buffer.len().min(self.held.len());
        buffer[..count].copy_from_slice(&self.held.split_to(count));
        self.at += count as u64;
        Ok(count)
    }
}
