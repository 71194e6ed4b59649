//! The work that is due after earlier commits, and the callers that wait for its end. Must never keep a caller
//! waiting for work that does not go on.

use crate::store::ops::due::Front;

/// The work that is due, as far as the writer knows.
#[derive(Debug)]
pub(crate) struct Unfinished<R> {
    is_due: bool,
    /// Whether the file has failed. If so, the work rests until another commit succeeds.
    rests: bool,
    front: Front,
    /// Callers whose decision is on disk but not completely carried out.
    waiting: Vec<R>,
}

impl<R> Default for Unfinished<R> {
    fn default() -> Self {
        Self { is_due: false, rests: false, front: Front::default(), waiting: Vec::new() }
    }
}

impl<R> Unfinished<R> {
    /// The start of the next step. None if there is nothing to do now.
    pub(crate) fn next(&self) -> Option<Front> {
        (self.is_due && !self.rests).then_some(self.front)
    }

    /// Records a commit, which may have left work.
    pub(crate) const fn committed(&mut self, has_due: bool) {
        self.is_due |= has_due;
        self.rests = false;
    }

    /// Keeps the answer to a decision until all of it is done.
    pub(crate) fn hold(&mut self, waiting: R) {
        self.waiting.push(waiting);
    }

    /// Leaves the rest on disk for the next start. Returns the callers whose wait is over.
    pub(crate) fn left(&mut self) -> Vec<R> {
        self.is_due = false;
        std::mem::take(&mut self.waiting)
    }

    /// Records a step. `is_more` says that there may be another. Returns the callers whose wait is over.
    pub(crate) fn stepped(&mut self, is_more: bool) -> Vec<R> {
        self.front.is_single = false;
        self.is_due = is_more;
        if is_more { Vec::new() } else { std::mem::take(&mut self.waiting) }
    }

    /// Records a failed step. The decision stands, and the rest of it stays on disk, so no caller waits for it any
    /// longer.
    ///
    /// An unreadable entry must not hold up others. So each entry is tried alone, and the unreadable one is left for
    /// the next start.
    pub(crate) fn failed(&mut self, is_about_the_file: bool) -> Vec<R> {
        if is_about_the_file {
            self.rests = true;
        } else if self.front.is_single {
            self.front = Front { skip: self.front.skip + 1, is_single: false };
        } else {
            self.front.is_single = true;
            return Vec::new();
        }
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_fails_alone_is_left_out_and_the_others_go_on() {
        let mut unfinished: Unfinished<()> = Unfinished::default();
        assert_eq!(unfinished.next(), None);
        unfinished.committed(true);
        assert_eq!(unfinished.next(), Some(Front::default()));
        unfinished.failed(false);
        assert_eq!(unfinished.next(), Some(Front { skip: 0, is_single: true }));
        unfinished.failed(false);
        assert_eq!(unfinished.next(), Some(Front { skip: 1, is_single: false }));
        unfinished.stepped(false);
        assert_eq!(unfinished.next(), None);
    }

    #[test]
    fn a_failing_file_is_no_busy_loop() {
        let mut unfinished = Unfinished::default();
        unfinished.committed(true);
        unfinished.hold(());
        assert_eq!(unfinished.failed(true).len(), 1, "the decision is on disk");
        assert_eq!(unfinished.next(), None);
        unfinished.committed(false);
        assert_eq!(unfinished.next(), Some(Front::default()));
    }
}
