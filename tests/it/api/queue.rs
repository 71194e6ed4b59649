//! The queue is fair: between API keys, between priorities, between lines and between jobs.

use std::collections::BTreeMap;

use scrapehook::domain::job::{JobOptions, Quality};
use scrapehook::domain::outcome::Failure;
use scrapehook::domain::queue::Priority;
use scrapehook::store::{Decision, FirstProbe, NewPause, NextRequest, Request, Search};

use crate::support::file::{File, HOUR, at};
use crate::support::queue::{ask, ask_with, post, requests_until};

#[tokio::test]
async fn a_thousand_jobs_of_one_url_leave_in_twenty_requests() {
    let file = File::started().await;
    for number in 0..1_000 {
        ask(&file, &format!("key{}", number % 7), Priority::Normal, vec![post(0, number)]).await;
    }
    let mut sizes = Vec::new();
    while let Some(request) = file.send(1).await {
        sizes.push(request.urls.len());
    }
    assert_eq!(sizes, [50; 20]);
    file.close().await;
}

#[tokio::test]
async fn a_single_url_never_waits_behind_a_large_job() {
    let file = File::started().await;
    // So many URLs in each of three lines, some of each in every request of the job's own order.
    let large = (0..3_000).map(|number| post(number % 3, number / 3)).collect();
    ask(&file, "key0", Priority::Normal, large).await;
    for number in 0..5 {
        let request = file.send(1).await.unwrap();
        assert_eq!(request.urls.len(), 50, "request {number}");
        file.accept(request.task).await;
    }
    for key in 0..10 {
        for line in 0..4 {
            let url = post(line, 10_000 + key);
            ask(&file, &format!("key{key}"), Priority::Normal, vec![url.clone()]).await;
            let requests = requests_until(&file, &url).await;
            // The large job's own key takes turns between its lines.
            let most = if key == 0 { 3 } else { 2 };
            assert!(requests <= most, "key {key}, line {line}: {requests} requests");
        }
    }
    file.close().await;
}

/// How often each key was at the head of a request, by the host that only it asks for.
fn count(requests: &[Request], line: usize) -> usize {
    let host = post(line, 0);
    let host = host.split('/').nth(2).unwrap();
    requests.iter().filter(|request| request.urls[0].contains(host)).count()
}

#[tokio::test]
async fn a_key_that_sends_one_url_at_a_time_gets_its_share_and_no_more() {
    let file = File::started().await;
    ask(&file, "many", Priority::Normal, (0..2_000).map(|number| post(0, number)).collect()).await;
    let mut requests = Vec::new();
    for number in 0..40 {
        ask(&file, "few", Priority::Normal, vec![post(1, number)]).await;
        requests.extend(file.send(1).await);
    }
    let few = count(&requests, 1);
    assert!((19..=21).contains(&few), "{few} of 40 requests");
    assert_eq!(count(&requests, 0), 40 - few);
    file.close().await;
}

#[tokio::test]
async fn a_key_that_was_away_has_saved_no_turns() {
    let file = File::started().await;
    ask(&file, "away", Priority::Normal, vec![post(1, 0)]).await;
    ask(&file, "busy", Priority::Normal, (0..5_000).map(|number| post(0, number)).collect()).await;
    for _ in 0..40 {
        file.send(1).await.unwrap();
    }
    ask(&file, "away", Priority::Normal, (1..2_000).map(|number| post(1, number)).collect()).await;
    let mut requests = Vec::new();
    for _ in 0..20 {
        requests.extend(file.send(1).await);
    }
    assert!((9..=11).contains(&count(&requests, 1)), "{} of 20", count(&requests, 1));
    file.close().await;
}

#[tokio::test]
async fn priorities_are_served_in_their_order_and_none_starves() {
    let file = File::started().await;
    ask(&file, "key", Priority::Low, vec![post(1, 0)]).await;
    ask(&file, "key", Priority::Normal, vec![post(2, 0)]).await;
    let high = (0..60_000 / 50).map(|number| post(0, number)).collect();
    ask(&file, "key", Priority::High, high).await;
    // A request a minute: what is urgent goes first for ten minutes.
    let minute = 60_000;
    let mut heads = Vec::new();
    for time in 0..14 {
        let request = file.send(time * minute).await.unwrap();
        heads.push(request.platform.to_string());
        file.accept(request.task).await;
    }
    assert!(heads[..10].iter().all(|head| head == "tiktok"), "{heads:?}");
    assert_eq!(heads[10..12], ["instagram", "youtube"], "after ten minutes: {heads:?}");
    assert!(heads[12..].iter().all(|head| head == "tiktok"), "once: {heads:?}");
    file.close().await;
}

#[tokio::test]
async fn a_pause_and_a_restart_change_no_order() {
    let mut orders = Vec::new();
    for is_paused in [false, true] {
        let mut file = File::started().await;
        ask(&file, "a", Priority::Low, (0..60).map(|number| post(0, number)).collect()).await;
        ask(&file, "a", Priority::Normal, (0..60).map(|number| post(1, number)).collect()).await;
        ask(&file, "b", Priority::Normal, (0..60).map(|number| post(2, number)).collect()).await;
        let mut order = vec![file.send(1).await.unwrap().urls];
        let mut now = 2;
        if is_paused {
            let hours = 8 * i64::try_from(HOUR.as_millis()).unwrap();
            file.store.decide(Decision::Pause, None, at(now)).await.unwrap();
            file = File::open(file.close().await).await;
            file.run();
            now += hours;
            file.store.decide(Decision::Resume, None, at(now)).await.unwrap();
        }
        while let Some(request) = file.send(now).await {
            order.push(request.urls);
        }
        orders.push(order);
        file.close().await;
    }
    assert_eq!(orders[0], orders[1]);
}

#[tokio::test]
async fn what_a_paused_platform_waited_for_is_no_claim() {
    use scrapehook::domain::event::Source;
    let file = File::started().await;
    ask(&file, "key", Priority::Low, vec![post(1, 0)]).await;
    ask(&file, "key", Priority::High, (0..500).map(|number| post(0, number)).collect()).await;
    let pause = NewPause {
        scope: "youtube".to_owned(),
        failure: Failure::new("0402", "no points"),
        first_probe: FirstProbe::Later,
    };
    file.store.pause(pause, Source::Submit, at(1)).await.unwrap();
    let hour = i64::try_from(HOUR.as_millis()).unwrap();
    let heads = async |millis| file.send(millis).await.unwrap().platform.to_string();
    assert_eq!(heads(hour).await, "tiktok", "nothing looks for a paused platform");
    file.store.resume("youtube".to_owned(), Source::Submit, at(hour + 1)).await.unwrap();
    assert_eq!(heads(hour + 2).await, "tiktok", "the time of the pause does not count");
    assert_eq!(heads(hour + 600_002).await, "youtube");
    file.close().await;
}

#[tokio::test]
async fn a_paused_platform_is_tried_when_its_probe_is_due_and_by_one_post_of_it() {
    use scrapehook::domain::event::Source;
    let file = File::started().await;
    ask(&file, "key", Priority::Normal, vec![post(1, 0)]).await;
    ask(&file, "key", Priority::Normal, vec![post(0, 0)]).await;
    let pause = NewPause {
        scope: "youtube".to_owned(),
        failure: Failure::new("0402", "no points"),
        first_probe: FirstProbe::Later,
    };
    file.store.pause(pause, Source::Submit, at(1)).await.unwrap();
    let search = Search { probes: vec!["youtube".to_owned()], ..Search::default() };
    let turn = file.store.read().next_turn(&search, at(2), HOUR).await.unwrap().unwrap().turn;
    let next = NextRequest::new(turn, at(2), None);
    let request = file.store.form(next).await.unwrap().unwrap();
    assert_eq!(request.platform.to_string(), "youtube");
    file.close().await;
}

#[tokio::test]
async fn a_shared_post_waits_in_the_best_priority_and_turn_of_each_key() {
    let file = File::started().await;
    let shared = post(0, 499);
    ask(&file, "slow", Priority::Low, (0..500).map(|number| post(0, number)).collect()).await;
    ask(&file, "slow", Priority::High, vec![shared.clone()]).await;
    assert_eq!(requests_until(&file, &shared).await, 1);
    // Whoever cancels takes the priority along.
    let other = post(0, 498);
    let canceled = ask(&file, "slow", Priority::High, vec![other.clone()]).await;
    file.store.decide(Decision::CancelJob(canceled), None, at(2)).await.unwrap();
    let request = file.send(3).await.unwrap();
    assert!(!request.urls.contains(&other), "it waits where it has waited before");
    file.close().await;
}

#[tokio::test]
async fn a_request_is_filled_by_the_key_at_its_head_and_then_by_the_others() {
    let file = File::started().await;
    for (key, numbers) in [("one", 0..10), ("two", 10..20), ("three", 20..100)] {
        ask(&file, key, Priority::Normal, numbers.map(|number| post(0, number)).collect()).await;
    }
    let first = file.send(1).await.unwrap();
    let wanted: Vec<String> = (0..50).map(|number| post(0, number)).collect();
    assert_eq!(first.urls, wanted);
    file.close().await;
}

#[tokio::test]
async fn jobs_of_a_line_take_turns_by_requests() {
    let file = File::started().await;
    ask(&file, "key", Priority::Normal, (0..150).map(|number| post(0, number)).collect()).await;
    ask(&file, "key", Priority::Normal, (150..300).map(|number| post(0, number)).collect()).await;
    let mut first = Vec::new();
    while let Some(request) = file.send(1).await {
        first.push(request.urls[0].clone());
    }
    assert_eq!(first, [0, 150, 50, 200, 100, 250].map(|number| post(0, number)));
    file.close().await;
}

#[tokio::test]
async fn a_better_quality_moves_a_post_to_another_line_of_every_key() {
    let file = File::started().await;
    ask(&file, "one", Priority::Normal, vec![post(0, 0), post(0, 1)]).await;
    let options = JobOptions { quality: Quality::P720, ..JobOptions::default() };
    ask_with(&file, "two", options, vec![post(0, 0)]).await;
    let sent: BTreeMap<_, _> = [file.send(1).await.unwrap(), file.send(1).await.unwrap()]
        .into_iter()
        .map(|request| (request.quality, request.urls))
        .collect();
    assert_eq!(sent[&Quality::P360], [post(0, 1)]);
    assert_eq!(sent[&Quality::P720], [post(0, 0)]);
    assert!(file.send(2).await.is_none());
    file.close().await;
}

#[tokio::test]
async fn whoever_sends_is_woken_by_what_can_be_sent_and_by_nothing_else() {
    use crate::support::file::{callback, indexed};
    let file = File::started().await;
    let mut changes = file.store.queue_changes();
    ask(&file, "key", Priority::Normal, vec![post(0, 0)]).await;
    assert!(changes.has_changed().unwrap(), "a job");
    let task = file.send(1).await.unwrap().task;
    file.accept(task).await;
    changes.mark_unchanged();
    for (millis, video) in [(3, "v"), (4, "w")] {
        file.store.receive_callback(callback(task, millis, indexed(video), "upstream")).await.unwrap();
    }
    assert!(!changes.has_changed().unwrap(), "callbacks");
    file.store.decide(Decision::Pause, None, at(5)).await.unwrap();
    changes.mark_unchanged();
    file.store.decide(Decision::Resume, None, at(6)).await.unwrap();
    assert!(changes.has_changed().unwrap(), "the end of a pause");
    file.close().await;
}
