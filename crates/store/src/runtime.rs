//! The private runtime behind the blocking calls. It is made once, lives as
//! long as the process, and is entered only from threads that may block.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(32)
            .thread_name("store-io")
            .enable_all()
            .build()
            .expect("a runtime of two threads starts unless the machine has no threads left")
    })
}

/// Runs `future` to its end on the calling thread. May be called from any
/// thread that is not itself driving async tasks (a `spawn_blocking` thread of
/// another runtime is fine).
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    runtime().block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works_inside_another_runtimes_blocking_threads() {
        let other = Builder::new_multi_thread().enable_all().build().unwrap();
        let answer = other.block_on(async {
            tokio::task::spawn_blocking(|| {
                block_on(async {
                    tokio::task::yield_now().await;
                    7
                })
            })
            .await
            .unwrap()
        });
        assert_eq!(answer, 7);
    }
}
