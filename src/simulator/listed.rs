//! A video, and its entry in a list: its id and URL there, and the poll from which it is listed.
//!
//! Must never decide how the video ends.

use rand::Rng;
use serde::Serialize;
use tokio::time::Instant;

use super::faults::{Dice, Faults};
use super::other_url::{resolved, respelled, unknown};

/// One video of a task.
#[derive(Clone, Debug)]
pub(super) struct Video {
    /// `VI…` or `PI-…`.
    pub(super) id: String,
    /// The submitted URL for which it was found.
    pub(super) url: String,
    /// The duration in seconds.
    pub(super) duration: u32,
    /// The creation time, in milliseconds since the Unix epoch.
    pub(super) create_time: u64,
    /// The time from which it is listed.
    pub(super) downloaded_at: Instant,
    /// The time at which its indexing ends.
    pub(super) ended_at: Instant,
    /// Whether the indexing fails.
    pub(super) fails: bool,
    /// Whether it belongs to another program's task. If so, no callback of this task names it.
    pub(super) is_other: bool,
    /// Its data in lists.
    pub(super) shown: Shown,
}

/// The data of a video in lists.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    has_id: bool,
    url: Option<String>,
    /// The number of polls after its end that still leave it out.
    late_by: u32,
}

impl Shown {
    /// The data without any fault.
    pub(super) fn whole(url: &str) -> Self {
        Self { has_id: true, url: Some(url.to_owned()), late_by: 0 }
    }
}

/// A video in a list, with the fields of the captured answer in their order.
#[derive(Debug, Serialize)]
pub(super) struct ListedVideo {
    /// The id.
    pub(super) video_no: Option<String>,
    video_name: String,
    video_url: Option<String>,
    status: &'static str,
    duration: String,
    create_time: String,
    size: (),
    fps: (),
    width: (),
    height: (),
    resolution_label: (),
}

#[derive(Clone, Copy)]
enum UrlFault {
    Null,
    Resolved,
    Unknown,
    Respelled,
}

impl Video {
    /// Draws the data for lists. `number` is part of the other URLs of the video's post.
    pub(super) fn draw_shown(&mut self, dice: &mut Dice, faults: &Faults, number: u64) {
        let url = &self.url;
        let fault = dice.one_of(
            [
                ("null-url", faults.null_url, UrlFault::Null),
                ("resolved-url", faults.resolved_url, UrlFault::Resolved),
                ("unknown-url", faults.unknown_url, UrlFault::Unknown),
                ("other-spelling", faults.other_spelling, UrlFault::Respelled),
            ],
            &self.id,
        );
        let spelling = dice.rng.random();
        let url = match fault {
            Some(UrlFault::Null) => None,
            Some(UrlFault::Resolved) => Some(resolved(url, number)),
            Some(UrlFault::Unknown) => Some(unknown(url, number)),
            Some(UrlFault::Respelled) => Some(respelled(url, spelling)),
            None => Some(url.clone()),
        };
        let has_id = !dice.fault("no-id", faults.no_id, &self.id);
        let is_late = dice.fault("late-video", faults.late_video, &self.id);
        self.shown = Shown { has_id, url, late_by: if is_late { faults.late_by } else { 0 } };
    }

    /// The entry in the next poll. `None` before its download, and while it is late.
    pub(super) fn polled(&mut self, now: Instant) -> Option<ListedVideo> {
        if self.shown.late_by == 0 {
            return self.listed(now);
        }
        if self.ended_at <= now {
            self.shown.late_by -= 1;
        }
        None
    }

    /// The entry at this time. `None` before its download.
    pub(super) fn listed(&self, now: Instant) -> Option<ListedVideo> {
        let id = self.shown.has_id.then(|| self.id.clone());
        (self.downloaded_at <= now).then(|| ListedVideo {
            video_name: format!("Video {}", id.as_deref().unwrap_or_default()),
            video_no: id,
            video_url: self.shown.url.clone(),
            status: match (self.ended_at <= now, self.fails) {
                (false, _) => "UNPARSE",
                (true, false) => "PARSE",
                (true, true) => "FAIL",
            },
            duration: self.duration.to_string(),
            create_time: self.create_time.to_string(),
            size: (),
            fps: (),
            width: (),
            height: (),
            resolution_label: (),
        })
    }
}
