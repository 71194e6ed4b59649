//! The rest of a random scenario: callbacks, polls, hints, what an operator decides, restarts, copies, and the end.

use std::path::PathBuf;

use rand::Rng;
use scrapehook::domain::callback::Meaning;
use scrapehook::domain::destination::Destination;
use scrapehook::domain::id::TaskId;
use scrapehook::domain::url::PostUrl;
use scrapehook::store::{
    self, AcceptedCallback, Binding, Decision, Found, PollEnd, ReceivedCallback, ReceivedHint, Store,
};
use tokio_util::sync::CancellationToken;

use crate::proofs::money::scenario::{Scenario, hash};
use crate::proofs::money::upstream::Taken;
use crate::support::file::{DAY, MINUTE, POLICY, at};

/// So many times does a scenario wait for its end, a day each time.
const DAYS: usize = 12;

impl Scenario<'_> {
    /// One thing happens.
    pub async fn step(&mut self) {
        self.world.now += self.random.random_range(1..2_000);
        match self.random.random_range(0..100) {
            0..20 => self.submit().await,
            20..38 => drop(self.send().await),
            38..50 => self.answer().await,
            50..62 => self.call_back().await,
            62..70 => drop(self.poll().await),
            70..75 => self.retry_job().await,
            75..80 => self.retry_task().await,
            80..83 => self.cancel_job().await,
            83..86 => self.give_up().await,
            86..89 => self.hint().await,
            89..91 => self.adopt().await,
            91..95 => self.wait().await,
            95..97 => self.submit_again().await,
            97 => self.pause().await,
            98 => self.accept().await,
            _ => self.restart().await,
        }
        self.assert_bound();
    }

    fn pick_taken(&mut self) -> Option<usize> {
        (!self.taken.is_empty()).then(|| self.random.random_range(0..self.taken.len()))
    }

    /// Upstream goes on with a task, and calls back: with one thing, or with several at once.
    async fn call_back(&mut self) {
        let Some(place) = self.pick_taken() else { return };
        let count = self.random.random_range(0..3);
        self.taken[place].advance();
        let news: Vec<Meaning> = (0..count).filter_map(|_| self.taken[place].next_news()).collect();
        let is_old = self.chance(0.3);
        self.tell(place, news, is_old).await;
    }

    async fn tell(&mut self, place: usize, news: Vec<Meaning>, is_old: bool) {
        let callbacks: Vec<_> = news
            .into_iter()
            .map(|meaning| callback(&self.taken[place], meaning, self.world.now, is_old))
            .collect();
        for callback in &callbacks {
            self.note(format!("callback {} {:?} old {is_old}", callback.task, callback.meaning));
        }
        let kept = callbacks.into_iter().map(|callback| self.store().receive_callback(callback));
        for kept in futures_util::future::join_all(kept).await {
            kept.unwrap();
        }
    }

    /// A poll that is due.
    async fn poll(&mut self) -> bool {
        let Some(due) = self.store().read().next_poll(&[]).await.unwrap() else { return false };
        if due.due > self.now() {
            return false;
        }
        let taken = self.taken.iter().find(|taken| taken.id == due.upstream_id);
        let whole = taken.map_or(PollEnd::Refused, Taken::list);
        let end = match self.random.random_range(0..8) {
            _ if self.is_calm => whole,
            0 => PollEnd::Refused,
            1 => PollEnd::Unanswered(MINUTE),
            _ => whole,
        };
        self.note(format!("poll {}: {end:?}", due.task));
        self.store().record_poll(due, self.now(), self.now(), end).await.unwrap();
        true
    }

    async fn cancel_job(&mut self) {
        let Some(job) = self.pick_job() else { return };
        let is_done = self.decide(Decision::CancelJob(job.id)).await;
        self.note(format!("cancel {}: {is_done}", job.id));
    }

    async fn give_up(&mut self) {
        let Some(task) = self.pick_task() else { return };
        let is_done = self.decide(Decision::Cancel(task)).await;
        self.note(format!("cancel {task}: {is_done}"));
    }

    /// A callback without a token: upstream is asked what it is about.
    async fn hint(&mut self) {
        let Some(place) = self.pick_taken() else { return };
        let taken = &self.taken[place];
        let id = taken.id.clone();
        let hint = ReceivedHint {
            at: self.now(),
            body: id.clone().into(),
            body_hash: hash(&id),
            upstream_id: Some(id.clone()),
        };
        let entries = taken.entries();
        let posts = entries.iter().filter_map(|entry| PostUrl::recognize(entry.url.as_deref()?));
        let posts: Vec<String> = posts.map(|post| post.canonical).collect();
        let unique_id = match &taken.destination {
            Destination::Default => Some("default".to_owned()),
            Destination::Name(name) => Some(name.clone()),
            Destination::Public | Destination::Number(_) => None,
        };
        let is_doubtful = posts.len() < entries.len();
        let found = Found { unique_id, posts, is_doubtful, earliest: Some(at(taken.at)) };
        self.note(format!("hint {id}: {found:?}"));
        self.store().receive_hint(hint).await.unwrap();
        if self.store().read().find_task(&id).await.unwrap().is_none() {
            self.store().store_lookup(id, found, self.now()).await.unwrap();
        }
    }

    /// The operator says whose a `taskId` is, and may be wrong.
    async fn adopt(&mut self) {
        let (Some(place), Some(other)) = (self.pick_taken(), self.pick_task()) else { return };
        let task = if self.chance(0.8) { self.taken[place].task } else { other };
        let id = self.taken[place].id.clone();
        self.note(format!("adopt {task} {id}"));
        self.decide(Decision::Adopt(task, id)).await;
    }

    /// A callback without a token that counts all the same.
    async fn accept(&mut self) {
        let Some(place) = self.pick_taken() else { return };
        let Some(meaning) = self.taken[place].next_news() else { return };
        let id = self.taken[place].id.clone();
        let body = format!("{meaning:?} {id}");
        self.note(format!("accept {body}"));
        let callback = AcceptedCallback {
            upstream_id: id,
            new: TaskId::new(self.now()),
            at: self.now(),
            body_hash: hash(&body),
            body: body.into(),
            meaning: Some(meaning),
        };
        self.store().accept_callback(callback).await.unwrap();
    }

    async fn wait(&mut self) {
        let by = [MINUTE, 3 * MINUTE, DAY, DAY + MINUTE][self.random.random_range(0..4)];
        self.world.now += i64::try_from(by.as_millis()).unwrap();
        self.note(format!("{by:?} go by"));
        self.store().sweep(self.now()).await.unwrap();
    }

    async fn pause(&mut self) {
        if self.is_paused {
            return self.resume().await;
        }
        self.note("pause");
        self.decide(Decision::Pause).await;
        self.is_paused = true;
    }

    fn database(&self) -> PathBuf {
        self.world.file.folder.path().join("scrapehook.db")
    }

    /// Copies the file for the next start: another test may be starting a process just now, which inherits the locks
    /// of the file until it runs its own program.
    fn move_out(&mut self) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["scrapehook.db", "copy.db"] {
            let old = self.world.file.folder.path().join(name);
            if old.exists() {
                std::fs::copy(old, folder.path().join(name)).unwrap();
            }
        }
        self.world.file.folder = folder;
    }

    async fn stop(&mut self) {
        self.store().close();
        self.world.file.running.take().unwrap().await.unwrap();
    }

    /// The process ends, and begins again: nobody hears the answers to what was on its way.
    pub async fn restart(&mut self) {
        self.note("restart");
        self.stop().await;
        self.start().await;
    }

    async fn start(&mut self) {
        self.in_flight.clear();
        self.move_out();
        let path = self.database();
        let (store, writer) =
            Store::open(&path, Binding::to("http://upstream"), POLICY, self.now()).await.unwrap();
        let file = &mut self.world.file;
        (file.store, file.writer) = (store, Some(writer));
        file.run();
        self.store().close_open_submits(self.now()).await.unwrap();
    }

    /// A copy is made of the file.
    pub async fn copy(&mut self) {
        self.note("copy");
        let to = self.world.file.folder.path().join("copy.db");
        store::backup(&self.database(), &to, self.now(), &CancellationToken::new()).await.unwrap();
    }

    /// The file is lost, and the copy takes its place.
    pub async fn restore(&mut self) {
        self.stop().await;
        for name in ["scrapehook.db", "scrapehook.db-wal", "scrapehook.db-shm"] {
            let _ = std::fs::remove_file(self.world.file.folder.path().join(name));
        }
        self.move_out();
        let from = self.world.file.folder.path().join("copy.db");
        store::restore(&from, &self.database(), self.now(), &CancellationToken::new()).await.unwrap();
        self.start().await;
        let mut left = Vec::new();
        for job in std::mem::take(&mut self.jobs) {
            if self.store().read().job(job.id).await.unwrap().is_some() {
                left.push(job);
            }
        }
        self.jobs = left;
        // A request that the copy has never seen would be a new one.
        self.last_request = None;
        self.is_paused = true;
        let view = self.view().await;
        self.restored = view.urls.iter().map(|url| url.post).filter(|post| view.waits(*post)).collect();
        self.note(format!("restore: {:?} wait", self.restored));
    }

    /// Upstream says everything, deadlines pass, and everybody ends.
    pub async fn end(&mut self) {
        self.is_calm = true;
        if self.is_paused {
            self.resume().await;
        }
        for place in 0..self.taken.len() {
            self.taken[place].finish();
            while let Some(meaning) = self.taken[place].next_news() {
                self.tell(place, vec![meaning], false).await;
            }
        }
        for _ in 0..DAYS {
            for wait in [MINUTE, 2 * MINUTE, DAY] {
                self.rest().await;
                self.world.now += i64::try_from(wait.as_millis()).unwrap();
            }
            self.store().sweep(self.now()).await.unwrap();
            if self.running().await.is_empty() {
                break;
            }
        }
        self.assert_bound();
        let running = self.running().await;
        assert!(running.is_empty(), "{running:?} never end");
    }

    /// Everything is done that can be done now.
    async fn rest(&mut self) {
        while !self.in_flight.is_empty() {
            self.answer().await;
        }
        while self.send().await {
            self.answer().await;
            if let Some(taken) = self.taken.last_mut() {
                taken.finish();
            }
        }
        for _ in 0..100 {
            if !self.poll().await {
                return;
            }
        }
        panic!("polls come again and again");
    }

    /// Upstream says what it never said, long after the end: nothing is sent for that.
    pub async fn hear_late_truth(&mut self) {
        let charges = self.charges.clone();
        for place in 0..self.taken.len() {
            let late = std::mem::take(&mut self.taken[place].never);
            self.tell(place, late, false).await;
        }
        self.end().await;
        assert_eq!(self.charges, charges, "late news was paid for");
    }
}

fn callback(taken: &Taken, meaning: Meaning, now: i64, is_old: bool) -> ReceivedCallback {
    let received = crate::support::file::callback(taken.task, now, Some(meaning), &taken.id);
    if is_old {
        return received;
    }
    ReceivedCallback { destination: Some(taken.destination.hash()), quality: Some(taken.quality), ..received }
}
