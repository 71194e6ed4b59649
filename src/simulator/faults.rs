//! Faults, and the dice that decide whether one happens.
//!
//! Must never draw from anything but the seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The faults, most of them as a probability from 0 to 1. By default there are none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// A task is downloaded at once, and its `SUCCEEDED` callback is answered before the submit is.
    pub early_callback: f64,
    /// A callback is sent twice.
    pub duplicate: f64,
    /// A task's callbacks are held back to the last one and sent in shuffled order.
    pub reorder: f64,
    /// A callback is never sent.
    pub lose: f64,
    /// A task downloads nothing, and a `FAILED` callback is sent.
    pub fail_task: f64,
    /// A video ends as `FAIL` in the list, without a callback.
    pub fail_video: f64,
    /// A URL never gets a video.
    pub no_video: f64,
    /// A URL yields two videos.
    pub second_video: f64,
    /// A URL yields three to five videos.
    pub several_videos: f64,
    /// A video gets into the list `late_by` polls after its end.
    pub late_video: f64,
    /// A video is listed with null as its URL.
    pub null_url: f64,
    /// A video is listed under another URL of its post, in a shape of the platform. It is always the same URL.
    pub resolved_url: f64,
    /// A video is listed under another URL of its post, in a shape that no platform has.
    pub unknown_url: f64,
    /// A video's URL is listed with another scheme, without `www.` or without its last slash.
    pub other_spelling: f64,
    /// A video is listed with null as its id.
    pub no_id: f64,
    /// A poll is answered with null, or with nothing, in place of the list.
    pub null_list: f64,
    /// A task's list holds a video of another program's task as well. No callback of the task names it.
    pub other_video: f64,
    /// A submit becomes two tasks, which list the same videos and both call back. It is charged once.
    pub second_task: f64,
    /// With a submit, another program gets a task for another post. Nothing is charged for it.
    pub other_task: f64,
    /// With a submit, another program gets a task that lists the same videos. Nothing is charged for it.
    pub other_task_same_urls: f64,
    /// A request is answered with 0429.
    pub rate_limited: f64,
    /// A submit is answered with 0402.
    pub no_credits: f64,
    /// A submit is refused with 0001, and nothing is charged.
    pub refused: f64,
    /// A submit is accepted and charged and its callbacks arrive, but the answer is a refusal with 0001.
    pub refused_but_charged: f64,
    /// A request is answered by the infrastructure, with HTTP 503.
    pub unavailable: f64,
    /// A submit is accepted and charged, then its connection is closed without an answer.
    pub cut: f64,
    /// An answer is late, by `slow_by`.
    pub slow: f64,
    /// A connection is closed before its request is read. Nothing is done or charged.
    pub cut_unread: f64,
    /// A request is carried out and never answered.
    pub hang: f64,
    /// A request is carried out, and its answer arrives at one byte a second.
    pub drip: f64,
    /// A request is carried out and answered with a page of HTML, on HTTP 200.
    pub html: f64,
    /// A request is carried out, and its answer is padded to 10 MiB.
    pub huge: f64,
    /// A request is carried out, and its answer has fields of the wrong types.
    pub wrong_types: f64,
    /// A request is carried out and answered with HTTP 307 to its own route, so a client that follows asks twice.
    pub redirect: f64,
    /// The delay of a slow answer.
    pub slow_by: Duration,
    /// The number of polls after its end that leave out a late video.
    pub late_by: u32,
    /// The time after the simulator's start in which every submit is refused with 0001. Nothing is charged.
    pub refused_for: Duration,
    /// Texts that no URL of a submit may contain. Otherwise the whole submit is refused with 0003, and nothing is
    /// charged.
    pub bad_urls: Vec<String>,
    /// The same, but refused with 0001, which can also mean a transient failure.
    pub unclear_urls: Vec<String>,
    /// Folders, by name or number, for which each submit is refused with 0003. Nothing is charged.
    pub bad_folders: Vec<String>,
    /// Whether each host is a separate platform, so two hosts of one platform can't be in one submit.
    pub hosts_are_platforms: bool,
    /// The number of polls of a task, counted from its first, that are refused with 0001.
    pub refused_polls: u32,
    /// The number of polls of a task, counted from the first that is not refused, that list nothing.
    pub empty_polls: u32,
    /// Whether polls are answered in the older shape, which doesn't name the videos' URLs.
    pub poll_without_urls: bool,
    /// Whether codes are integers, without their leading zeros.
    pub integer_codes: bool,
}

impl Faults {
    /// Returns the faults with a probability or a number above 0, by name. Times are in seconds, and lists are
    /// counted.
    pub fn active(&self) -> Vec<(&'static str, f64)> {
        let mut active = vec![
            ("early-callback", self.early_callback),
            ("duplicate", self.duplicate),
            ("reorder", self.reorder),
            ("lose", self.lose),
            ("fail-task", self.fail_task),
            ("fail-video", self.fail_video),
            ("no-video", self.no_video),
            ("second-video", self.second_video),
            ("several-videos", self.several_videos),
            ("late-video", self.late_video),
            ("null-url", self.null_url),
            ("resolved-url", self.resolved_url),
            ("unknown-url", self.unknown_url),
            ("other-spelling", self.other_spelling),
            ("no-id", self.no_id),
            ("null-list", self.null_list),
            ("other-video", self.other_video),
            ("second-task", self.second_task),
            ("other-task", self.other_task),
            ("other-task-same-urls", self.other_task_same_urls),
            ("rate-limited", self.rate_limited),
            ("no-credits", self.no_credits),
            ("refused", self.refused),
            ("refused-but-charged", self.refused_but_charged),
            ("unavailable", self.unavailable),
            ("cut", self.cut),
            ("slow", self.slow),
            ("cut-unread", self.cut_unread),
            ("hang", self.hang),
            ("drip", self.drip),
            ("html", self.html),
            ("huge", self.huge),
            ("wrong-types", self.wrong_types),
            ("redirect", self.redirect),
            ("refused-for", self.refused_for.as_secs_f64()),
            ("bad-url", count(&self.bad_urls)),
            ("unclear-url", count(&self.unclear_urls)),
            ("bad-folder", count(&self.bad_folders)),
            ("hosts-are-platforms", f64::from(self.hosts_are_platforms)),
            ("refused-polls", f64::from(self.refused_polls)),
            ("empty-polls", f64::from(self.empty_polls)),
            ("poll-without-urls", f64::from(self.poll_without_urls)),
            ("integer-codes", f64::from(self.integer_codes)),
        ];
        active.retain(|(_, probability)| *probability > 0.0);
        active
    }
}

fn count(texts: &[String]) -> f64 {
    u32::try_from(texts.len()).map_or(f64::INFINITY, f64::from)
}

/// The randomness of one request, and the faults that it caused.
#[derive(Debug)]
pub(super) struct Dice {
    /// Draws everything that is random but not a fault.
    pub(super) rng: StdRng,
    /// The faults that happened, each with its subject.
    pub(super) applied: Vec<(&'static str, String)>,
}

impl Dice {
    /// Forks the dice of one request, so that its draws can't change the results of the next one.
    pub(super) fn fork(rng: &mut StdRng) -> Self {
        Self { rng: StdRng::from_rng(rng), applied: Vec::new() }
    }

    /// Whether a fault happens.
    ///
    /// Draws even if the answer is certain. Otherwise, turning one fault on would change all others.
    pub(super) fn fault(&mut self, name: &'static str, probability: f64, on: &str) -> bool {
        let happens = self.rng.random::<f64>() < probability;
        if happens {
            self.applied.push((name, on.to_owned()));
        }
        happens
    }

    /// Draws which of these faults happens. If several do, it is the first one.
    ///
    /// Draws for each, for the same reason.
    pub(super) fn one_of<T>(
        &mut self,
        faults: impl IntoIterator<Item = (&'static str, f64, T)>,
        on: &str,
    ) -> Option<T> {
        let mut first = None;
        for (name, probability, fault) in faults {
            let happens = self.rng.random::<f64>() < probability;
            if happens && first.is_none() {
                self.applied.push((name, on.to_owned()));
                first = Some(fault);
            }
        }
        first
    }
}
