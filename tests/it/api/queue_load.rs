//! The next request is found and formed in the same time, however much waits. `SCRAPEHOOK_QUEUE` is how many posts
//! wait; it prints medians, which say little in a debug build.

use std::time::{Duration, Instant};

use scrapehook::domain::event::Source;
use scrapehook::domain::outcome::Failure;
use scrapehook::domain::queue::Priority;
use scrapehook::store::{FirstProbe, NewPause, NextRequest, Search};

use crate::support::file::{File, HOUR, at};
use crate::support::queue::{ask, post};

/// So many URLs a job has at most.
const JOB: usize = 10_000;

/// Finds and forms requests; gives the median times of both and of a commit of one row beside them, and how many posts
/// were taken.
async fn form(file: &File, requests: usize) -> ([Duration; 3], usize) {
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    let mut taken = 0;
    for _ in 0..requests {
        let began = Instant::now();
        let search = Search::default();
        let turn = file.store.read().next_turn(&search, at(9), HOUR).await.unwrap().unwrap().turn;
        times[0].push(began.elapsed());
        let next = NextRequest::new(turn, at(9), None);
        let began = Instant::now();
        let request = file.store.form(next).await.unwrap().unwrap();
        times[1].push(began.elapsed());
        file.accept(request.task).await;
        taken += request.urls.len();
        let began = Instant::now();
        file.store.prove(at(9)).await.unwrap();
        times[2].push(began.elapsed());
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    (times.each_mut().map(median), taken)
}

#[tokio::test]
async fn the_next_request_is_found_and_formed_whatever_waits() {
    let count = std::env::var("SCRAPEHOOK_QUEUE").map_or(2_000, |count| count.parse().unwrap());
    let file = File::started().await;
    let mut longest = Duration::ZERO;
    for (number, first) in (0..count).step_by(JOB.min(count / 10)).enumerate() {
        let urls = first..count.min(first + JOB.min(count / 10));
        // Two lines of three are youtube's and tiktok's.
        let urls = urls.map(|url| post(url % 3, url)).collect();
        let began = Instant::now();
        let priority = Priority::ALL[number % 3];
        ask(&file, &format!("key{}", number % 10), priority, urls).await;
        longest = longest.max(began.elapsed());
    }
    let (times, taken) = form(&file, 21).await;
    assert_eq!(taken, 21 * 50);
    let [found, formed, commit] = times;
    println!("{count} wait: found in {found:?}, formed in {formed:?}, a commit of one row in {commit:?}");
    println!("a job taken in {longest:?}");
    for scope in ["youtube", "tiktok"] {
        let failure = Failure::new("0402", "no points");
        let pause = NewPause { scope: scope.to_owned(), failure, first_probe: FirstProbe::Later };
        let began = Instant::now();
        file.store.pause(pause, Source::Submit, at(9)).await.unwrap();
        println!("{scope} paused in {:?}", began.elapsed());
    }
    let ([found, formed, commit], _) = form(&file, 5).await;
    println!("two thirds of them paused: found in {found:?}, formed in {formed:?}, a commit in {commit:?}");
    file.close().await;
}
