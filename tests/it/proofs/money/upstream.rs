//! A tiny upstream without a wire: it makes videos of what it takes, lists them, and has news to call back with. Must
//! never know what the service thinks of it.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use scrapehook::domain::callback::Meaning;
use scrapehook::domain::destination::Destination;
use scrapehook::domain::id::TaskId;
use scrapehook::domain::job::Quality;
use scrapehook::domain::outcome::Failure;
use scrapehook::domain::video::VideoState;
use scrapehook::store::{PollEnd, PolledEntry, Request};

use crate::support::file::whole;

/// A request that upstream took, so that it was charged.
#[derive(Debug)]
pub struct Taken {
    pub id: String,
    pub task: TaskId,
    pub destination: Destination,
    pub quality: Quality,
    pub at: i64,
    videos: Vec<Made>,
    stage: u8,
    /// What its callbacks will say, in the order in which they come.
    pub news: Vec<Meaning>,
    /// What they never say, unless it comes very late.
    pub never: Vec<Meaning>,
}

/// A video that upstream makes, as it is listed in the end.
#[derive(Debug)]
struct Made {
    entry: PolledEntry,
    is_late: bool,
}

/// Takes a request. `spell` gives another spelling of a URL.
pub fn take(
    random: &mut StdRng,
    request: &Request,
    (id, at): (String, i64),
    spell: impl Fn(&str) -> String,
) -> Taken {
    let mut videos = Vec::new();
    for (number, url) in request.urls.iter().enumerate() {
        let library = if request.destination == Destination::Public { "PI-" } else { "V-" };
        let entry = |extra: &str, url: Option<String>, state| PolledEntry {
            id: Some(format!("{library}{id}-{number}{extra}")),
            state,
            url,
        };
        let own = || Some(url.clone());
        let made = |entry| Made { entry, is_late: false };
        match random.random_range(0..15) {
            0..=4 => videos.push(made(entry("", own(), VideoState::Indexed))),
            5 => videos.push(made(entry("", Some(spell(url)), VideoState::Indexed))),
            6 | 7 => videos.push(made(entry("", None, VideoState::Indexed))),
            8 => videos.push(made(PolledEntry { id: None, ..entry("", own(), VideoState::Indexed) })),
            9 => {}
            10 => videos.push(made(entry("", own(), VideoState::Failed))),
            11 => videos.extend([
                made(entry("", own(), VideoState::Failed)),
                made(entry("b", own(), VideoState::Indexed)),
            ]),
            12 => videos.push(Made { is_late: true, ..made(entry("", own(), VideoState::Indexed)) }),
            13 => videos.push(made(entry("", None, VideoState::Failed))),
            _ => {
                let elsewhere = format!("https://elsewhere.example/{id}/{number}");
                videos.push(made(entry("", Some(elsewhere), VideoState::Indexed)));
            }
        }
    }
    let (news, never) = news(random, &videos);
    let (task, quality, destination) = (request.task, request.quality, request.destination.clone());
    Taken { id, task, destination, quality, at, videos, stage: 0, news, never }
}

/// What callbacks will say: each thing once, twice or never, in any order.
fn news(random: &mut StdRng, videos: &[Made]) -> (Vec<Meaning>, Vec<Meaning>) {
    let end = match random.random_bool(0.2) {
        true => Meaning::Failed(Failure::new("task_failed", "no")),
        false => Meaning::Succeeded,
    };
    let of_video = |made: &Made| {
        let id = made.entry.id.clone()?;
        Some(match made.entry.state {
            VideoState::Indexed => Meaning::VideoIndexed(id),
            _ => Meaning::VideoFailed(id, Failure::new("video_failed", "no")),
        })
    };
    let (mut news, mut never) = (Vec::new(), Vec::new());
    for meaning in std::iter::once(end).chain(videos.iter().filter_map(of_video)) {
        match random.random_range(0..10) {
            0..=2 => never.push(meaning),
            3 => news.extend([meaning.clone(), meaning]),
            _ => news.push(meaning),
        }
    }
    if random.random_bool(0.5) {
        news.shuffle(random);
    }
    (news, never)
}

impl Taken {
    /// Comes closer to its end.
    pub fn advance(&mut self) {
        self.stage = (self.stage + 1).min(3);
    }

    /// Comes to its end.
    pub fn finish(&mut self) {
        self.stage = 3;
    }

    /// What a poll lists by now.
    pub fn list(&self) -> PollEnd {
        let shown = self.videos.iter().filter(|made| match self.stage {
            0 => false,
            1 | 2 => !made.is_late,
            _ => true,
        });
        let entry = |made: &Made| match self.stage {
            1 => PolledEntry { state: VideoState::Indexing, ..made.entry.clone() },
            _ => made.entry.clone(),
        };
        whole(shown.map(entry).collect())
    }

    /// The entries of a poll.
    pub fn entries(&self) -> Vec<PolledEntry> {
        match self.list() {
            PollEnd::Listed { entries, .. } => entries,
            _ => Vec::new(),
        }
    }

    /// The next thing that a callback says.
    pub fn next_news(&mut self) -> Option<Meaning> {
        (!self.news.is_empty()).then(|| self.news.remove(0))
    }
}
