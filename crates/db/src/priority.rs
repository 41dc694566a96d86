//! Threads that work in the background step back where the processors are
//! needed for answers: they have a lower priority, and can be kept off some of
//! the processors. Only where the system knows both for single threads.

#[cfg(target_os = "linux")]
pub(crate) use linux::{Background, step_back};
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{Background, step_back};

#[cfg(target_os = "linux")]
mod linux {
    use std::io;

    use rustix::process::{Pid, getpriority_process, setpriority_process};
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    /// How far background threads step back, as the system counts it: beside a
    /// thread that answers, one of these gets about a tenth of a processor.
    const NICE: i32 = 10;
    /// The lowest priority there is.
    const NICE_MAX: i32 = 19;
    /// One processor in this many can be kept free, and at least one.
    const FREE_SHARE: usize = 4;

    /// Makes the calling thread, and those that it starts from now on, step
    /// back behind the others of this process.
    pub(crate) fn step_back() {
        let stepped =
            getpriority_process(None).and_then(|own| setpriority_process(None, own + NICE));
        if let Err(error) = stepped {
            tracing::warn!(%error, "background work has the same priority as answers");
        }
    }

    /// The threads of this process that stepped back, and the processors.
    pub(crate) struct Background {
        /// The priority that they have.
        nice: i32,
        all: CpuSet,
        /// All but those that are kept free; the same where there is only one.
        some: CpuSet,
    }

    impl Background {
        /// Threads that step back from the calling one. `None` where they
        /// cannot be told from others, or there is only one processor.
        pub(crate) fn new() -> Option<Self> {
            let own = getpriority_process(None).ok()?;
            let nice = (own + NICE).min(NICE_MAX);
            let all = sched_getaffinity(None).ok()?;
            let mut free = (all.count() as usize / FREE_SHARE).max(1);
            if nice == own || all.count() < 2 {
                return None;
            }
            let mut some = all;
            for processor in (0..CpuSet::MAX_CPU).rev() {
                if free > 0 && some.is_set(processor) {
                    some.unset(processor);
                    free -= 1;
                }
            }
            Some(Self { nice, all, some })
        }

        /// Moves the threads there are off the processors that are kept free;
        /// those that they start later stay off too.
        pub(crate) fn leave_processors_free(&self) {
            self.move_to(&self.some);
        }

        /// Lets them run everywhere.
        pub(crate) fn use_all_processors(&self) {
            self.move_to(&self.all);
        }

        fn move_to(&self, processors: &CpuSet) {
            match self.threads() {
                // A thread that ended meanwhile needs no place.
                Ok(threads) => threads.into_iter().for_each(|thread| {
                    let _ = sched_setaffinity(Some(thread), processors);
                }),
                Err(error) => tracing::warn!(%error, "background work cannot be moved"),
            }
        }

        /// The threads that stepped back.
        pub(super) fn threads(&self) -> io::Result<Vec<Pid>> {
            let mut threads = Vec::new();
            for entry in std::fs::read_dir("/proc/self/task")? {
                let name = entry?.file_name();
                let number = name.to_str().and_then(|name| name.parse().ok());
                let thread = number.and_then(Pid::from_raw);
                let is_background = |&thread: &Pid| {
                    getpriority_process(Some(thread)).is_ok_and(|nice| nice == self.nice)
                };
                threads.extend(thread.filter(is_background));
            }
            Ok(threads)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    /// Nothing: the system has no priority for single threads.
    pub(crate) fn step_back() {}

    /// There are none that can be told apart.
    pub(crate) enum Background {}

    impl Background {
        pub(crate) fn new() -> Option<Self> {
            None
        }

        pub(crate) fn leave_processors_free(&self) {}

        pub(crate) fn use_all_processors(&self) {}
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::mpsc::channel;

    use rustix::process::getpriority_process;
    use rustix::thread::{gettid, sched_getaffinity};

    use super::*;

    #[test]
    fn only_the_thread_and_its_children_step_back() {
        let own = || getpriority_process(None).unwrap();
        let before = own();
        // The system knows no more than 19.
        let stepped = (before + 10).min(19);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                step_back();
                assert_eq!(own(), stepped);
                std::thread::scope(|inner| {
                    inner.spawn(|| assert_eq!(own(), stepped));
                });
            });
        });
        assert_eq!(own(), before);
    }

    #[test]
    fn background_threads_leave_processors_free_and_come_back() {
        let Some(background) = Background::new() else { return };
        let all = sched_getaffinity(None).unwrap();
        let (said, heard) = channel();
        let (end, ended) = channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                step_back();
                said.send(gettid()).unwrap();
                let _ = ended.recv();
            });
            let thread = heard.recv().unwrap();
            assert!(background.threads().unwrap().contains(&thread));
            assert!(!background.threads().unwrap().contains(&gettid()));

            background.leave_processors_free();
            let some = sched_getaffinity(Some(thread)).unwrap();
            assert!((1..all.count()).contains(&some.count()));
            assert_eq!(sched_getaffinity(None).unwrap(), all, "others stay where they are");

            background.use_all_processors();
            assert_eq!(sched_getaffinity(Some(thread)).unwrap(), all);
            drop(end);
        });
    }
}
