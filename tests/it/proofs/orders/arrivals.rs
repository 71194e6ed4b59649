//! What can arrive for a task, and a task for which it does.

use std::collections::BTreeMap;
use std::ops::Range;

use scrapehook::domain::callback::Meaning;
use scrapehook::domain::id::{JobId, TaskId};
use scrapehook::domain::job::{JobOptions, Quality};
use scrapehook::domain::outcome::{Failure, UrlState};
use scrapehook::domain::plan::fold;
use scrapehook::domain::task::TaskState;
use scrapehook::domain::time::Timestamp;
use scrapehook::domain::url::PostUrl;
use scrapehook::domain::video::VideoState;
use scrapehook::store::{
    Decided, Decision, DuePoll, Found, NewJob, NextRequest, Pacing, PollEnd, PolledEntry, ReceivedHint,
    Search, SubmitEnd,
};
use sha2::{Digest, Sha256};

use self::How::{Exact, Nameless, Spelled, Unnamed, WithoutId};
use self::News::{
    Accepted, Adopt, Empty, Failed, Hint, Indexed, Listed, Lost, Refused, Rejected, Succeeded, VideoFailed,
};
use crate::support::file::{File, HOUR, MINUTE, at, callback, lost, whole};

/// How a poll lists a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// With the URL as it was given.
    Exact,
    /// With another spelling of a URL that holds an id, and with what a short link leads to.
    Spelled,
    /// With `null` for a URL.
    Unnamed,
    /// As an entry without an id, with the URL as it was given.
    WithoutId,
    /// As an entry without an id and without a URL.
    Nameless,
}

/// Something that arrives for a task. Videos belong to the URL of their number's parity, if there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    Accepted,
    Lost,
    Rejected,
    Succeeded,
    Failed,
    Indexed(u8),
    VideoFailed(u8),
    Listed(How, u8, VideoState),
    Empty,
    Refused,
    Hint,
    Adopt,
}

pub type UrlEnd = (UrlState, Option<(String, bool)>);

/// Where a task and its URLs stand, and its videos; then the same after the last polls, and what a new job finds: how
/// many of its URLs are known, are shared, and are shared in doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub before: Standing,
    pub after: Standing,
    pub found: (usize, usize, usize),
}

pub type Standing = (TaskState, Vec<UrlEnd>, Vec<(String, VideoState)>);

/// A task in the middle of a sequence.
pub struct Driven<'a> {
    file: &'a File,
    task: TaskId,
    urls: Vec<String>,
}

/// The two URLs of one number, and what videos of them are listed with otherwise.
fn urls(number: usize) -> [String; 2] {
    [
        format!("https://www.tiktok.com/@user/video/73{number:017}"),
        format!("https://vm.tiktok.com/Z{number:08}/"),
    ]
}

fn spelled(number: usize, url: usize) -> String {
    match url {
        0 => format!("https://www.tiktok.com/v/73{number:017}.html"),
        _ => format!("https://www.tiktok.com/@user/video/74{number:017}"),
    }
}

impl Driven<'_> {
    fn entry(&self, number: usize, (how, video, state): (How, u8, VideoState)) -> PolledEntry {
        let own = usize::from(video) % self.urls.len();
        let is_link = usize::from(self.urls[own].contains("vm."));
        PolledEntry {
            id: (!matches!(how, WithoutId | Nameless)).then(|| self.video(video)),
            state,
            url: match how {
                Exact | WithoutId => Some(self.urls[own].clone()),
                Spelled => Some(spelled(number, is_link)),
                Unnamed | Nameless => None,
            },
        }
    }

    fn video(&self, number: u8) -> String {
        format!("v{number}-{}", self.task)
    }

    async fn poll(&self, when: Timestamp, end: PollEnd, news: i64) {
        let upstream_id = self.task.to_string();
        let due = DuePoll { task: self.task, upstream_id, unique_id: None, news, due: at(0) };
        self.file.store.record_poll(due, when, when, end).await.unwrap();
    }

    /// Lets it arrive; `false` if it was a decision that made no sense.
    pub async fn arrive(&self, number: usize, news: News, when: i64) -> bool {
        let why = || Failure::new("failed", "upstream said so");
        let said = async |meaning| {
            let callback = callback(self.task, when, Some(meaning), &self.task.to_string());
            self.file.store.receive_callback(callback).await.unwrap();
        };
        let answered = async |end| self.file.store.end_submit(self.task, at(when), end).await.unwrap();
        match news {
            Accepted => answered(SubmitEnd::Accepted(self.task.to_string())).await,
            Lost => answered(lost()).await,
            Rejected => answered(SubmitEnd::refused(why(), at(2))).await,
            Succeeded => said(Meaning::Succeeded).await,
            Failed => said(Meaning::Failed(why())).await,
            Indexed(video) => said(Meaning::VideoIndexed(self.video(video))).await,
            VideoFailed(video) => said(Meaning::VideoFailed(self.video(video), why())).await,
            Listed(how, video, state) => {
                self.poll(at(when), whole(vec![self.entry(number, (how, video, state))]), 0).await;
            }
            Empty => self.poll(at(when), whole(Vec::new()), 0).await,
            Refused => self.poll(at(when), PollEnd::Refused, 0).await,
            Hint => self.hint(when).await,
            Adopt => {
                let decision = Decision::Adopt(self.task, self.task.to_string());
                return self.file.store.decide(decision, None, at(when)).await == Ok(Decided::Done);
            }
        }
        true
    }

    /// Two forged ones: of the task's own `taskId`, and of another one, for which upstream lists more than its URLs.
    async fn hint(&self, when: i64) {
        let forged = format!("forged-{}", self.task);
        for id in [self.task.to_string(), forged.clone()] {
            let body = format!("{id} failed");
            let hint = ReceivedHint {
                at: at(when),
                body_hash: Sha256::digest(&body).into(),
                body: body.into(),
                upstream_id: Some(id),
            };
            // A full queue of hints is no matter here.
            let _ = self.file.store.receive_hint(hint).await;
        }
        let canonical = |url: &String| PostUrl::parse(url).unwrap().canonical;
        let mut posts: Vec<_> = self.urls.iter().map(canonical).collect();
        posts.push("https://a.example/other".to_owned());
        let found = Found { unique_id: Some("default".to_owned()), posts, ..Found::default() };
        assert_eq!(self.file.store.store_lookup(forged, found, at(when)).await, Ok(false));
    }

    pub async fn stands(&self) -> Standing {
        let task = self.file.store.read().task(self.task).await.unwrap().unwrap();
        let videos = task.videos.unwrap().into_iter();
        let mut videos: Vec<_> = videos.map(|video| (video.id[..2].to_owned(), video.state)).collect();
        videos.sort();
        let urls = task
            .urls
            .unwrap()
            .into_iter()
            .map(|url| (url.state, url.error.map(|reason| (reason.failure.code, reason.certain))));
        (task.state, urls.collect(), videos)
    }

    /// Polls that list everything that was listed, until that brings nothing new.
    pub async fn close(&self, number: usize, sequence: &[News]) {
        let mut listed: BTreeMap<(How, u8), VideoState> = BTreeMap::new();
        for news in sequence {
            if let Listed(how, video, state) = *news {
                let known = listed.entry((how, video)).or_insert(state);
                *known = state.max(*known);
            }
        }
        // Two that bring nothing new, far enough apart.
        for minute in 1..=3 {
            let entries =
                listed.iter().map(|((how, video), state)| self.entry(number, (*how, *video, *state)));
            // They answer whoever has asked before.
            self.poll(at(1_000).after(MINUTE * minute), whole(entries.collect()), 1_000).await;
        }
    }

    /// What a new job for these URLs would find.
    pub async fn found(&self) -> (usize, usize, usize) {
        let job = job(&self.urls);
        let pacing = Pacing { now: at(0), least: MINUTE, urls_per_day: None };
        let plan = self.file.store.read().plan_job(&job, pacing).await.unwrap();
        (plan.known, plan.following, plan.unconfirmed)
    }
}

fn job(urls: &[String]) -> NewJob {
    let urls = fold(urls.iter().map(|url| PostUrl::parse(url).unwrap()).collect());
    NewJob {
        id: JobId::new(at(0)),
        at: at(0),
        created_by: None,
        options: JobOptions::default(),
        urls,
        force: false,
        callback: None,
        idempotency: None,
    }
}

/// Tasks of these URLs that are being sent, one for each number.
pub async fn tasks<'a>(file: &'a File, numbers: Range<usize>, which: &[usize]) -> Vec<Driven<'a>> {
    let urls_of = |number: usize| which.iter().map(move |&url| urls(number)[url].clone()).collect::<Vec<_>>();
    let all: Vec<String> = numbers.clone().flat_map(urls_of).collect();
    file.waiting_job(&all, Quality::P360, false).await;
    let turn = file.store.read().next_turn(&Search::default(), at(1), HOUR).await.unwrap().unwrap().turn;
    let mut tasks = Vec::new();
    for number in numbers {
        let next = NextRequest::new(turn, at(1), Some(which.len()));
        let request = file.store.form(next).await.unwrap().unwrap();
        assert_eq!(request.urls, urls_of(number));
        tasks.push(Driven { file, task: request.task, urls: request.urls });
    }
    tasks
}
