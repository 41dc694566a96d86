//! Who looks on while something is built: asked now and then whether it is
//! still wanted, told how much of the work is done. It changes nothing of what
//! is built.

/// The onlooker of one build. A closure is one that is only asked.
pub trait BuildWatch: Sync {
    /// Whether what is built is no longer wanted. It stays so once it is.
    fn is_stopped(&self) -> bool;

    /// `part` more of the build's work is done: estimated, any thread says so,
    /// and all parts together are at most 1.
    fn done(&self, part: f64) {
        let _ = part;
    }
}

impl<F: Fn() -> bool + Sync> BuildWatch for F {
    fn is_stopped(&self) -> bool {
        self()
    }
}

/// A part of a build's work, seen as a whole of its own.
pub(crate) struct Share<'a> {
    whole: &'a dyn BuildWatch,
    part: f64,
}

impl<'a> Share<'a> {
    /// The `part` (0 to 1) of what `whole` looks on.
    pub(crate) fn of(whole: &'a dyn BuildWatch, part: f64) -> Self {
        Self { whole, part }
    }
}

impl BuildWatch for Share<'_> {
    fn is_stopped(&self) -> bool {
        self.whole.is_stopped()
    }

    fn done(&self, part: f64) {
        self.whole.done(part * self.part);
    }
}
