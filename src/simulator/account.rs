//! The account of the fake upstream: its credits, tasks, videos and history.
//!
//! Every decision about a request is made here, in one step under one lock. Must never wait or do IO.

use std::collections::{BTreeMap, HashMap};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::{Duration, Instant};

use crate::upstream::wire::SubmitBody;

use super::answers::Refusal;
use super::faults::Dice;
use super::listed::{ListedVideo, Video};
use super::made::Made;
use super::order::{self, Library, Order, Place};
use super::plan::{Callback, Draw, Known, Plan};
use super::platform::YOUTUBE;
use super::records::{OtherTask, SentCallback, Submitted};
use super::refusals::{refuse_any, refuse_content, transient_failure};
use super::settings::Settings;
use super::spoiled::Spoiled;
use super::task::{Listing, Task, unknown_task};
use super::transcript::{Line, origin};

/// The state that changes while a simulator runs.
#[derive(Debug)]
pub(super) struct Account {
    /// The behaviour of the simulator. Its faults, credits and points change.
    pub(super) settings: Settings,
    /// The submits so far, for inspection.
    pub(super) submits: Vec<Submitted>,
    /// The number of times that each URL was charged.
    pub(super) charged: BTreeMap<String, u32>,
    /// The number of accepted connections, including those that were closed at once.
    pub(super) connections: u64,
    /// The number of polls.
    pub(super) polls: u64,
    /// The number of requests that the infrastructure answered.
    pub(super) infrastructure_errors: u64,
    /// The callbacks that were sent.
    pub(super) callbacks_sent: Vec<SentCallback>,
    /// The tasks that no answer to a submit named.
    pub(super) other_tasks: Vec<OtherTask>,
    submit_rng: StdRng,
    poll_rng: StdRng,
    connection_rng: StdRng,
    list_rng: StdRng,
    refusal_rng: StdRng,
    started_at: Instant,
    admitted_at: Option<Instant>,
    known: Known,
    tasks: HashMap<String, Task>,
    videos: HashMap<String, Video>,
}

/// A submit request: its library, its key and its time.
#[derive(Debug)]
struct Ask<'a> {
    library: Library,
    key: Option<&'a str>,
    now: Instant,
}

/// The answer to a request, and its delay.
#[derive(Debug)]
pub(super) struct Verdict<T> {
    /// The answer's content.
    pub(super) outcome: Result<T, Refusal>,
    /// The delay of the answer.
    pub(super) delay: Duration,
    /// The fault that replaces the answer.
    pub(super) spoiled: Option<Spoiled>,
}

/// A task that was accepted and charged.
#[derive(Debug)]
pub(super) struct Accepted {
    /// The task's id.
    pub(super) task_id: String,
    /// Its callbacks, and those of the tasks that faults made with it.
    pub(super) parcels: Vec<Parcel>,
    /// Whether the connection is closed instead of an answer.
    pub(super) cut: bool,
    /// The refusal that is the answer although the task was accepted.
    pub(super) refusal: Option<Refusal>,
}

/// Callbacks that go to one URL, one after another.
#[derive(Debug)]
pub(super) struct Parcel {
    /// The URL that receives them.
    pub(super) callback_url: String,
    /// Callbacks that must be answered before the submit is.
    pub(super) early: Vec<Callback>,
    /// The other callbacks.
    pub(super) later: Vec<Callback>,
}

impl Parcel {
    fn of(plan: &mut Plan, callback_url: Option<String>) -> Option<Self> {
        let (early, later) = (std::mem::take(&mut plan.early), std::mem::take(&mut plan.later));
        Some(Self { callback_url: callback_url?, early, later })
    }
}

impl Account {
    /// Creates an account without any history.
    pub(super) fn new(settings: Settings, now: Instant) -> Self {
        let mut root = StdRng::seed_from_u64(settings.seed);
        Self {
            // Submits and polls draw from separate streams, so that the number of polls can't change the results of
            // submits.
            submit_rng: StdRng::from_rng(&mut root),
            poll_rng: StdRng::from_rng(&mut root),
            connection_rng: StdRng::from_rng(&mut root),
            list_rng: StdRng::from_rng(&mut root),
            refusal_rng: StdRng::from_rng(&mut root),
            started_at: now,
            settings,
            submits: Vec::new(),
            charged: BTreeMap::new(),
            connections: 0,
            polls: 0,
            infrastructure_errors: 0,
            callbacks_sent: Vec::new(),
            other_tasks: Vec::new(),
            admitted_at: None,
            known: Known::default(),
            tasks: HashMap::new(),
            videos: HashMap::new(),
        }
    }

    /// Sends a line of the transcript to its listener.
    pub(super) fn tell(&self, line: Line) {
        if let Some(listener) = &self.settings.narrate {
            // A listener that has gone away needs no lines.
            let _ = listener.send(line);
        }
    }

    /// Counts a connection. Returns whether it is closed before its request is read.
    pub(super) fn connect(&mut self) -> bool {
        self.connections += 1;
        let mut dice = Dice::fork(&mut self.connection_rng);
        let is_cut = dice.fault("cut-unread", self.settings.faults.cut_unread, "connection");
        self.tell_of(dice);
        is_cut
    }

    /// Decides a submit, and accepts and charges it if there is no reason against it.
    pub(super) fn submit(
        &mut self,
        library: Library,
        key: Option<&str>,
        body: &[u8],
        now: Instant,
    ) -> Verdict<Accepted> {
        let mut dice = Dice::fork(&mut self.submit_rng);
        let body = order::read(body);
        let ask = Ask { library, key, now };
        let mut refusal_dice = Dice::fork(&mut self.refusal_rng);
        let outcome = self.decide_submit(&mut dice, &mut refusal_dice, &ask, &body);
        dice.applied.append(&mut refusal_dice.applied);
        let refusal = outcome.as_ref().map_or_else(Some, |accepted| accepted.refusal.as_ref());
        self.submits.push(Submitted {
            task_id: outcome.as_ref().ok().map(|accepted| accepted.task_id.clone()),
            public: library == Library::Public,
            body: body.unwrap_or_default(),
            code: refusal.map_or("0000", Refusal::code).to_owned(),
        });
        self.conclude("submit", dice, outcome)
    }

    fn decide_submit(
        &mut self,
        dice: &mut Dice,
        refusal_dice: &mut Dice,
        ask: &Ask<'_>,
        body: &Result<SubmitBody, Refusal>,
    ) -> Result<Accepted, Refusal> {
        self.admit(dice, "submit", ask.key, ask.now)?;
        if dice.fault("no-credits", self.settings.faults.no_credits, "submit") {
            return Err(short_of_credits());
        }
        let faults = &self.settings.faults;
        refuse_any(faults, refusal_dice, ask.now.duration_since(self.started_at))?;
        let body = body.as_ref().map_err(Clone::clone)?;
        let mut order = Order::check(ask.library, body, faults.hosts_are_platforms)?;
        refuse_content(faults, refusal_dice, &order)?;
        order.callback_url = order.callback_url.or_else(|| self.settings.default_callback_url.clone());
        self.charge(&order)?;

        let Made { mut plan, others } = self.make(dice, &order, ask.now);
        let faults = &self.settings.faults;
        let cut = dice.fault("cut", faults.cut, &plan.task_id);
        let is_refused = refusal_dice.fault("refused-but-charged", faults.refused_but_charged, &plan.task_id);
        self.tell(Line::Accepted {
            task_id: plan.task_id.clone(),
            urls: order.urls.len(),
            platform: order.platform,
            quality: order.quality,
            callback_origin: order.callback_url.as_deref().map(origin),
        });
        let task_id = plan.task_id.clone();
        let mut parcels: Vec<Parcel> = Parcel::of(&mut plan, order.callback_url).into_iter().collect();
        self.keep(plan, order.place);
        for mut other in others {
            self.other_tasks.push(other.record());
            parcels.extend(Parcel::of(&mut other.plan, other.order.callback_url));
            self.keep(other.plan, other.order.place);
        }
        Ok(Accepted { task_id, parcels, cut, refusal: is_refused.then(transient_failure) })
    }

    fn make(&mut self, dice: &mut Dice, order: &Order, now: Instant) -> Made {
        let mut list_dice = Dice::fork(&mut self.list_rng);
        let (settings, known) = (&self.settings, &mut self.known);
        let made = Draw { dice, list_dice: &mut list_dice, settings, known, now }.tasks(order);
        dice.applied.append(&mut list_dice.applied);
        made
    }

    fn keep(&mut self, plan: Plan, place: Place) {
        for video in &plan.videos {
            self.videos.insert(video.id.clone(), video.clone());
        }
        self.tasks.insert(plan.task_id, Task::new(place, plan.videos));
    }

    /// Lists a task's downloaded videos.
    pub(super) fn poll(
        &mut self,
        key: Option<&str>,
        task_id: &str,
        unique_id: Option<&str>,
        now: Instant,
    ) -> Verdict<Listing> {
        self.polls += 1;
        let mut dice = Dice::fork(&mut self.poll_rng);
        let outcome = self.admit(&mut dice, "poll", key, now).and_then(|()| {
            self.tasks
                .get_mut(task_id)
                .filter(|task| unique_id.is_none_or(|name| task.place.admits(name)))
                .ok_or_else(unknown_task)?
                .poll(&mut dice, &self.settings.faults, task_id, now)
        });
        if let Ok(listing) = &outcome {
            self.tell(Line::Polled { task_id: task_id.to_owned(), videos: listing.len() });
        }
        self.conclude("poll", dice, outcome)
    }

    /// Lists videos by their ids, without unknown ones.
    pub(super) fn list(
        &mut self,
        key: Option<&str>,
        ids: Option<&[String]>,
        now: Instant,
    ) -> Verdict<Vec<ListedVideo>> {
        let mut dice = Dice::fork(&mut self.poll_rng);
        let outcome = self.admit(&mut dice, "list", key, now).and_then(|()| {
            let ids = ids.ok_or_else(|| Refusal::application("0003", "video_nos must be a list of ids."))?;
            Ok(ids.iter().filter_map(|id| self.videos.get(id)?.listed(now)).collect())
        });
        self.conclude("list", dice, outcome)
    }

    /// Checks that apply to every request: the key, the rate limit, and the faults that hit any request.
    fn admit(
        &mut self,
        dice: &mut Dice,
        request: &'static str,
        key: Option<&str>,
        now: Instant,
    ) -> Result<(), Refusal> {
        if key != Some(self.settings.api_key.as_str()) {
            return Err(Refusal::application("0401", "The API key is invalid or absent."));
        }
        // A refused request doesn't move the limit. Otherwise, a client that asks too often would never be admitted.
        if self.admitted_at.is_some_and(|last| now.duration_since(last) < self.settings.min_interval) {
            return Err(over_the_limit());
        }
        self.admitted_at = Some(now);
        let faults = &self.settings.faults;
        if dice.fault("rate-limited", faults.rate_limited, request) {
            return Err(over_the_limit());
        }
        if dice.fault("unavailable", faults.unavailable, request) {
            return Err(Refusal::Unavailable);
        }
        Ok(())
    }

    /// Charges the price of an order completely or not at all.
    fn charge(&mut self, order: &Order) -> Result<(), Refusal> {
        let price = order.urls.len() as u64;
        let in_points = if order.platform == YOUTUBE { price } else { 0 };
        let settings = &mut self.settings;
        let short = |stock: Option<u64>, price: u64| stock.is_some_and(|stock| stock < price);
        if short(settings.credits, price) || short(settings.points, in_points) {
            return Err(short_of_credits());
        }
        settings.credits = settings.credits.map(|credits| credits - price);
        settings.points = settings.points.map(|points| points - in_points);
        for url in &order.urls {
            *self.charged.entry(url.clone()).or_default() += 1;
        }
        Ok(())
    }

    /// Reports a decision, and draws whether its answer is slow or spoiled.
    fn conclude<T>(&self, request: &'static str, mut dice: Dice, outcome: Result<T, Refusal>) -> Verdict<T> {
        let faults = &self.settings.faults;
        let is_slow = dice.fault("slow", faults.slow, request);
        let spoiled = Spoiled::draw(&mut dice, faults, request);
        self.tell_of(dice);
        if let Err(refusal) = &outcome {
            self.tell(Line::Refused { request, code: refusal.code(), msg: refusal.msg().to_owned() });
        }
        Verdict { outcome, delay: if is_slow { faults.slow_by } else { Duration::ZERO }, spoiled }
    }

    fn tell_of(&self, dice: Dice) {
        for (fault, on) in dice.applied {
            self.tell(Line::Fault { fault, on });
        }
    }
}

fn over_the_limit() -> Refusal {
    Refusal::application("0429", "Request has exceeded the limit.")
}

fn short_of_credits() -> Refusal {
    Refusal::application("0402", "not enough points")
}
