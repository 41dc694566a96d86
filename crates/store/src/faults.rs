//! Injected faults, decided by a seed, for tests and the simulator: a plan of
//! what may go wrong where, and an object store decorator that follows it.
//! Nothing here runs unless somebody passes a plan.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbill_core::{Rng, Seed};
use futures::stream::{self, BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};
use parking_lot::Mutex;

/// What is being done when a fault may strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultOp {
    /// An object is written.
    Put,
    /// An object is read.
    Get,
    /// Objects are listed.
    List,
    /// An object is deleted.
    Delete,
    /// A scratch file becomes an object.
    Publish,
    /// Bytes are written to a scratch file.
    ScratchWrite,
    /// A batch is written to a log.
    WalWrite,
    /// A log is synced.
    WalSync,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It fails and nothing happened.
    ErrorBefore,
    /// There is no room for it: it fails and nothing happened.
    Full,
    /// It took effect, but the answer is an error.
    ErrorAfter,
    /// It takes this much longer.
    Delay(Duration),
    /// Only the first half of the bytes arrives.
    ShortBody,
    /// One bit of the bytes that were read is wrong.
    FlippedBit,
}

/// Where and how often one fault strikes.
#[derive(Debug, Clone)]
pub struct FaultRule {
    /// The operation.
    pub op: FaultOp,
    /// A part of the key or file name; empty matches all.
    pub key_contains: String,
    /// How many matching operations pass before the rule applies.
    pub skip: u64,
    /// How many times it strikes at most.
    pub times: u64,
    /// Of 1000 operations it applies to, how many it strikes.
    pub per_mille: u32,
    /// What goes wrong.
    pub fault: Fault,
}

impl FaultRule {
    /// A rule for every `op`, that strikes `per_mille` of 1000.
    pub fn new(op: FaultOp, fault: Fault, per_mille: u32) -> Self {
        Self { op, key_contains: String::new(), skip: 0, times: u64::MAX, per_mille, fault }
    }

    /// A rule that strikes once, at the `occurrence`-th (from 1) `op` whose
    /// key contains `key_contains`.
    pub fn once(op: FaultOp, fault: Fault, key_contains: &str, occurrence: u64) -> Self {
        assert!(occurrence > 0, "occurrences count from 1");
        let skip = occurrence - 1;
        Self { key_contains: key_contains.into(), skip, times: 1, ..Self::new(op, fault, 1000) }
    }
}

/// Told of every operation before it is decided, on the thread that does it.
type Watcher = Box<dyn Fn(FaultOp, &str) + Send + Sync>;

/// A plan of faults. The same seed and the same order of operations give the
/// same faults.
pub struct FaultPlan {
    rules: Mutex<(Vec<FaultRule>, Rng)>,
    watcher: Option<Watcher>,
    healed: AtomicBool,
    /// Operations that still come to anything.
    left: AtomicU64,
    struck: AtomicU64,
}

impl fmt::Debug for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultPlan").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl FaultPlan {
    /// A plan of `rules`; the first that applies wins.
    pub fn new(seed: Seed, rules: Vec<FaultRule>) -> Self {
        Self {
            rules: Mutex::new((rules, seed.derive("faults").rng())),
            watcher: None,
            healed: AtomicBool::new(false),
            left: AtomicU64::new(u64::MAX),
            struck: AtomicU64::new(0),
        }
    }

    /// The same plan with somebody who is told of every operation, for tests
    /// that do something in the middle of another thing.
    #[must_use]
    pub fn watched(self, watcher: impl Fn(FaultOp, &str) + Send + Sync + 'static) -> Self {
        Self { watcher: Some(Box::new(watcher)), ..self }
    }

    /// After `operations` more everything fails, as where the process has
    /// ended, until [`FaultPlan::revive`].
    pub fn die_after(&self, operations: u64) {
        self.left.store(operations, Ordering::SeqCst);
    }

    /// Ends what [`FaultPlan::die_after`] began; whether it had come to that.
    pub fn revive(&self) -> bool {
        self.left.swap(u64::MAX, Ordering::SeqCst) == 0
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        self.healed.store(true, Ordering::SeqCst);
    }

    /// How many faults have struck.
    pub fn struck(&self) -> u64 {
        self.struck.load(Ordering::SeqCst)
    }

    /// What goes wrong with this operation, if anything.
    pub fn decide(&self, op: FaultOp, key: &str) -> Option<Fault> {
        if let Some(watcher) = &self.watcher {
            watcher(op, key);
        }
        let one_less = |left: u64| if left == u64::MAX { None } else { left.checked_sub(1) };
        if let Err(0) = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            return Some(Fault::ErrorBefore);
        }
        if self.healed.load(Ordering::SeqCst) {
            return None;
        }
        let (rules, rng) = &mut *self.rules.lock();
        for rule in rules.iter_mut() {
            if rule.op != op || !key.contains(&rule.key_contains) || rule.times == 0 {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if rng.below(1000) < u64::from(rule.per_mille) {
                rule.times -= 1;
                self.struck.fetch_add(1, Ordering::SeqCst);
                return Some(rule.fault);
            }
        }
        None
    }
}

/// The fault that strikes a file operation outside any object store.
pub(crate) fn decide(plan: Option<&Arc<FaultPlan>>, op: FaultOp, key: &str) -> Option<Fault> {
    plan.and_then(|plan| plan.decide(op, key))
}

pub(crate) fn injected_io() -> io::Error {
    io::Error::other("injected fault")
}

/// What a full disk says.
pub(crate) fn full_io() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

fn injected() -> object_store::Error {
    object_store::Error::Generic { store: "fault", source: Box::new(injected_io()) }
}

/// An object store in which a [`FaultPlan`] comes true.
#[derive(Debug)]
pub struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    plan: Arc<FaultPlan>,
}

impl FaultStore {
    /// `inner`, struck by the faults of `plan`.
    pub fn new(inner: Arc<dyn ObjectStore>, plan: Arc<FaultPlan>) -> Self {
        Self { inner, plan }
    }

    /// Decides, waits if told so, and says whether the error comes now.
    async fn before(&self, op: FaultOp, key: &str) -> Result<Option<Fault>> {
        match self.plan.decide(op, key) {
            Some(Fault::ErrorBefore) => Err(injected()),
            Some(Fault::Full) => {
                Err(object_store::Error::Generic { store: "fault", source: Box::new(full_io()) })
            }
            Some(Fault::Delay(duration)) => {
                tokio::time::sleep(duration).await;
                Ok(None)
            }
            other => Ok(other),
        }
    }
}

fn after<T>(fault: Option<Fault>, value: T) -> Result<T> {
    if fault == Some(Fault::ErrorAfter) { Err(injected()) } else { Ok(value) }
}

async fn damage(result: GetResult, fault: Fault) -> Result<GetResult> {
    let (meta, range) = (result.meta.clone(), result.range.clone());
    let (attributes, extensions) = (result.attributes.clone(), result.extensions.clone());
    let mut bytes = result.bytes().await?.to_vec();
    let middle = bytes.len() / 2;
    match fault {
        Fault::ShortBody => bytes.truncate(middle),
        _ => bytes.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 1),
    }
    let payload = GetResultPayload::Stream(stream::iter([Ok(bytes.into())]).boxed());
    Ok(GetResult { payload, meta, range, attributes, extensions })
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultStore({})", self.inner)
    }
}

#[async_trait::async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let fault = self.before(FaultOp::Put, location.as_ref()).await?;
        after(fault, self.inner.put_opts(location, payload, options).await?)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let fault = self.before(FaultOp::Put, location.as_ref()).await?;
        after(fault, self.inner.put_multipart_opts(location, options).await?)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let fault = self.before(FaultOp::Get, location.as_ref()).await?;
        let head = options.head;
        let result = self.inner.get_opts(location, options).await?;
        match fault {
            Some(Fault::ErrorAfter) => Err(injected()),
            Some(fault @ (Fault::ShortBody | Fault::FlippedBit)) if !head => {
                damage(result, fault).await
            }
            _ => Ok(result),
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (inner, plan) = (Arc::clone(&self.inner), Arc::clone(&self.plan));
        locations
            .then(move |location| {
                let store = FaultStore::new(Arc::clone(&inner), Arc::clone(&plan));
                async move {
                    let location = location?;
                    let fault = store.before(FaultOp::Delete, location.as_ref()).await?;
                    store.inner.delete(&location).await?;
                    after(fault, location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let key = prefix.map(|prefix| prefix.to_string()).unwrap_or_default();
        match self.plan.decide(FaultOp::List, &key) {
            None => self.inner.list(prefix),
            Some(Fault::Delay(duration)) => stream::once(tokio::time::sleep(duration))
                .filter_map(|()| std::future::ready(None))
                .chain(self.inner.list(prefix))
                .boxed(),
            Some(Fault::ErrorBefore) => stream::iter([Err(injected())]).boxed(),
            // The second half never comes.
            Some(_) => self.inner.list(prefix).chain(stream::iter([Err(injected())])).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let key = prefix.map(|prefix| prefix.to_string()).unwrap_or_default();
        let fault = self.before(FaultOp::List, &key).await?;
        after(fault, self.inner.list_with_delimiter(prefix).await?)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let fault = self.before(FaultOp::Put, to.as_ref()).await?;
        after(fault, self.inner.copy_opts(from, to, options).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::block_on;
    use object_store::memory::InMemory;

    fn store(rules: Vec<FaultRule>) -> (FaultStore, Arc<InMemory>) {
        let inner = Arc::new(InMemory::new());
        (FaultStore::new(inner.clone(), Arc::new(FaultPlan::new(Seed(1), rules))), inner)
    }

    #[test]
    fn errors_come_before_or_after_the_effect() {
        let (store, inner) = store(vec![
            FaultRule::once(FaultOp::Put, Fault::ErrorBefore, "a", 1),
            FaultRule::once(FaultOp::Put, Fault::ErrorAfter, "b", 2),
        ]);
        block_on(async {
            for (key, fails, stored) in
                [("a", true, false), ("a", false, true), ("b", false, true), ("bb", true, true)]
            {
                let path = Path::from(key);
                assert_eq!(store.put(&path, "x".into()).await.is_err(), fails, "{key}");
                assert_eq!(inner.head(&path).await.is_ok(), stored, "{key}");
            }
        });
        assert_eq!(store.plan.struck(), 2);
    }

    #[test]
    fn bodies_are_cut_or_flipped_and_deletes_and_lists_fail() {
        let (store, _) = store(vec![
            FaultRule::once(FaultOp::Get, Fault::ShortBody, "", 1),
            FaultRule::once(FaultOp::Get, Fault::FlippedBit, "", 1),
            FaultRule::once(FaultOp::Delete, Fault::ErrorAfter, "", 1),
            FaultRule::once(FaultOp::List, Fault::ErrorAfter, "", 1),
            FaultRule::once(FaultOp::List, Fault::Delay(Duration::from_millis(1)), "", 1),
        ]);
        block_on(async {
            let path = Path::from("a");
            store.put(&path, "abcd".into()).await.unwrap();
            assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "ab");
            assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "abbd");
            assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "abcd");
            let listed: Vec<_> = store.list(None).collect().await;
            assert!(listed.len() == 2 && listed[1].is_err());
            assert_eq!(store.list(None).collect::<Vec<_>>().await.len(), 1);
            assert!(store.delete(&path).await.is_err());
            assert!(store.get(&path).await.is_err());
        });
    }

    #[test]
    fn a_seed_gives_its_faults_again_and_a_plan_can_heal() {
        let draw = || {
            let rules = vec![FaultRule::new(FaultOp::Get, Fault::ErrorBefore, 300)];
            let plan = FaultPlan::new(Seed(9), rules);
            let drawn: Vec<_> =
                (0..200).map(|_| plan.decide(FaultOp::Get, "k").is_some()).collect();
            plan.heal();
            assert!((0..99).all(|_| plan.decide(FaultOp::Get, "k").is_none()));
            drawn
        };
        let drawn = draw();
        assert_eq!(drawn, draw());
        let hits = drawn.iter().filter(|hit| **hit).count();
        assert!((30..=90).contains(&hits), "{hits}");
    }
}
