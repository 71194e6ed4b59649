//! A task's whole future, drawn at its submit: its id, its videos, its callbacks and their times.
//!
//! Must never be changed afterwards. Only time and polls move a task on, so that a run can be repeated.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tokio::time::Instant;
use uuid::Builder;

use crate::upstream::wire::{FAILED, INDEXING_SUCCEEDED, NoticeBody, SUCCEEDED};

use super::faults::Dice;
use super::listed::{Shown, Video};
use super::order::{Order, Place};
use super::other_url::post;
use super::settings::Settings;

/// The earliest `create_time` in milliseconds, which is in the year 2100. Drawn times are within a day after it. So
/// no video is older than the submit that made it, without reading the clock.
const FIRST_CREATE_TIME: u64 = 4_102_444_800_000;
const DAY_IN_MILLIS: u64 = 86_400_000;

/// The values that stay the same whenever a URL is scraped.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The ids of videos by place, URL and position in the post.
    ids: BTreeMap<(Place, String, usize), String>,
    /// The number in other URLs of a post, by its URL.
    numbers: BTreeMap<String, u64>,
}

impl Known {
    /// Returns the number of this URL. Draws even if it is known, so that other draws don't change.
    fn number(&mut self, url: &str, rng: &mut StdRng) -> u64 {
        let drawn = rng.random_range(10_u64.pow(18)..10_u64.pow(19));
        *self.numbers.entry(url.to_owned()).or_insert(drawn)
    }
}

/// A callback and its time.
#[derive(Clone, Debug)]
pub(super) struct Callback {
    /// The time at which it is sent.
    pub(super) at: Instant,
    /// Its content.
    pub(super) body: NoticeBody,
}

/// The future of a task.
#[derive(Debug)]
pub(super) struct Plan {
    /// Upstream's id of the task.
    pub(super) task_id: String,
    /// The videos that the task will list, each from its download on.
    pub(super) videos: Vec<Video>,
    /// Callbacks that must be answered before the submit is.
    pub(super) early: Vec<Callback>,
    /// The other callbacks, in the order of their delivery.
    pub(super) later: Vec<Callback>,
    download: Download,
}

#[derive(Clone, Copy, Debug)]
struct Download {
    at: Instant,
    is_early: bool,
    failed: bool,
}

impl Plan {
    fn callback(&self, at: Instant, video_id: Option<String>, message: &str, status: &str) -> Callback {
        let task_id = self.task_id.clone();
        Callback {
            at,
            body: NoticeBody { video_id, message: message.to_owned(), task_id, status: status.to_owned() },
        }
    }

    /// Adds the callbacks of another task, with those that are due first in front.
    pub(super) fn call_back_for(&mut self, other: &mut Self) {
        self.early.append(&mut other.early);
        self.later.append(&mut other.later);
        self.later.sort_by_key(|callback| callback.at);
    }
}

/// The input of draws.
#[derive(Debug)]
pub(super) struct Draw<'a> {
    /// The dice for the task of the submit.
    pub(super) dice: &'a mut Dice,
    /// The dice for the data in lists, and for further tasks.
    pub(super) list_dice: &'a mut Dice,
    /// The behaviour of the simulator.
    pub(super) settings: &'a Settings,
    /// The values of earlier scrapes.
    pub(super) known: &'a mut Known,
    /// The time of the submit.
    pub(super) now: Instant,
}

impl Draw<'_> {
    /// Draws the future of a task that is accepted now.
    pub(super) fn plan(&mut self, order: &Order) -> Plan {
        let faults = &self.settings.faults;
        let task_id = draw_task_id(self.dice);
        let failed = self.dice.fault("fail-task", faults.fail_task, &task_id);
        let is_early = !failed && self.dice.fault("early-callback", faults.early_callback, &task_id);
        let at = if is_early { self.now } else { self.now + self.settings.download_delay };
        let videos = if failed { Vec::new() } else { self.videos(order, at) };
        let download = Download { at, is_early, failed };
        let mut plan = Plan { task_id, videos, early: Vec::new(), later: Vec::new(), download };
        if order.callback_url.is_some() {
            draw_callbacks(self.dice, self.settings, &mut plan);
        }
        plan
    }

    /// Makes another task with the videos of this one, in the same states.
    pub(super) fn plan_again(&mut self, plan: &Plan, calls_back: bool) -> Plan {
        self.aside(|draw| {
            let mut again = Plan {
                task_id: draw_task_id(draw.dice),
                videos: plan.videos.clone(),
                early: Vec::new(),
                later: Vec::new(),
                download: plan.download,
            };
            if calls_back {
                draw_callbacks(draw.dice, draw.settings, &mut again);
            }
            again
        })
    }

    /// Makes the task of another program.
    pub(super) fn plan_other(&mut self, order: &Order) -> Plan {
        self.aside(|draw| draw.plan(order))
    }

    /// Returns another program's post on the platform of a submit, which is always the same.
    pub(super) fn other_post(&mut self, order: &Order) -> String {
        let name = format!("beside {}", order.urls.first().map_or("", String::as_str));
        post(&order.platform, self.known.number(&name, &mut self.list_dice.rng))
    }

    /// Adds the video of another program's post to the list of a task, if the task has a list.
    pub(super) fn add_other_video(&mut self, plan: &mut Plan, order: &Order, url: &str) {
        let video = self.aside(|draw| draw.video(order, url, 0, plan.download.at));
        if !plan.download.failed {
            plan.videos.push(Video { is_other: true, ..video });
        }
    }

    /// Draws from separate dice, so that other draws don't change.
    fn aside<T>(&mut self, draw: impl FnOnce(&mut Draw<'_>) -> T) -> T {
        let mut dice = Dice::fork(&mut self.list_dice.rng);
        let drawn = draw(&mut Draw {
            dice: &mut dice,
            list_dice: self.list_dice,
            settings: self.settings,
            known: self.known,
            now: self.now,
        });
        self.list_dice.applied.append(&mut dice.applied);
        drawn
    }

    fn videos(&mut self, order: &Order, downloaded_at: Instant) -> Vec<Video> {
        let faults = &self.settings.faults;
        // A URL given twice is charged twice, but it is one post.
        let urls: BTreeSet<&String> = order.urls.iter().collect();
        let mut videos = Vec::new();
        for url in urls {
            let several = self.list_dice.fault("several-videos", faults.several_videos, url);
            let many = self.list_dice.rng.random_range(3..=5);
            if self.dice.fault("no-video", faults.no_video, url) {
                continue;
            }
            let two = self.dice.fault("second-video", faults.second_video, url);
            let count = match (several, two) {
                (true, _) => many,
                (false, true) => 2,
                (false, false) => 1,
            };
            for rank in 0..count {
                videos.push(self.video(order, url, rank, downloaded_at));
            }
        }
        videos
    }

    fn video(&mut self, order: &Order, url: &str, rank: usize, downloaded_at: Instant) -> Video {
        let dice = &mut *self.dice;
        let digits = dice.rng.random_range(10_u64.pow(17)..10_u64.pow(18));
        let id = self
            .known
            .ids
            .entry((order.place.clone(), url.to_owned(), rank))
            .or_insert_with(|| format!("{}{digits}", order.library.id_prefix()))
            .clone();
        let mut video = Video {
            url: url.to_owned(),
            duration: dice.rng.random_range(5..1_800),
            create_time: FIRST_CREATE_TIME + dice.rng.random_range(0..DAY_IN_MILLIS),
            downloaded_at,
            ended_at: downloaded_at + self.settings.index_delay.mul_f64(dice.rng.random()),
            fails: dice.fault("fail-video", self.settings.faults.fail_video, &id),
            is_other: false,
            shown: Shown::whole(url),
            id,
        };
        let number = self.known.number(url, &mut self.list_dice.rng);
        video.draw_shown(self.list_dice, &self.settings.faults, number);
        video
    }
}

/// Draws a task id, mostly a plain UUID, sometimes one with a suffix, because ids are opaque.
fn draw_task_id(dice: &mut Dice) -> String {
    let uuid = Builder::from_random_bytes(dice.rng.random()).into_uuid();
    let tail: u128 = dice.rng.random();
    if dice.rng.random_ratio(1, 4) { format!("{uuid}_{tail:032x}") } else { uuid.to_string() }
}

fn draw_callbacks(dice: &mut Dice, settings: &Settings, plan: &mut Plan) {
    let Download { at, is_early, failed } = plan.download;
    let outcome = if failed {
        plan.callback(at, None, "Video download failed", FAILED)
    } else {
        plan.callback(at, None, "Video has been downloaded...", SUCCEEDED)
    };
    let first = draw_copies(dice, settings, outcome);
    let mut indexed: Vec<&Video> =
        plan.videos.iter().filter(|video| !video.fails && !video.is_other).collect();
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
    if plan.later.len() > 1 && dice.fault("reorder", settings.faults.reorder, &plan.task_id) {
        shuffle(dice, &mut plan.later);
    }
}

/// Returns the callback as often as it will be sent: not at all, once or twice.
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
    // A shuffle that leaves the task's own callback in front would be no fault.
    if let Some(other) = callbacks.iter().position(|callback| callback.body.status != first) {
        callbacks.rotate_left(other);
    }
    for callback in callbacks {
        callback.at = last;
    }
}
