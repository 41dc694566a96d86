//! Threads that work in the background step back where the processors are
//! needed for answers.

/// How far background threads step back, as the system counts it: beside a
/// thread that answers, one of these gets about a tenth of a processor.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Makes the calling thread, and those that it starts from now on, step back
/// behind the others of this process. Only where the system knows this for
/// single threads.
pub(crate) fn step_back() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpriority_process, setpriority_process};
        let stepped =
            getpriority_process(None).and_then(|own| setpriority_process(None, own + NICE));
        if let Err(error) = stepped {
            tracing::warn!(%error, "background work has the same priority as answers");
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_and_its_children_step_back() {
        let own = || rustix::process::getpriority_process(None).unwrap();
        let before = own();
        // The system knows no more than 19.
        let stepped = (before + NICE).min(19);
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
}
