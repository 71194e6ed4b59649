//! One random scenario: users, an operator, an upstream and a network that do whatever comes to their minds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use scrapehook::domain::destination::Destination;
use scrapehook::domain::id::{JobId, TaskId};
use scrapehook::domain::job::{JobOptions, JobState, Library, Quality};
use scrapehook::domain::outcome::Failure;
use scrapehook::domain::plan::fold;
use scrapehook::domain::time::Timestamp;
use scrapehook::domain::url::PostUrl;
use scrapehook::store::{
    CreatedJob, IdempotencyKey, NewJob, NextRequest, Request, Search, Store, SubmitEnd, Turn,
};
use sha2::{Digest, Sha256};

use crate::proofs::money::asks::{Asker, Post, Sent, View};
use crate::proofs::money::upstream::{Taken, take};
use crate::support::file::{File, HOUR, at};

/// Spellings of one post each.
const SPELLINGS: usize = 3;

/// A file that scenarios come to, one after the other, and the time of its service.
pub struct World {
    pub file: File,
    pub now: i64,
    /// The first scenario of the file.
    first: u64,
}

/// A request that is on its way, and what upstream made of it.
pub struct InFlight {
    pub request: Request,
    pub taken: Option<usize>,
    pub attempt: u32,
}

pub struct Scenario<'a> {
    pub world: &'a mut World,
    pub number: u64,
    pub random: StdRng,
    /// The spellings of each post.
    pub posts: Vec<[String; SPELLINGS]>,
    /// The post of each spelling.
    pub names: BTreeMap<String, usize>,
    pub jobs: Vec<Asker>,
    pub last_request: Option<NewJob>,
    pub sent: Vec<Sent>,
    pub in_flight: Vec<InFlight>,
    pub taken: Vec<Taken>,
    pub is_paused: bool,
    /// What waited in a copy that was restored, until somebody resumes.
    pub restored: BTreeSet<Post>,
    pub asks: BTreeMap<Post, u32>,
    pub charges: BTreeMap<Post, u32>,
    pub is_calm: bool,
    pub story: Vec<String>,
}

impl World {
    pub async fn new(first: u64) -> Self {
        Self { file: File::started().await, now: 10, first }
    }
}

impl Drop for Scenario<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (first, story) = (self.world.first, self.story.join("\n"));
            eprintln!(
                "scenario {} of the file that begins with {first}: {:?}\n{story}",
                self.number, self.posts
            );
        }
    }
}

impl<'a> Scenario<'a> {
    pub fn new(world: &'a mut World, number: u64) -> Self {
        let mut random = StdRng::seed_from_u64(number);
        let count = random.random_range(1..=4);
        let posts: Vec<_> =
            (0..count).map(|post| spellings(number, post, random.random_range(0..6))).collect();
        let named = posts.iter().enumerate();
        let names = named.flat_map(|(post, urls)| urls.iter().map(move |url| (url.clone(), post))).collect();
        Self {
            world,
            number,
            random,
            posts,
            names,
            jobs: Vec::new(),
            last_request: None,
            sent: Vec::new(),
            in_flight: Vec::new(),
            taken: Vec::new(),
            is_paused: false,
            restored: BTreeSet::new(),
            asks: BTreeMap::new(),
            charges: BTreeMap::new(),
            is_calm: false,
            story: Vec::new(),
        }
    }

    pub fn store(&self) -> &Store {
        &self.world.file.store
    }

    pub fn now(&self) -> Timestamp {
        at(self.world.now)
    }

    pub fn note(&mut self, what: impl Into<String>) {
        self.story.push(what.into());
    }

    pub fn chance(&mut self, of: f64) -> bool {
        self.random.random_bool(of)
    }

    pub async fn view(&self) -> View {
        View::read(self.store().read(), (&self.jobs, &self.sent), &self.names).await
    }

    fn ask(&mut self, posts: impl IntoIterator<Item = Post>) {
        for post in posts {
            *self.asks.entry(post).or_default() += 1;
        }
    }

    /// A job for some of the posts, in any spelling.
    pub async fn submit(&mut self) {
        let mut wanted: Vec<usize> = (0..self.posts.len()).filter(|_| self.random.random_bool(0.6)).collect();
        if wanted.is_empty() {
            wanted.push(self.random.random_range(0..self.posts.len()));
        }
        let urls =
            wanted.iter().map(|post| self.posts[*post][self.random.random_range(0..SPELLINGS)].clone());
        let urls: Vec<_> = urls.map(|url| PostUrl::parse(&url).unwrap()).collect();
        let folder = [0, 0, 0, 0, 1, 1, 1, 2, 3][self.random.random_range(0..9)];
        let quality = [Quality::P360, Quality::P360, Quality::P720][self.random.random_range(0..3)];
        let force = self.chance(0.15);
        let id = JobId::new(self.now());
        let asker = Asker { id, folder, quality, force };
        let options = options(folder, quality, self.random.random_range(0..3));
        let key = Some(IdempotencyKey { caller: "k".into(), key: id.to_string(), request: [0; 32] });
        let created_by = Some("k".to_owned());
        let urls = fold(urls);
        let job =
            NewJob { id, at: self.now(), created_by, options, urls, force, callback: None, idempotency: key };
        let view = self.view().await;
        let posts: Vec<Post> = wanted.iter().map(|post| (*post, folder)).collect();
        let asks: Vec<Post> =
            posts.into_iter().filter(|post| view.is_ask(*post, (quality, force), false)).collect();
        self.note(format!("job {} {wanted:?} folder {folder} {quality} force {force}: asks {asks:?}", id));
        self.ask(asks);
        self.last_request = Some(job.clone());
        let CreatedJob::New(_) = self.store().create_job(job).await.unwrap() else { panic!("not new") };
        self.jobs.push(asker);
    }

    /// The client did not hear the answer, and sends the same request again: that is no ask.
    pub async fn submit_again(&mut self) {
        let Some(job) = self.last_request.clone() else { return };
        let again = NewJob { id: JobId::new(self.now()), at: self.now(), ..job };
        let created = self.store().create_job(again).await.unwrap();
        assert!(matches!(created, CreatedJob::Again(_)));
    }

    /// A job is retried, all of it or by code.
    pub async fn retry_job(&mut self) {
        let Some(job) = self.pick_job() else { return };
        let all =
            ["canceled", "unconfirmed", "task_failed", "no_video", "0001", "unattributed", "video_failed"];
        let codes = self.chance(0.3).then(|| all.map(str::to_owned).to_vec());
        let view = self.view().await;
        let asks = view.asked_by_retry(&job, codes.as_deref());
        let retried = self.store().retry_job(job.id, codes.clone(), None, self.now()).await.unwrap();
        self.note(format!("retry {} {codes:?}: {retried:?}, asks {asks:?}", job.id));
        self.ask(asks);
    }

    pub fn pick_job(&mut self) -> Option<Asker> {
        let count = self.jobs.len();
        (count > 0).then(|| self.jobs[self.random.random_range(0..count)].clone())
    }

    pub fn pick_task(&mut self) -> Option<TaskId> {
        let count = self.sent.len();
        (count > 0).then(|| self.sent[self.random.random_range(0..count)].task)
    }

    /// A task is retried.
    pub async fn retry_task(&mut self) {
        let Some(task) = self.pick_task() else { return };
        let new = TaskId::new(self.now());
        let asks = self.view().await.asked_by_task_retry(task);
        let is_done = self.decide(scrapehook::store::Decision::Retry { task, new }).await;
        self.note(format!("retry {task} as {new}: {is_done}, asks {asks:?}"));
        if is_done {
            self.ask(asks);
        }
    }

    /// Whether an operator's decision took effect.
    pub async fn decide(&mut self, decision: scrapehook::store::Decision) -> bool {
        let decided = self.store().decide(decision, None, self.now()).await.unwrap();
        decided == scrapehook::store::Decided::Done
    }

    /// Somebody resumes: that asks for everything that still waits from a copy that was restored.
    pub async fn resume(&mut self) {
        let view = self.view().await;
        let restored = std::mem::take(&mut self.restored);
        let asks: Vec<Post> = restored.into_iter().filter(|post| view.waits(*post)).collect();
        self.note(format!("resume: asks {asks:?}"));
        self.ask(asks);
        self.decide(scrapehook::store::Decision::Resume).await;
        self.is_paused = false;
    }

    /// Forms the next request; upstream takes it or does not.
    pub async fn send(&mut self) -> bool {
        if self.is_paused || self.next_turn().await.is_none() {
            return false;
        }
        let before = self.view().await;
        let Some(request) = self.form().await else { return false };
        let folder = folder_of(&request.destination);
        let posts: Vec<Post> = request.urls.iter().map(|url| (self.names[url], folder)).collect();
        for post in &posts {
            assert!(before.waits(*post), "{post:?} is sent though nobody waits for it");
            assert!(
                before.is_forced(*post) || !before.is_proven(*post, request.quality, request.task),
                "{post:?} is sent though another task has it"
            );
        }
        let attempt = self.sent.iter().filter(|sent| sent.task == request.task).count() as u32;
        self.sent.push(Sent { task: request.task, folder, quality: request.quality });
        let is_taken = self.is_calm || self.chance(0.75);
        let mut taken = None;
        if is_taken {
            let id = format!("u{}-{}", self.number, self.taken.len());
            let (posts, names) = (self.posts.clone(), self.names.clone());
            let spell = |url: &str| posts[names[url]][1].clone();
            let now = self.world.now;
            let made = take(&mut self.random, &request, (id, now), spell);
            self.taken.push(made);
            taken = Some(self.taken.len() - 1);
            for post in &posts_of(&request.urls, &self.names, folder) {
                *self.charges.entry(*post).or_default() += 1;
            }
        }
        self.note(format!("send {} {posts:?} {}: taken {is_taken}", request.task, request.quality));
        self.in_flight.push(InFlight { request, taken, attempt });
        true
    }

    /// Whose turn has come.
    async fn next_turn(&self) -> Option<Turn> {
        let next = self.store().read().next_turn(&Search::default(), self.now(), HOUR).await.unwrap()?;
        (next.due <= self.now()).then_some(next.turn)
    }

    async fn form(&self) -> Option<Request> {
        // Something leaves the queue each time that nothing is formed.
        for _ in 0..100 {
            let turn = self.next_turn().await?;
            let next = NextRequest::new(turn, self.now(), None);
            if let Some(request) = self.store().form(next).await.unwrap() {
                return Some(request);
            }
        }
        panic!("turns come again and again that send nothing")
    }

    /// The answer to a submit comes, or its loss is noticed.
    pub async fn answer(&mut self) {
        if self.in_flight.is_empty() {
            return;
        }
        let place = self.random.random_range(0..self.in_flight.len());
        let InFlight { request, taken, attempt } = self.in_flight.remove(place);
        let lost = SubmitEnd::Unknown(Failure::new("no_answer", "cut"));
        let end = match taken {
            Some(taken) if self.is_calm || self.chance(0.6) => {
                SubmitEnd::Accepted(self.taken[taken].id.clone())
            }
            Some(_) => lost,
            None => match self.random.random_range(0..5) {
                0 | 1 if attempt < 4 => {
                    let wait = Duration::from_secs(self.random.random_range(0..2) * 30);
                    SubmitEnd::Deferred(Failure::new("http_503", "down"), wait)
                }
                2 => lost,
                _ => SubmitEnd::refused(Failure::new("0003", "no"), at(2)),
            },
        };
        self.note(format!("answer {}: {end:?}", request.task));
        self.store().end_submit(request.task, self.now(), end).await.unwrap();
    }

    /// What must hold at any time.
    pub fn assert_bound(&self) {
        for (post, charges) in &self.charges {
            let asks = self.asks.get(post).copied().unwrap_or_default();
            assert!(*charges <= asks, "{post:?}: {charges} charges, {asks} asks");
        }
    }

    /// The jobs that have not ended.
    pub async fn running(&self) -> Vec<JobId> {
        let mut running = Vec::new();
        for asker in &self.jobs {
            let job = self.store().read().job(asker.id).await.unwrap().unwrap();
            if job.state == JobState::Running {
                running.push(asker.id);
            }
        }
        running
    }
}

fn posts_of(urls: &[String], names: &BTreeMap<String, usize>, folder: usize) -> Vec<Post> {
    urls.iter().map(|url| (names[url], folder)).collect()
}

/// Spellings of a post that has an id, of a short link, or of a host that nobody knows.
fn spellings(scenario: u64, post: usize, kind: u32) -> [String; SPELLINGS] {
    let with = |base: String, ends: [&str; SPELLINGS]| ends.map(|end| format!("{base}{end}"));
    match kind {
        0 => with(format!("https://vm.tiktok.com/ZM{scenario:09}{post}"), ["/", "", "/?_t=1"]),
        1 => with(format!("https://host.example/{scenario}/{post}"), ["", "#a", "#b"]),
        _ => {
            let id = format!("73{scenario:09}{post:08}");
            [
                format!("https://www.tiktok.com/@user/video/{id}"),
                format!("https://m.tiktok.com/v/{id}.html"),
                format!("https://www.tiktok.com/@/video/{id}?lang=en"),
            ]
        }
    }
}

/// A folder by number, in one of its spellings.
fn options(folder: usize, quality: Quality, spelling: usize) -> JobOptions {
    let (unique_id, folder_id, library) = match (folder, spelling) {
        (0, 0) => (None, None, Library::Private),
        (0, 1) => (Some("default".to_owned()), None, Library::Private),
        (0, _) => (None, Some(-1), Library::Private),
        (1, _) => (Some("cats".to_owned()), None, Library::Private),
        (2, _) => (None, Some(7), Library::Private),
        _ => (None, None, Library::Public),
    };
    JobOptions { unique_id, folder_id, quality, library, ..JobOptions::default() }
}

fn folder_of(destination: &Destination) -> usize {
    match destination {
        Destination::Default => 0,
        Destination::Name(_) => 1,
        Destination::Number(_) => 2,
        Destination::Public => 3,
    }
}

/// SHA-256 of a body.
pub fn hash(body: &str) -> [u8; 32] {
    Sha256::digest(body).into()
}
