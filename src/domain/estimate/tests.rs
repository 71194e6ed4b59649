//! The forecast against a plain model of the queue, which looks at every post each time.

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

/// Numbers that look random, the same ones for a seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap()
}

/// A queue of up to three keys, three priorities and four lines, whose requests take four posts.
fn queue(seed: u64) -> Queue {
    let mut numbers = Numbers(seed);
    let keys = 1 + numbers.below(3);
    let mut queue = Queue { size: 4, ..Queue::default() };
    let mut post = 0;
    for key in 0..keys {
        queue.clocks.insert(number(key), number(numbers.below(9)));
        for &priority in Priority::ALL {
            let since = NOW.before(Duration::from_secs(numbers.below(900) as u64));
            queue.since.insert((number(key), priority), since);
            for line in 0..4 {
                if numbers.below(3) > 0 {
                    continue;
                }
                let mut posts: [Vec<(i64, i64)>; TRAVELS] = Default::default();
                for place in 0..1 + numbers.below(20) {
                    // Of each line every second post is one that other groups can have as well.
                    post += 1;
                    let shared = number(10_000 * (line + 1) + numbers.below(12));
                    let wanted = if numbers.below(2) == 0 { shared } else { post };
                    let travel = numbers.below(20).saturating_sub(17);
                    // How a post travels is the post's own.
                    let travel = if wanted == shared { 0 } else { travel };
                    let all = &mut posts[travel];
                    if !all.iter().any(|(_, other)| *other == wanted) {
                        all.push((number(place / 4), wanted));
                    }
                }
                posts.iter_mut().for_each(|posts| posts.sort_unstable());
                queue.groups.push(Group {
                    number: number(queue.groups.len()),
                    key: number(key),
                    priority,
                    line: number(line),
                    served: number(numbers.below(7)),
                    is_paused: line == 3,
                    posts,
                });
            }
        }
        for _ in 0..numbers.below(3) {
            post += 2;
            queue.tasks.push(Task {
                key: number(key),
                priority: Priority::ALL[numbers.below(3)],
                served: number(numbers.below(7)) - 1,
                due: NOW.after(SECOND * u32::try_from(numbers.below(2) * 40).unwrap()),
                is_paused: numbers.below(4) == 0,
                posts: vec![post, post - 1],
            });
        }
    }
    queue
}

/// A group, or a task that waits, which may be next.
struct Head {
    clock: i64,
    key: i64,
    priority: Priority,
    served: i64,
    is_group: bool,
    place: usize,
}

/// The requests as the model sends them: each is the list of its posts.
fn sent_by_model(queue: &Queue) -> (Vec<Vec<i64>>, usize) {
    let mut queue = queue.clone();
    let (mut now, mut served, mut paused_from) = (NOW, 100, None);
    let mut requests: Vec<Vec<i64>> = Vec::new();
    loop {
        let mut heads: Vec<Head> = Vec::new();
        for (place, group) in queue.groups.iter().enumerate() {
            if !group.is_paused && group.posts.iter().any(|posts| !posts.is_empty()) {
                let Group { key, priority, served, .. } = *group;
                heads.push(Head { clock: queue.clocks[&key], key, priority, served, is_group: true, place });
            }
        }
        for (place, task) in queue.tasks.iter().enumerate() {
            if !task.is_paused && task.due <= now && !task.posts.is_empty() {
                let Task { key, priority, served, .. } = *task;
                heads.push(Head { clock: queue.clocks[&key], key, priority, served, is_group: false, place });
            }
        }
        let Some((_, key)) = heads.iter().map(|head| (head.clock, head.key)).min() else {
            let waiting = |task: &&Task| !task.is_paused && !task.posts.is_empty();
            let due = queue.tasks.iter().filter(waiting).map(|task| task.due).min();
            match due {
                Some(due) => now = now.max(due),
                None if paused_from.is_none() => {
                    paused_from = Some(requests.len());
                    queue.groups.iter_mut().for_each(|group| group.is_paused = false);
                    queue.tasks.iter_mut().for_each(|task| task.is_paused = false);
                }
                None => return (requests.clone(), paused_from.unwrap()),
            }
            continue;
        };
        heads.retain(|head| head.key == key);
        let priorities: BTreeSet<Priority> = heads.iter().map(|head| head.priority).collect();
        let classes =
            priorities.iter().map(|&priority| Class { priority, since: queue.since[&(key, priority)] });
        let first = order(classes.collect(), now)[0];
        heads.retain(|head| head.priority == first);
        // A task goes before a line that was served by the same request.
        let next = heads.iter().min_by_key(|head| (head.served, head.is_group, head.place));
        let &Head { is_group, place, .. } = next.unwrap();
        served += 1;
        let taken = if is_group {
            let taken = taken_by_model(&queue, place);
            for &(post, from) in &taken {
                *queue.clocks.get_mut(&queue.groups[from].key).unwrap() += 1;
                for group in &mut queue.groups {
                    if group.posts.iter().flatten().any(|(_, other)| *other == post) {
                        queue.since.insert((group.key, group.priority), now);
                    }
                    group.posts.iter_mut().for_each(|posts| posts.retain(|(_, other)| *other != post));
                }
            }
            queue.groups[place].served = served;
            taken.into_iter().map(|(post, _)| post).collect()
        } else {
            let posts = std::mem::take(&mut queue.tasks[place].posts);
            *queue.clocks.get_mut(&key).unwrap() += number(posts.len());
            posts
        };
        queue.since.insert((key, first), now);
        *queue.clocks.get_mut(&key).unwrap() += number(queue.size - taken.len());
        requests.push(taken);
        now = now.after(SECOND);
    }
}

fn taken_by_model(queue: &Queue, head: usize) -> Vec<(i64, usize)> {
    let Group { key, line, .. } = queue.groups[head];
    let mut groups: Vec<usize> = (0..queue.groups.len()).collect();
    groups.retain(|place| queue.groups[*place].line == line);
    groups.sort_by_key(|place| {
        let group = &queue.groups[*place];
        (*place != head, group.key != key, queue.clocks[&group.key], group.key, group.priority)
    });
    let mut waiting: Vec<(i64, usize, usize)> = Vec::new();
    for place in groups {
        let kinds = queue.groups[place].posts.iter().enumerate();
        let mut posts: Vec<(i64, i64, usize)> = kinds
            .flat_map(|(kind, posts)| posts.iter().map(move |&(turn, post)| (turn, post, kind)))
            .collect();
        posts.sort_unstable();
        for (_, post, kind) in posts {
            if !waiting.iter().any(|other| other.0 == post) {
                waiting.push((post, kind, place));
            }
        }
    }
    let waiting = waiting.into_iter().map(|(post, kind, place)| Waiting {
        post: (post, place),
        has_id: kind != SHORT_LINK,
        travels_alone: kind == ALONE,
    });
    form(waiting, queue.size, None)
}

#[test]
fn a_forecast_is_what_a_plain_model_of_the_queue_sends() {
    let (mut requests, mut with_pauses) = (0, 0);
    for seed in 0..2_000 {
        let queue = queue(seed);
        let (sent, paused_from) = sent_by_model(&queue);
        let forecast = queue.forecast(NOW, SECOND);
        assert_eq!(forecast.requests(), sent.len(), "seed {seed}");
        for (request, posts) in sent.iter().enumerate() {
            for &post in posts {
                let share = forecast.share([post]).unwrap();
                let is_paused = request >= paused_from;
                assert_eq!(
                    (share.ahead, share.left, share.is_paused),
                    (request, request + 1, is_paused),
                    "seed {seed}, post {post}"
                );
            }
        }
        requests += sent.len();
        with_pauses += usize::from(forecast.is_paused());
    }
    assert!(requests > 20_000 && with_pauses > 500, "{requests} requests, {with_pauses} with pauses");
}

fn group(line: i64, posts: std::ops::Range<i64>) -> Group {
    Group {
        number: line,
        key: 1,
        priority: Priority::Normal,
        line,
        served: 0,
        is_paused: false,
        posts: [posts.map(|post| (0, post)).collect(), Vec::new(), Vec::new()],
    }
}

#[test]
fn what_is_not_followed_is_packed() {
    let lines = number(FOLLOWED) + 500;
    let mut queue = Queue { size: 50, clocks: [(1, 0)].into(), ..Queue::default() };
    queue.groups = (0..lines).map(|line| group(line, line * 100..line * 100 + 60)).collect();
    // Each line is served once before one is served again.
    let forecast = queue.forecast(NOW, SECOND);
    assert_eq!(forecast.requests(), 2 * usize::try_from(lines).unwrap());
    let share = |line: i64| forecast.share(line * 100..line * 100 + 60).unwrap();
    let last = lines - 1;
    assert_eq!((share(0).ahead, share(last).left), (0, forecast.requests()));
    assert_eq!(share(last).ahead, usize::try_from(last).unwrap());
}

#[test]
fn what_was_not_read_needs_requests_as_well() {
    let mut queue = Queue { size: 50, clocks: [(1, 0)].into(), ..Queue::default() };
    queue.groups = vec![group(1, 0..100), group(2, 100..110)];
    queue.unread = [(1, 120)].into();
    assert_eq!(queue.forecast(NOW, SECOND).requests(), 6);
    assert_eq!(Queue::default().forecast(NOW, SECOND).requests(), 0);
}
