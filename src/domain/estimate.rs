//! Estimates: the order of the requests that send all waiting posts. Follows the queue's rules over a copy of it. Must
//! never decide about a request that is sent. The store does.
//!
//! Two things are not known here: the oldest want of a shared post, and posts that arrive meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::forecast::{Expected, Forecast};
use super::forming::{Waiting, form};
use super::queue::{Class, Priority, order};
use super::time::Timestamp;

/// Number of requests that are followed one by one. The rest is only packed.
const FOLLOWED: usize = 4_000;

/// How a post travels: with others, as a short link, alone.
const TRAVELS: usize = 3;
const SHORT_LINK: usize = 1;
const ALONE: usize = 2;

/// The posts of a line that an API key wants with one priority.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its number.
    pub number: i64,
    /// The number of the API key.
    pub key: i64,
    /// The priority.
    pub priority: Priority,
    /// The number of the line.
    pub line: i64,
    /// The request that it was at the head of last.
    pub served: i64,
    /// Whether a pause stops its line.
    pub is_paused: bool,
    /// Its posts, each with its turn: those that travel with others, short links, those that travel alone.
    pub posts: [Vec<(i64, i64)>; TRAVELS],
}

/// A task that waits for its next attempt.
#[derive(Clone, Debug)]
pub struct Task {
    /// The number of the API key.
    pub key: i64,
    /// The priority.
    pub priority: Priority,
    /// As in [`Group`].
    pub served: i64,
    /// When its next attempt may begin.
    pub due: Timestamp,
    /// Whether a pause stops it.
    pub is_paused: bool,
    /// Its posts.
    pub posts: Vec<i64>,
}

/// The whole queue.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// The clock of each API key.
    pub clocks: BTreeMap<i64, i64>,
    /// Time since which a priority of a key could have been served and was not.
    pub since: BTreeMap<(i64, Priority), Timestamp>,
    /// The groups.
    pub groups: Vec<Group>,
    /// The tasks, oldest first.
    pub tasks: Vec<Task>,
    /// Posts of lines that were not read, because there are too many.
    pub unread: BTreeMap<i64, usize>,
    /// Most URLs of a request.
    pub size: usize,
}

impl Queue {
    /// The requests that send all of it, one `interval` after the other from `now` on.
    pub fn forecast(&self, now: Timestamp, interval: Duration) -> Forecast {
        let mut scheduler = Scheduler::new(self, now);
        while scheduler.requests.len() < FOLLOWED && scheduler.step() {
            scheduler.now = scheduler.now.after(interval);
        }
        scheduler.pack();
        let paused_from = scheduler.paused_from.unwrap_or(scheduler.requests.len());
        Forecast::new(scheduler.requests, scheduler.sent.into_iter().collect(), paused_from)
    }
}

type OfKey = (i64, Priority);

/// The queue while its requests go out.
struct Scheduler<'a> {
    queue: &'a Queue,
    now: Timestamp,
    requests: Vec<Expected>,
    /// The posts that were sent, each with its request.
    sent: HashMap<i64, usize>,
    clocks: BTreeMap<i64, i64>,
    since: BTreeMap<OfKey, Timestamp>,
    /// The number of posts passed over per group and kind. All of them were sent.
    passed: Vec<[usize; TRAVELS]>,
    /// The groups that may have posts, by the request that served them last, their number and place.
    next: BTreeMap<OfKey, BTreeSet<(i64, i64, usize)>>,
    /// The waiting tasks, by the request that served them last and their place.
    tasks: BTreeMap<OfKey, BTreeSet<(i64, usize)>>,
    lines: BTreeMap<i64, Vec<usize>>,
    /// The groups of a post that has several.
    shared: HashMap<i64, Vec<usize>>,
    served: i64,
    /// From this request on, pauses are ignored, because nothing else is left.
    paused_from: Option<usize>,
}

/// A request that is not followed.
struct Packed {
    /// Its sort key: whether it waits for the end of a pause, its place in its line, and the last turn of the line.
    turn: (bool, usize, i64),
    expected: Expected,
    posts: Vec<i64>,
}

enum Head {
    Group(usize),
    Task(usize),
}

impl<'a> Scheduler<'a> {
    fn new(queue: &'a Queue, now: Timestamp) -> Self {
        let groups_served = queue.groups.iter().map(|group| group.served);
        let tasks_served = queue.tasks.iter().map(|task| task.served);
        let mut scheduler = Self {
            queue,
            now,
            requests: Vec::new(),
            sent: HashMap::with_capacity(
                queue.groups.iter().flat_map(|group| &group.posts).map(Vec::len).sum(),
            ),
            clocks: queue.clocks.clone(),
            since: queue.since.clone(),
            passed: vec![[0; TRAVELS]; queue.groups.len()],
            next: BTreeMap::new(),
            tasks: BTreeMap::new(),
            lines: BTreeMap::new(),
            shared: HashMap::new(),
            served: groups_served.chain(tasks_served).max().unwrap_or_default(),
            paused_from: None,
        };
        scheduler.wait(false);
        for (place, group) in queue.groups.iter().enumerate() {
            scheduler.lines.entry(group.line).or_default().push(place);
        }
        let several = scheduler.lines.values().filter(|groups| groups.len() > 1).flatten();
        let of_group =
            |&place: &usize| queue.groups[place].posts.iter().flatten().map(move |&(_, post)| (post, place));
        let mut posts: Vec<(i64, usize)> = several.flat_map(of_group).collect();
        posts.sort_unstable();
        let of_post = posts.chunk_by(|one, other| one.0 == other.0).filter(|groups| groups.len() > 1);
        scheduler.shared =
            of_post.map(|groups| (groups[0].0, groups.iter().map(|&(_, place)| place).collect())).collect();
        scheduler
    }

    /// Lets those wait that a pause stops, or those that none does. Returns whether there are any.
    fn wait(&mut self, is_paused: bool) -> bool {
        let mut are_any = false;
        for (place, group) in self.queue.groups.iter().enumerate() {
            if group.is_paused == is_paused {
                let next = self.next.entry((group.key, group.priority)).or_default();
                are_any |= next.insert((group.served, group.number, place));
            }
        }
        for (place, task) in self.queue.tasks.iter().enumerate() {
            if task.is_paused == is_paused {
                let tasks = self.tasks.entry((task.key, task.priority)).or_default();
                are_any |= tasks.insert((task.served, place));
            }
        }
        are_any
    }

    /// Sends the next request. Returns false if none is left.
    fn step(&mut self) -> bool {
        loop {
            if let Some(head) = self.head() {
                match head {
                    Head::Group(group) => self.send_of_line(group),
                    Head::Task(task) => self.send_task(task),
                }
                return true;
            }
            // Nothing can be sent now. The next task comes later, or a pause has to end.
            let tasks = self.tasks.values().flatten().map(|&(_, place)| self.queue.tasks[place].due);
            if let Some(due) = tasks.min() {
                self.now = self.now.max(due);
            } else if self.paused_from.is_none() && self.wait(true) {
                self.paused_from = Some(self.requests.len());
            } else {
                return false;
            }
        }
    }

    /// The next turn: the key with the lowest clock, its first priority, and among its lines and tasks the one that was
    /// served longest ago.
    fn head(&mut self) -> Option<Head> {
        let mut keys: Vec<(i64, i64)> = self.clocks.iter().map(|(&key, &clock)| (clock, key)).collect();
        keys.sort_unstable();
        for (_, key) in keys {
            let mut classes = Vec::new();
            let mut heads = BTreeMap::new();
            for &priority in Priority::ALL {
                let Some(head) = self.head_of((key, priority)) else { continue };
                let since = self.since.get(&(key, priority)).copied().unwrap_or(self.now);
                classes.push(Class { priority, since });
                heads.insert(priority, head);
            }
            if let Some(first) = order(classes, self.now).first() {
                return heads.remove(first);
            }
        }
        None
    }

    fn head_of(&mut self, class: OfKey) -> Option<Head> {
        let due = |&&(_, place): &&(i64, usize)| self.queue.tasks[place].due <= self.now;
        let task = self.tasks.get(&class).and_then(|tasks| tasks.iter().find(due)).copied();
        let group = loop {
            let Some(&(served, number, place)) = self.next.get(&class).and_then(BTreeSet::first) else {
                break None;
            };
            if self.pass(place) {
                break Some((served, place));
            }
            if let Some(groups) = self.next.get_mut(&class) {
                groups.remove(&(served, number, place));
            }
        };
        match (group, task) {
            (Some((served, group)), Some((of_task, _))) if served < of_task => Some(Head::Group(group)),
            (_, Some((_, task))) => Some(Head::Task(task)),
            (Some((_, group)), None) => Some(Head::Group(group)),
            (None, None) => None,
        }
    }

    /// Passes over sent posts. Returns whether a group has a post that was not sent.
    fn pass(&mut self, group: usize) -> bool {
        let mut has_posts = false;
        for (passed, posts) in self.passed[group].iter_mut().zip(&self.queue.groups[group].posts) {
            while posts.get(*passed).is_some_and(|(_, post)| self.sent.contains_key(post)) {
                *passed += 1;
            }
            has_posts |= *passed < posts.len();
        }
        has_posts
    }

    /// The posts of a group that can be in the next request, in the order of their turns.
    fn candidates(&mut self, group: usize) -> Vec<(i64, i64, usize)> {
        self.pass(group);
        let mut found = Vec::new();
        for (kind, posts) in self.queue.groups[group].posts.iter().enumerate() {
            let most = if kind == ALONE { 1 } else { self.queue.size };
            let waiting = posts[self.passed[group][kind]..].iter();
            let waiting = waiting.filter(|(_, post)| !self.sent.contains_key(post)).take(most);
            found.extend(waiting.map(|&(turn, post)| (turn, post, kind)));
        }
        found.sort_unstable();
        found
    }

    /// Sends posts of the line of a group, first of that group, then of its key by priority, then of the other keys.
    fn send_of_line(&mut self, head: usize) {
        let queue = self.queue;
        let group = &queue.groups[head];
        let mut groups: Vec<usize> = self.lines.get(&group.line).cloned().unwrap_or_default();
        groups.sort_by_key(|&place| {
            let other = &queue.groups[place];
            let clock = self.clocks.get(&other.key).copied().unwrap_or_default();
            (place != head, other.key != group.key, clock, other.key, other.priority)
        });
        let (mut found, mut seen, mut with_others) = (Vec::new(), BTreeSet::new(), 0);
        for place in groups {
            for (_, post, kind) in self.candidates(place) {
                if seen.insert(post) {
                    with_others += usize::from(kind == 0);
                    found.push((post, kind, place));
                }
            }
            if with_others >= queue.size {
                break;
            }
        }
        let waiting = found.iter().map(|&(post, kind, place)| Waiting {
            post: (post, place),
            has_id: kind != SHORT_LINK,
            travels_alone: kind == ALONE,
        });
        let taken = form(waiting, queue.size, None);
        let mut left = BTreeSet::from([head]);
        for &(post, place) in &taken {
            *self.clocks.entry(queue.groups[place].key).or_default() += 1;
            left.insert(place);
            left.extend(self.shared.get(&post).into_iter().flatten());
        }
        for place in left {
            self.since.insert((queue.groups[place].key, queue.groups[place].priority), self.now);
        }
        if let Some(next) = self.next.get_mut(&(group.key, group.priority)) {
            next.pop_first();
            self.served += 1;
            next.insert((self.served, group.number, head));
        }
        self.end(group.key, taken.into_iter().map(|(post, _)| post).collect(), None);
    }

    fn send_task(&mut self, place: usize) {
        let task = &self.queue.tasks[place];
        let class = (task.key, task.priority);
        if let Some(tasks) = self.tasks.get_mut(&class) {
            tasks.remove(&(task.served, place));
        }
        self.served += 1;
        self.since.insert(class, self.now);
        *self.clocks.entry(task.key).or_default() += count(task.posts.len());
        self.end(task.key, task.posts.clone(), Some(task.due));
    }

    /// Counts a request. The room that is left is the key's at its head.
    fn end(&mut self, key: i64, posts: Vec<i64>, not_before: Option<Timestamp>) {
        let room = self.queue.size.saturating_sub(posts.len());
        *self.clocks.entry(key).or_default() += count(room);
        let request = self.requests.len();
        self.requests.push(Expected { urls: posts.len(), not_before });
        self.sent.extend(posts.into_iter().map(|post| (post, request)));
    }

    /// Packs the rest. The lines take turns, and full requests of each go first.
    fn pack(&mut self) {
        let queue = self.queue;
        let mut packed: Vec<Packed> = Vec::new();
        let served: HashMap<usize, i64> =
            self.next.values().flatten().map(|&(served, _, place)| (place, served)).collect();
        let rest: BTreeSet<usize> = self.tasks.values().flatten().map(|&(_, place)| place).collect();
        let is_later = |is_paused| is_paused && self.paused_from.is_none();
        for (place, task) in queue.tasks.iter().enumerate() {
            if rest.contains(&place) || is_later(task.is_paused) {
                let expected = Expected { urls: task.posts.len(), not_before: Some(task.due) };
                let turn = (is_later(task.is_paused), 0, task.served);
                packed.push(Packed { turn, expected, posts: task.posts.clone() });
            }
        }
        for (line, groups) in &self.lines {
            let mut posts: Vec<(i64, i64, bool)> = Vec::new();
            let mut seen = BTreeSet::new();
            for &place in groups {
                for (kind, waiting) in queue.groups[place].posts.iter().enumerate() {
                    let waiting = waiting.iter().filter(|(_, post)| !self.sent.contains_key(post));
                    let new = waiting.filter(|(_, post)| seen.insert(*post));
                    posts.extend(new.map(|&(turn, post)| (turn, post, kind == ALONE)));
                }
            }
            posts.sort_unstable();
            let (alone, others): (Vec<_>, Vec<_>) = posts.into_iter().partition(|&(.., is_alone)| is_alone);
            let others: Vec<i64> = others.into_iter().map(|(_, post, _)| post).collect();
            let unread = queue.unread.get(line).copied().unwrap_or_default();
            let size = queue.size.max(1);
            let is_paused = groups.iter().all(|&place| is_later(queue.groups[place].is_paused));
            let total = others.len() + unread;
            let full = (0..total.div_ceil(size)).map(|place| {
                let range = place * size..((place + 1) * size).min(total);
                let read = range.start.min(others.len())..range.end.min(others.len());
                (range.len(), others[read].to_vec())
            });
            let alone = alone.into_iter().map(|(_, post, _)| (1, vec![post]));
            let served =
                groups.iter().filter_map(|place| served.get(place)).min().copied().unwrap_or_default();
            for (place, (urls, posts)) in full.chain(alone).enumerate() {
                let expected = Expected { urls, not_before: None };
                packed.push(Packed { turn: (is_paused, place, served), expected, posts });
            }
        }
        packed.sort_by_key(|packed| packed.turn);
        for Packed { turn: (is_paused, ..), expected, posts } in packed {
            let request = self.requests.len();
            if is_paused {
                self.paused_from.get_or_insert(request);
            }
            self.sent.extend(posts.into_iter().map(|post| (post, request)));
            self.requests.push(expected);
        }
    }
}

fn count(posts: usize) -> i64 {
    i64::try_from(posts).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
