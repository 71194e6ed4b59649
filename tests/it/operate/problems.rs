//! Announcements of problems: each beginning and each end once, with the text of the status.

use std::sync::Arc;

use scrapehook::callback_check::LastCheck;
use scrapehook::config::Live;
use scrapehook::domain::event::{EventKind, Source};
use scrapehook::domain::outcome::Failure;
use scrapehook::domain::time::Timestamp;
use scrapehook::problems::{self, Monitored};
use scrapehook::simulator::Faults;
use scrapehook::store::{EventFilter, FirstProbe, LastBackup, NewPause, Store};
use scrapehook::upstream::Budget;
use scrapehook::workers::{Announcer, Step, Worker};
use serde_json::Value;

use crate::support::answers::{Event, Page};
use crate::support::by_hand::{ByHand, urls};
use crate::support::file::{File, HOUR, MINUTE, at};
use crate::support::{Scene, Service, mixed_urls};

/// An announcer whose clock is the test.
struct Watch {
    store: Store,
    monitored: Monitored,
    announcer: Announcer,
    now: i64,
}

impl Watch {
    fn of(file: &File) -> Self {
        let monitored = Monitored {
            store_path: file.folder.path().join("scrapehook.db").into(),
            budget: Arc::new(Budget::new(MINUTE)),
            urls_per_day: None,
            outage: Arc::default(),
            has_callbacks: false,
            backup_every: Some(HOUR),
            last_backup: Arc::new(Live::new(LastBackup { at: Some(at(0)), failure: None })),
            callback_check: LastCheck::new(false),
        };
        let announcer = Announcer::new(file.store.clone(), monitored.clone());
        Self { store: file.store.clone(), monitored, announcer, now: 0 }
    }

    fn time(&self) -> Timestamp {
        at(self.now)
    }

    /// Takes a step for each second that passes, as a service does whose every second has a commit.
    async fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now += 1_000;
            let step = self.announcer.step(self.time()).await.unwrap();
            assert!(matches!(step, Step::WaitUntil(then) if then > self.time()), "{step:?}");
        }
    }

    /// The messages of the events so far, each with its kind. How full the disk of this machine is does not matter.
    async fn announced(&self) -> Vec<(EventKind, String)> {
        let mut announced = Vec::new();
        let filter = EventFilter { limit: 500, ..EventFilter::default() };
        for event in self.store.read().events(&filter).await.unwrap() {
            let is_announcement = matches!(event.kind, EventKind::ProblemOpened | EventKind::ProblemClosed);
            let message = event.message.unwrap_or_default();
            if is_announcement && !message.starts_with("disk: ") {
                assert_eq!(event.source, Source::Clock);
                announced.push((event.kind, message));
            }
        }
        announced
    }

    /// The texts that the status has for these problems now.
    async fn shown(&self) -> Vec<String> {
        let observed = self.monitored.observe(&self.store, self.time()).await.unwrap();
        let problems = problems::find(&observed).into_iter().filter(|problem| problem.code != "disk");
        problems.map(|problem| problem.to_open().text).collect()
    }

    async fn pause(&self, scope: &str, code: &str) {
        let failure = Failure::new(code, "a reason");
        let pause = NewPause { scope: scope.to_owned(), failure, first_probe: FirstProbe::Later };
        self.store.pause(pause, Source::Submit, self.time()).await.unwrap();
    }

    async fn resume(&self, scope: &str) {
        self.store.resume(scope.to_owned(), Source::Operator, self.time()).await.unwrap();
    }
}

fn opened(text: &str) -> (EventKind, String) {
    (EventKind::ProblemOpened, text.to_owned())
}

fn closed(text: &str) -> (EventKind, String) {
    (EventKind::ProblemClosed, text.to_owned())
}

#[tokio::test]
async fn missing_credits_are_announced_once_and_so_is_their_end() {
    let mut test = ByHand::start(Faults { no_credits: 1.0, ..Faults::default() }).await;
    let mut watch = Watch::of(&test.file);
    watch.pass(10).await;
    test.now = watch.now;
    test.job(&urls(0..3)).await;
    test.run(MINUTE / 60).await;
    watch.now = test.now;
    let [text]: [String; 1] = watch.shown().await.try_into().unwrap();
    assert!(text.starts_with("sending_paused: Sending is paused: 0402: "), "{text}");
    assert!(text.contains("Top up the account."), "{text}");
    watch.pass(15).await;
    assert_eq!(watch.announced().await, [opened(&text)]);

    // The tries that fail meanwhile change the time of the next one, and so the text of the status.
    test.now = watch.now;
    test.run(5 * MINUTE).await;
    watch.now = test.now;
    assert_ne!(watch.shown().await, [text.as_str()]);
    watch.pass(90).await;
    assert_eq!(watch.announced().await, [opened(&text)]);

    test.upstream.set_faults(Faults::default());
    test.now = watch.now;
    test.run(HOUR).await;
    assert!(test.pauses().await.is_empty());
    watch.now = test.now;
    watch.pass(100).await;
    assert_eq!(watch.announced().await, [opened(&text), closed(&text)]);
    test.file.close().await;
}

#[tokio::test]
async fn a_restart_repeats_no_announcement_and_forgets_no_end() {
    let file = File::started().await;
    let mut watch = Watch::of(&file);
    watch.pause("all", "0402").await;
    let [text]: [String; 1] = watch.shown().await.try_into().unwrap();
    watch.pass(15).await;
    assert_eq!(watch.announced().await, [opened(&text)]);
    let now = watch.now;
    let mut file = File::open(file.close().await).await;
    file.run();
    let mut watch = Watch { now, ..Watch::of(&file) };
    watch.pass(90).await;
    assert_eq!(watch.announced().await, [opened(&text)]);
    watch.resume("all").await;
    let now = watch.now;
    let mut file = File::open(file.close().await).await;
    file.run();
    let mut watch = Watch { now, ..Watch::of(&file) };
    watch.pass(90).await;
    assert_eq!(watch.announced().await, [opened(&text), closed(&text)]);
    file.close().await;
}

#[tokio::test]
async fn two_problems_are_announced_separately() {
    let file = File::started().await;
    let mut watch = Watch::of(&file);
    watch.pause("youtube", "0402").await;
    watch.pause("tiktok", "0403").await;
    let [tiktok, youtube]: [String; 2] = watch.shown().await.try_into().unwrap();
    watch.pass(15).await;
    assert_eq!(watch.announced().await, [opened(&tiktok), opened(&youtube)]);
    watch.resume("youtube").await;
    watch.pass(90).await;
    assert_eq!(watch.announced().await[2..], [closed(&youtube)]);
    // The same scope for another reason is another problem.
    watch.resume("tiktok").await;
    watch.pause("tiktok", "0401").await;
    let [other]: [String; 1] = watch.shown().await.try_into().unwrap();
    watch.pass(90).await;
    assert_eq!(watch.announced().await[3..], [opened(&other), closed(&tiktok)]);
    file.close().await;
}

#[tokio::test]
async fn a_problem_that_passes_within_seconds_is_not_announced() {
    let file = File::started().await;
    let mut watch = Watch::of(&file);
    for _ in 0..10 {
        watch.pause("all", "0402").await;
        watch.pass(4).await;
        watch.resume("all").await;
        watch.pass(6).await;
    }
    assert_eq!(watch.announced().await, []);
    file.close().await;
}

#[tokio::test]
async fn a_problem_that_comes_and_goes_is_announced_once() {
    let file = File::started().await;
    let mut watch = Watch::of(&file);
    watch.pause("all", "0402").await;
    let [text]: [String; 1] = watch.shown().await.try_into().unwrap();
    watch.pass(15).await;
    for _ in 0..10 {
        watch.resume("all").await;
        watch.pass(50).await;
        watch.pause("all", "0402").await;
        watch.pass(10).await;
    }
    assert_eq!(watch.announced().await, [opened(&text)]);
    let before = watch.store.read().last_seq().await.unwrap();
    watch.pass(600).await;
    assert_eq!(
        watch.store.read().last_seq().await.unwrap(),
        before,
        "nothing changed, so nothing is written"
    );
    watch.resume("all").await;
    watch.pass(70).await;
    assert_eq!(watch.announced().await, [opened(&text), closed(&text)]);
    file.close().await;
}

#[tokio::test]
async fn a_failed_backup_stays_a_problem_after_a_restart_until_there_is_a_copy() {
    let file = File::started().await;
    let mut watch = Watch::of(&file);
    let failure = Some((at(0), "no folder".to_owned()));
    watch.monitored.last_backup.replace(LastBackup { at: None, failure });
    let [text]: [String; 1] = watch.shown().await.try_into().unwrap();
    watch.pass(15).await;
    assert_eq!(watch.announced().await, [opened(&text)]);
    let now = watch.now;
    let mut file = File::open(file.close().await).await;
    file.run();
    let mut watch = Watch { now, ..Watch::of(&file) };
    watch.monitored.last_backup.replace(LastBackup::default());
    watch.pass(90).await;
    assert_eq!(watch.announced().await, [opened(&text)]);
    watch.monitored.last_backup.replace(LastBackup { at: Some(watch.time()), failure: None });
    watch.pass(90).await;
    assert_eq!(watch.announced().await, [opened(&text), closed(&text)]);
    file.close().await;
}

#[tokio::test]
async fn a_running_service_announces_the_text_of_its_status() {
    let (upstream, service) = Scene::new().credits(0).set("DISPATCH__PROBE_AFTER", "1h").start().await;
    let job = service.submit(&mixed_urls(1)).await;
    let is_ours = |event: &&Event| event.message.as_ref().is_some_and(|text| text.starts_with("sending_"));
    let path = "/v1/events?kind=problem.opened";
    let page = service.until(path, |page: &Page<Event>| page.items.iter().any(|event| is_ours(&event))).await;
    let event = page.items.iter().find(is_ours).unwrap();
    assert_eq!(event.source, "clock");
    assert_eq!(event.message.as_deref(), Some(&*paused(&service).await));

    let service = service.stop().await.start().await;
    upstream.add_credits(10);
    service.resume().await;
    service.until_settled(&job).await;
    let events: Vec<Event> = service.list(path).await;
    assert_eq!(events.iter().filter(is_ours).count(), 1);
    service.stop().await;
}

/// The pause in the status, in the form of an announcement.
async fn paused(service: &Service) -> String {
    let status = service.get("/v1/status").await;
    let is_pause = |problem: &&Value| problem["code"] == "sending_paused";
    let problem = status["problems"].as_array().unwrap().iter().find(is_pause).unwrap();
    let [code, detail, action] = ["code", "detail", "action"].map(|field| problem[field].as_str().unwrap());
    format!("{code}: {detail} {action}")
}
