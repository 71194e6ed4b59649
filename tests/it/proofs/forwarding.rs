//! `kill -9` of the real process while it tells ten subscribers about every event, three of which fail often.
//!
//! `SCRAPEHOOK_FORWARD_EVENTS=20000 SCRAPEHOOK_FORWARD_KILLS=10 cargo test --release --test it forwarding:: --
//! --nocapture` is the long form; `SCRAPEHOOK_FORWARD_SEED` replays the moments of the kills and the failures.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use reqwest::Client;
use scrapehook::simulator::Simulator;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::support::aftermath::{assert_promises_were_kept, moving, number};
use crate::support::binary::{Binary, Serving};
use crate::support::database::read;
use crate::support::receiver::{CUT, Received, Receiver};
use crate::support::stream::Stream;
use crate::support::{DEADLINE, Scene};

const EVENTS: u64 = 200;
const KILLS: u64 = 3;
const SUBSCRIBERS: usize = 10;
/// Subscribers whose receivers fail a third of their requests.
const FAILING: usize = 3;
const FAILURES: [u16; 4] = [500, 503, 404, CUT];
/// The most failures of one event in a row. The wait doubles with each of them, and more would outlast the deadline.
const MOST_FAILURES: u32 = 7;
const URLS_PER_JOB: usize = 12;
/// URLs of a job that the job before it has, too, so that jobs share tasks.
const SHARED: usize = 4;
/// Less than a job has, so that a round has at least the events that it counts on.
const EVENTS_PER_JOB: u64 = 16;

/// What a receiver has heard.
struct Heard {
    /// None until the subscriber is added.
    secret: Option<String>,
    fails: bool,
    random: StdRng,
    /// The failures of each event so far.
    failures: HashMap<i64, u32>,
    /// The `seq` of each event, in the order in which they were first answered 200.
    order: Vec<i64>,
    /// The `webhook-id` of each event.
    ids: HashMap<i64, String>,
    answered: BTreeSet<i64>,
    requests: usize,
    /// Requests that were answered 200 although the same event had been before.
    repeats: usize,
    /// What must not happen.
    faults: Vec<String>,
}

impl Heard {
    fn new(place: usize, seed: u64) -> Self {
        Self {
            secret: None,
            fails: place < FAILING,
            random: StdRng::seed_from_u64(seed + place as u64),
            failures: HashMap::new(),
            order: Vec::new(),
            ids: HashMap::new(),
            answered: BTreeSet::new(),
            requests: 0,
            repeats: 0,
            faults: Vec::new(),
        }
    }

    /// Notes a webhook; gives the answer.
    fn hear(&mut self, received: &Received) -> u16 {
        self.requests += 1;
        let seq = received.seq();
        if !self.secret.as_ref().is_some_and(|secret| received.is_signed_with(secret)) {
            self.faults.push(format!("{seq} is not signed with the subscriber's secret"));
        }
        let id = self.ids.entry(seq).or_insert_with(|| received.id.clone());
        if *id != received.id {
            self.faults.push(format!("{seq} came as {id} and as {}", received.id));
        }
        let failures = self.failures.entry(seq).or_default();
        if self.fails && *failures < MOST_FAILURES && self.random.random_ratio(1, 3) {
            *failures += 1;
            return *FAILURES.choose(&mut self.random).unwrap();
        }
        if self.answered.insert(seq) {
            self.order.push(seq);
        } else {
            self.repeats += 1;
        }
        200
    }
}

/// A subscriber and its receiver.
struct Subscriber {
    heard: Arc<Mutex<Heard>>,
    /// The last event before it was added, and the last one that it need not have heard.
    created: (i64, i64),
    _receiver: Receiver,
}

/// The process, its subscribers, and what was asked of it.
struct Proof {
    upstream: Simulator,
    binary: Binary,
    serving: Serving,
    client: Client,
    file: SqliteConnection,
    subscribers: Vec<Subscriber>,
    /// The webhooks so far.
    webhooks: watch::Sender<u64>,
    jobs: Vec<String>,
    context: String,
}

impl Proof {
    async fn begin(seed: u64) -> Self {
        let (upstream, binary) = Scene::new()
            .index_delay(Duration::from_millis(40))
            .set("DISPATCH__PROBE_AFTER", "20ms")
            .set("RECONCILE__AFTER", "100ms")
            .set("FORWARD__ALLOW_PRIVATE", "true")
            .set("FORWARD__ALLOW_HTTP", "true")
            .set("FORWARD__FIRST_RETRY", "50ms")
            .binary()
            .await;
        let serving = binary.serve(&[]);
        let file = read(&binary.path("scrapehook.db")).await;
        let mut proof = Self {
            upstream,
            binary,
            serving,
            client: crate::support::client(),
            file,
            subscribers: Vec::new(),
            webhooks: watch::Sender::new(0),
            jobs: Vec::new(),
            context: format!("seed {seed}"),
        };
        for place in 0..SUBSCRIBERS {
            if place == SUBSCRIBERS / 2 {
                // The others must not hear of this one.
                proof.submit().await;
                proof.until_rest().await;
            }
            proof.add(Heard::new(place, seed)).await;
        }
        proof
    }

    /// Posts JSON; gives the answer, which must have this status.
    async fn post(&self, path: &str, body: &Value, status: u16) -> Value {
        let request = self.client.post(format!("{}{path}", self.serving.base)).json(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{}: {path}", self.context);
        answer.json().await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.serving.base)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}: {path}", self.context);
        answer.json().await.unwrap()
    }

    async fn add(&mut self, heard: Heard) {
        let heard = Arc::new(Mutex::new(heard));
        let (hearing, webhooks) = (heard.clone(), self.webhooks.clone());
        let receiver = Receiver::forgetful(move |received| {
            let answer = hearing.lock().unwrap().hear(received);
            webhooks.send_modify(|count| *count += 1);
            answer
        })
        .await;
        let before = self.last_seq().await;
        let body = json!({ "url": receiver.url("127.0.0.1", "/") });
        let added = self.post("/v1/subscribers", &body, 201).await;
        heard.lock().unwrap().secret = Some(added["secret"].as_str().unwrap().to_owned());
        let created = (before, self.last_seq().await);
        self.subscribers.push(Subscriber { heard, created, _receiver: receiver });
    }

    async fn submit(&mut self) {
        let first = self.jobs.len() * (URLS_PER_JOB - SHARED);
        let urls: Vec<_> = (first..first + URLS_PER_JOB)
            .map(|n| match n % 3 {
                0 => format!("https://www.tiktok.com/@user/video/73000000000{n:08}"),
                1 => format!("https://www.youtube.com/watch?v=video{n:06}"),
                _ => format!("https://www.instagram.com/p/Post{n:06}/"),
            })
            .collect();
        let job = self.post("/v1/jobs", &json!({ "video_urls": urls }), 202).await;
        self.jobs.push(job["id"].as_str().unwrap().to_owned());
    }

    async fn last_seq(&mut self) -> i64 {
        let last = sqlx::query_scalar("SELECT ifnull(max(seq), 0) FROM events");
        last.fetch_one(&mut self.file).await.unwrap()
    }

    /// Waits until every task has come to rest. It looks again after each event.
    async fn until_rest(&mut self) {
        let request = self.client.get(format!("{}/v1/events/stream", self.serving.base));
        let mut stream = Stream::open(request, None).await;
        while !moving(&mut self.file).await.is_empty() {
            stream.news().await;
        }
    }

    /// Waits for webhooks, until this is true. There must always be another one in time.
    async fn until_heard(&self, is_enough: impl Fn(u64) -> bool) {
        let mut webhooks = self.webhooks.subscribe();
        while !is_enough(*webhooks.borrow_and_update()) {
            let next = timeout(DEADLINE, webhooks.changed()).await;
            assert!(next.is_ok(), "{}: webhooks never came: {:?}", self.context, self.counts());
        }
    }

    /// Kills the process in the middle of what it does, and starts it again.
    fn kill(&mut self) {
        self.serving.end();
        self.serving = self.binary.serve(&[]);
    }

    /// Waits until every subscriber has answered 200 to every event, and nothing waits. No event tells the second.
    async fn until_all_is_heard(&mut self) -> i64 {
        let last = self.last_seq().await;
        self.until_heard(|_| {
            let missing = |subscriber: &Subscriber| {
                let heard = subscriber.heard.lock().unwrap();
                last - subscriber.created.1
                    - heard.answered.range(subscriber.created.1 + 1..=last).count() as i64
            };
            self.subscribers.iter().all(|subscriber| missing(subscriber) == 0)
        })
        .await;
        let nothing_waits = async {
            loop {
                let status = self.get("/v1/status").await;
                let deliveries = &status["webhooks"]["deliveries"];
                if deliveries["waiting"] == 0 {
                    assert_eq!(deliveries["dead"], 0, "{}: {status}", self.context);
                    return;
                }
            }
        };
        timeout(DEADLINE, nothing_waits).await.expect("nothing waits in the end");
        last
    }

    /// The requests and the repeats of each subscriber.
    fn counts(&self) -> Vec<(usize, usize)> {
        let counts = |subscriber: &Subscriber| {
            let heard = subscriber.heard.lock().unwrap();
            (heard.requests, heard.repeats)
        };
        self.subscribers.iter().map(counts).collect()
    }

    /// Each webhook is genuine, of an event after the subscriber's creation, and has an id of its own.
    fn assert_ids(&self) {
        let mut known: HashMap<String, (usize, i64)> = HashMap::new();
        for (place, subscriber) in self.subscribers.iter().enumerate() {
            let heard = subscriber.heard.lock().unwrap();
            assert!(heard.faults.is_empty(), "{}, subscriber {place}: {:?}", self.context, heard.faults);
            let first = heard.answered.first().unwrap();
            assert!(*first > subscriber.created.0, "{}, subscriber {place}: {first}", self.context);
            for (seq, id) in &heard.ids {
                let other = known.insert(id.clone(), (place, *seq));
                assert_eq!(other, None, "{}, subscriber {place}: {seq} and another have {id}", self.context);
            }
        }
    }

    /// The events that each job sees were first answered 200 in their order.
    async fn assert_order(&self) {
        let places = |subscriber: &Subscriber| -> BTreeMap<i64, usize> {
            let heard = subscriber.heard.lock().unwrap();
            heard.order.iter().enumerate().map(|(place, seq)| (*seq, place)).collect()
        };
        let places: Vec<_> = self.subscribers.iter().map(places).collect();
        for job in &self.jobs {
            let page = self.get(&format!("/v1/events?job={job}&limit=500")).await;
            let seqs: Vec<_> =
                page["items"].as_array().unwrap().iter().map(|event| event["seq"].as_i64()).collect();
            assert!(seqs.len() > URLS_PER_JOB - SHARED, "{job} has {} events", seqs.len());
            for (subscriber, places) in places.iter().enumerate() {
                let heard: Vec<_> =
                    seqs.iter().filter_map(|seq| Some((seq, places.get(&(*seq)?)?))).collect();
                assert!(
                    heard.is_sorted_by_key(|(_, place)| *place),
                    "{}, subscriber {subscriber}, {job}: (seq, place) {heard:?}",
                    self.context
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_it_tells_every_subscriber_of_every_event_in_the_order_of_each_job() {
    let (events, kills) =
        (number("SCRAPEHOOK_FORWARD_EVENTS", EVENTS), number("SCRAPEHOOK_FORWARD_KILLS", KILLS));
    let seed = number("SCRAPEHOOK_FORWARD_SEED", 17);
    let mut random = StdRng::seed_from_u64(seed);
    let mut proof = Proof::begin(seed).await;
    let began = Instant::now();
    // The last process has as many events of its own as the others.
    let round = events / (kills + 1);
    for _ in 0..kills {
        for _ in 0..round.div_ceil(EVENTS_PER_JOB) {
            proof.submit().await;
        }
        let before = *proof.webhooks.borrow();
        let more = random.random_range(1..=round * SUBSCRIBERS as u64 / 2);
        proof.until_heard(|count| count >= before + more).await;
        proof.kill();
    }
    while proof.last_seq().await < i64::try_from(events).unwrap() {
        for _ in 0..round.div_ceil(EVENTS_PER_JOB) {
            proof.submit().await;
        }
        proof.until_rest().await;
    }
    let last = proof.until_all_is_heard().await;
    let seconds = began.elapsed().as_secs_f64();
    proof.assert_ids();
    proof.assert_order().await;

    let counts = proof.counts();
    let requests: usize = counts.iter().map(|(requests, _)| requests).sum();
    let repeats: usize = counts.iter().map(|(_, repeats)| repeats).sum();
    println!(
        "{}: {last} events of {} jobs, {SUBSCRIBERS} subscribers, {kills} kills, {seconds:.1} s: \
         {requests} webhooks ({:.0}/s), {repeats} of them again after a 200",
        proof.context,
        proof.jobs.len(),
        requests as f64 / seconds,
    );
    let Proof { upstream, binary, serving, context, .. } = proof;
    assert_eq!(serving.terminate().0, 0, "{context}");
    let counts = assert_promises_were_kept(&upstream, &binary.path("scrapehook.db"), &context).await;
    println!(
        "{context}: {} submits, {} acknowledged callbacks, {} tasks unconfirmed",
        counts.submits, counts.acknowledged, counts.unconfirmed
    );
}
