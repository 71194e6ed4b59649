//! A task's whole fate, drawn at its submit: its id, its videos, its callbacks and when each is due.
//!
//! Must never be changed afterwards: time alone moves a task on, so that a run can be repeated.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use rand::seq::SliceRandom;
use serde::Serialize;
use tokio::time::Instant;
use uuid::Builder;

use crate::upstream::wire::{FAILED, INDEXING_SUCCEEDED, NoticeBody, SUCCEEDED};

use super::faults::Dice;
use super::order::{Order, Place};
use super::settings::Settings;

/// The earliest `create_time`, in milliseconds; drawn times lie within a day after it. It is the year 2100: no video is
/// older than the submit that made it, and the clock is not read here.
const FIRST_CREATE_TIME: u64 = 4_102_444_800_000;
const DAY_IN_MILLIS: u64 = 86_400_000;

/// The ids of videos by place, URL and rank in the post: what is scraped again keeps its id.
pub(super) type KnownIds = BTreeMap<(Place, String, usize), String>;

/// One video of a task.
#[derive(Clone, Debug)]
pub(super) struct Video {
    /// `VI…` or `PI-…`.
    pub(super) id: String,
    url: String,
    duration: u32,
    create_time: u64,
    downloaded_at: Instant,
    ended_at: Instant,
    fails: bool,
}

/// One video as a listing shows it, with the captured answer's fields in their order.
#[derive(Debug, Serialize)]
pub(super) struct ListedVideo {
    /// The id.
    pub(super) video_no: String,
    video_name: String,
    video_url: String,
    status: &'static str,
    duration: String,
    create_time: String,
    size: (),
    fps: (),
    width: (),
    height: (),
    resolution_label: (),
}

impl Video {
    /// How a listing shows the video at a moment; `None` before its download.
    pub(super) fn listed(&self, now: Instant) -> Option<ListedVideo> {
        (self.downloaded_at <= now).then(|| ListedVideo {
            video_no: self.id.clone(),
            video_name: format!("Video {}", self.id),
            video_url: self.url.clone(),
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

/// One callback and when it is due.
#[derive(Clone, Debug)]
pub(super) struct Callback {
    /// When it is sent.
    pub(super) at: Instant,
    /// What it says.
    pub(super) body: NoticeBody,
}

/// A task's fate.
#[derive(Debug)]
pub(super) struct Plan {
    /// The upstream's id of the task.
    pub(super) task_id: String,
    /// What the task will list, each from its download on.
    pub(super) videos: Vec<Video>,
    /// Callbacks that must be answered before the submit is.
    pub(super) early: Vec<Callback>,
    /// The other callbacks, in the order in which they are sent.
    pub(super) later: Vec<Callback>,
}

impl Plan {
    /// Draws the fate of a task that is accepted now.
    pub(super) fn draw(
        dice: &mut Dice,
        order: &Order,
        settings: &Settings,
        known: &mut KnownIds,
        now: Instant,
    ) -> Self {
        let faults = &settings.faults;
        let task_id = draw_task_id(dice);
        let failed = dice.fault("fail-task", faults.fail_task, &task_id);
        let is_early = !failed && dice.fault("early-callback", faults.early_callback, &task_id);
        let downloaded_at = if is_early { now } else { now + settings.download_delay };
        let videos =
            if failed { Vec::new() } else { draw_videos(dice, order, settings, known, downloaded_at) };
        let mut plan = Self { task_id, videos, early: Vec::new(), later: Vec::new() };
        if order.callback_url.is_none() {
            return plan;
        }

        let outcome = if failed {
            plan.callback(downloaded_at, None, "Video download failed", FAILED)
        } else {
            plan.callback(downloaded_at, None, "Video has been downloaded...", SUCCEEDED)
        };
        let first = draw_copies(dice, settings, outcome);
        let mut indexed: Vec<&Video> = plan.videos.iter().filter(|video| !video.fails).collect();
        indexed.sort_by_key(|video| video.ended_at);
        let rest: Vec<Callback> = indexed
            .into_iter()
            .flat_map(|video| {
                let id = Some(video.id.clone());
                let notice = plan.callback(video.ended_at, id, "Video indexing succeed", INDEXING_SUCCEEDED);
                draw_copies(dice, settings, notice)
            })
            .collect();

        if is_early {
            (plan.early, plan.later) = (first, rest);
        } else {
            plan.later = [first, rest].concat();
        }
        if plan.later.len() > 1 && dice.fault("reorder", faults.reorder, &plan.task_id) {
            shuffle(dice, &mut plan.later);
        }
        plan
    }

    fn callback(&self, at: Instant, video_id: Option<String>, message: &str, status: &str) -> Callback {
        let task_id = self.task_id.clone();
        Callback {
            at,
            body: NoticeBody { video_id, message: message.to_owned(), task_id, status: status.to_owned() },
        }
    }
}

/// Mostly a plain UUID, sometimes one with a tail: ids are opaque.
fn draw_task_id(dice: &mut Dice) -> String {
    let uuid = Builder::from_random_bytes(dice.rng.random()).into_uuid();
    let tail: u128 = dice.rng.random();
    if dice.rng.random_ratio(1, 4) { format!("{uuid}_{tail:032x}") } else { uuid.to_string() }
}

fn draw_videos(
    dice: &mut Dice,
    order: &Order,
    settings: &Settings,
    known: &mut KnownIds,
    downloaded_at: Instant,
) -> Vec<Video> {
    let faults = &settings.faults;
    // A URL given twice is paid for twice, but it is one post.
    let urls: BTreeSet<&String> = order.urls.iter().collect();
    let mut videos = Vec::new();
    for url in urls {
        if dice.fault("no-video", faults.no_video, url) {
            continue;
        }
        let count = if dice.fault("second-video", faults.second_video, url) { 2 } else { 1 };
        for rank in 0..count {
            let digits = dice.rng.random_range(10_u64.pow(17)..10_u64.pow(18));
            let id = known
                .entry((order.place.clone(), url.clone(), rank))
                .or_insert_with(|| format!("{}{digits}", order.library.id_prefix()))
                .clone();
            videos.push(Video {
                url: url.clone(),
                duration: dice.rng.random_range(5..1_800),
                create_time: FIRST_CREATE_TIME + dice.rng.random_range(0..DAY_IN_MILLIS),
                downloaded_at,
                ended_at: downloaded_at + settings.index_delay.mul_f64(dice.rng.random()),
                fails: dice.fault("fail-video", faults.fail_video, &id),
                id,
            });
        }
    }
    videos
}

/// The callback as often as it will be sent: not at all, once or twice.
fn draw_copies(dice: &mut Dice, settings: &Settings, callback: Callback) -> Vec<Callback> {
    let faults = &settings.faults;
    let on = callback.body.video_id.as_ref().unwrap_or(&callback.body.task_id).clone();
    if dice.fault("lose", faults.lose, &on) {
        return Vec::new();
    }
    if dice.fault("duplicate", faults.duplicate, &on) {
        vec![callback.clone(), callback]
    } else {
        vec![callback]
    }
}

fn shuffle(dice: &mut Dice, callbacks: &mut [Callback]) {
    let Some(last) = callbacks.iter().map(|callback| callback.at).max() else {
        return;
    };
    let first = callbacks[0].body.status.clone();
    callbacks.shuffle(&mut dice.rng);
    // A shuffle that leaves the task's own callback in front would be no fault at all.
    if let Some(other) = callbacks.iter().position(|callback| callback.body.status != first) {
        callbacks.rotate_left(other);
    }
    for callback in callbacks {
        callback.at = last;
    }
}
