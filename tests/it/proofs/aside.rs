//! Tasks that are set aside, or that wait where upstream refuses: nothing is repeated without end, paid twice or stuck.

use std::time::Duration;

use scrapehook::domain::callback::Meaning;
use scrapehook::domain::event::Source;
use scrapehook::domain::job::{JobState, Quality};
use scrapehook::domain::outcome::Failure;
use scrapehook::domain::task::TaskState;
use scrapehook::simulator::Faults;
use scrapehook::store::{
    Decision, FirstProbe, NewPause, NextRequest, Policy, Search, SubmitEnd, TaskFilter, Turn,
};

use crate::support::DEADLINE;
use crate::support::by_hand::{ByHand, bad, urls};
use crate::support::file::{File, HOUR, POLICY, at, callback};
use crate::support::rounds::stands;

fn shorts(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("https://www.youtube.com/watch?v=abcdefgh{number:03}")).collect()
}

fn refused(code: &str) -> SubmitEnd {
    SubmitEnd::refused(Failure::new(code, "no"), at(2))
}

#[tokio::test]
async fn a_platform_without_points_is_tried_by_its_probes_alone() {
    let mut test = ByHand::start(Faults { no_credits: 1.0, ..Faults::default() }).await;
    let canceled = test.job(&shorts(0..1)).await;
    test.run(Duration::ZERO).await;
    test.file.store.decide(Decision::CancelJob(canceled), None, at(test.now)).await.unwrap();
    // The next probe makes a task, which has to wait for the probe after it.
    test.job(&shorts(1..3)).await;
    test.run(HOUR).await;
    let sent = test.upstream.submitted();
    assert!((3..=12).contains(&sent), "{sent} submits in an hour");
    test.file.close().await;
}

#[tokio::test]
async fn nothing_that_was_refused_is_tried_once_a_refusal_was_charged() {
    let mut test = ByHand::start(Faults { refused: 1.0, ..Faults::default() }).await;
    let one = test.job(&urls(0..1)).await;
    let other = test.job(&shorts(0..1)).await;
    test.run(Duration::from_secs(5)).await;
    let job = test.file.store.read().job(one).await.unwrap().unwrap();
    let task = job.tasks.unwrap()[0].id;
    let callback = callback(task, test.now, Some(Meaning::Succeeded), "theirs");
    test.file.store.receive_callback(callback).await.unwrap();
    let scopes: Vec<String> = test.pauses().await.into_iter().map(|pause| pause.scope).collect();
    assert_eq!(scopes, ["all", "repeats"]);
    let sent = test.upstream.submitted();
    test.upstream.set_faults(Faults::default());
    test.run(HOUR).await;
    assert_eq!(test.upstream.submitted(), sent);
    assert_eq!(test.progress(other).await.waiting, 1);
    test.file.store.decide(Decision::Resume, None, at(test.now)).await.unwrap();
    test.run(HOUR).await;
    assert_eq!((test.upstream.submitted(), test.progress(other).await.sent), (sent + 1, 1));
    test.file.close().await;
}

#[tokio::test]
async fn after_a_resume_a_refused_request_that_may_be_charged_is_sent_once() {
    let faults = Faults { refused_but_charged: 1.0, ..Faults::default() };
    let mut test = ByHand::start(faults).await;
    let mut jobs = Vec::new();
    for number in 0..5 {
        let size = if number == 4 { 20 } else { 1 };
        jobs.push(test.job_in(&format!("folder{number}"), &urls(number..number + size)).await);
    }
    test.run(Duration::ZERO).await;
    let tasks = test.file.store.read().job(jobs[0]).await.unwrap().unwrap().tasks.unwrap();
    let callback = callback(tasks[0].id, test.now, Some(Meaning::Succeeded), "theirs");
    test.file.store.receive_callback(callback).await.unwrap();
    test.run(HOUR).await;
    for resumes in 1..=3 {
        test.file.store.decide(Decision::Resume, None, at(test.now)).await.unwrap();
        test.run(HOUR).await;
        assert_eq!(test.pauses().await.iter().filter(|pause| pause.scope == "repeats").count(), 1);
        let charged = test.upstream.charged();
        assert!(charged.values().all(|times| *times <= 1 + resumes), "{resumes}: {charged:?}");
        for number in 1..4 {
            assert_eq!(charged[&urls(number..number + 1)[0]], 1 + resumes, "it is sent once for each resume");
        }
    }
    // What was not refused before is sent meanwhile, and not repeated either.
    let fresh = urls(90..91);
    test.job_in("another", &fresh).await;
    test.run(HOUR).await;
    assert_eq!(test.upstream.charged()[&fresh[0]], 1);
    for job in &jobs[1..] {
        assert_eq!(test.progress(*job).await.failed, 0);
    }
    // The same holds for a request that is refused for the first time when nothing is paused.
    for job in &jobs {
        let tasks = test.file.store.read().job(*job).await.unwrap().unwrap().tasks.unwrap();
        for task in tasks.iter().filter(|task| task.state == TaskState::Queued) {
            test.file.store.decide(Decision::Cancel(task.id), None, at(test.now)).await.unwrap();
        }
    }
    test.file.store.decide(Decision::Resume, None, at(test.now)).await.unwrap();
    let later = urls(91..94);
    test.job_in("later", &later).await;
    test.run(HOUR).await;
    assert!(later.iter().all(|url| test.upstream.charged()[url] == 1), "{:?}", test.upstream.charged());
    assert_eq!(test.pauses().await.iter().filter(|pause| pause.scope == "repeats").count(), 1);
    test.upstream.set_faults(Faults::default());
    test.file.store.decide(Decision::Resume, None, at(test.now)).await.unwrap();
    test.run(HOUR).await;
    assert_eq!(test.pauses().await, []);
    for job in &jobs[1..] {
        assert_eq!(test.progress(*job).await.waiting, 0);
    }
    test.file.close().await;
}

#[tokio::test]
async fn a_pause_of_an_earlier_version_is_remembered_when_it_is_resumed() {
    let file = File::started().await;
    let pause = NewPause {
        scope: "repeats".to_owned(),
        failure: Failure::new("charged_refusal", "charged"),
        first_probe: FirstProbe::Later,
    };
    file.store.pause(pause, Source::Callback, at(1)).await.unwrap();
    file.store.decide(Decision::Resume, None, at(2)).await.unwrap();
    file.waiting_job(&urls(0..1), Quality::P360, false).await;
    let task = file.send(3).await.unwrap().task;
    file.submit(task, refused("0001")).await;
    assert!(file.send(1_000_000).await.is_none(), "nothing is sent again");
    file.close().await;
}

#[tokio::test]
async fn a_submit_in_flight_during_a_resume_is_not_repeated_once_a_refusal_was_charged() {
    let file = File::started().await;
    file.waiting_job(&urls(0..1), Quality::P360, false).await;
    let charged = file.send(1).await.unwrap().task;
    file.submit(charged, refused("0001")).await;
    file.store.receive_callback(callback(charged, 3, Some(Meaning::Succeeded), "theirs")).await.unwrap();
    file.waiting_job(&urls(1..2), Quality::P360, false).await;
    let in_flight = file.send(4).await.unwrap().task;
    file.store.decide(Decision::Resume, None, at(5)).await.unwrap();
    assert_eq!(file.store.read().pauses().await.unwrap(), []);
    file.submit(in_flight, refused("0001")).await;
    let scopes: Vec<String> =
        file.store.read().pauses().await.unwrap().into_iter().map(|pause| pause.scope).collect();
    assert_eq!((file.state(in_flight).await, scopes), (TaskState::Queued, vec!["repeats".to_owned()]));
    assert!(file.send(1_000_000).await.is_none(), "nothing is sent again");
    file.close().await;
}

#[tokio::test]
async fn another_code_of_a_probe_leaves_nothing_behind_that_was_set_aside() {
    let faults = Faults { unclear_urls: bad(&[0, 1]), bad_urls: bad(&[2]), ..Faults::default() };
    let mut test = ByHand::start(faults).await;
    let mut jobs = Vec::new();
    for number in 0..4 {
        jobs.push(test.job_in(&format!("folder{number}"), &urls(number..number + 1)).await);
    }
    test.run(HOUR).await;
    let mut codes = Vec::new();
    for job in &jobs {
        codes.extend(test.codes(*job).await.into_keys());
    }
    let certain = |code: &str| (code.to_owned(), true);
    assert_eq!(codes, [certain("0001"), certain("0001"), certain("0003")]);
    assert_eq!((test.progress(jobs[3]).await.sent, test.pauses().await), (1, vec![]));
    test.file.close().await;
}

#[tokio::test]
async fn parts_that_were_never_sent_end_at_the_deadline_too() {
    let faults = Faults { bad_folders: vec!["mine".to_owned()], ..Faults::default() };
    let mut test = ByHand::start(faults).await;
    let job = test.job_in("mine", &urls(0..100)).await;
    test.run(Duration::from_secs(10)).await;
    assert_eq!(test.pauses().await.len(), 1);
    // The service was down for a day.
    test.now += 25 * i64::try_from(HOUR.as_millis()).unwrap();
    for _ in 0..3 {
        test.file.store.sweep(at(test.now)).await.unwrap();
    }
    assert_eq!(test.codes(job).await, [(("0003".to_owned(), false), 100)].into());
    test.file.close().await;
}

#[tokio::test]
async fn only_refusals_are_tries() {
    let file = File::started().await;
    file.waiting_job(&urls(0..1), Quality::P360, false).await;
    let mut task = file.send(1).await.unwrap().task;
    for millis in 2..6 {
        let limited = SubmitEnd::Deferred(Failure::new("0429", "slow down"), Duration::ZERO);
        file.submit(task, limited).await;
        task = file.send(millis).await.unwrap().task;
    }
    file.submit(task, refused("0001")).await;
    assert_eq!(file.state(task).await, TaskState::Queued);
    file.close().await;
}

async fn form(file: &File, millis: i64, left_today: Option<usize>) -> Option<Vec<String>> {
    let search = Search::default();
    let turn = file.store.read().next_turn(&search, at(millis), HOUR).await.unwrap()?.turn;
    let next = NextRequest::new(turn, at(millis), left_today);
    file.store.form(next).await.unwrap().map(|request| request.urls)
}

#[tokio::test]
async fn a_task_that_was_refused_is_not_cut_to_the_budget() {
    let file = File::started().await;
    file.waiting_job(&urls(0..3), Quality::P360, false).await;
    let task = file.send(1).await.unwrap().task;
    file.submit(task, refused("0001")).await;
    assert_eq!(form(&file, 2_000, Some(1)).await, None);
    assert_eq!(form(&file, 60_000, None).await, Some(urls(0..3)));
    file.close().await;
}

#[tokio::test]
async fn a_refused_task_that_no_day_has_room_for_is_sent_in_parts() {
    let file = File::started().await;
    let job = file.waiting_job(&urls(0..50), Quality::P360, false).await;
    let task = file.send(1).await.unwrap().task;
    file.submit(task, refused("0001")).await;
    let folder = file.close().await;
    // Now a day's budget is smaller.
    let policy = Policy { urls_per_task: 30, ..POLICY };
    let mut file = File::open_with(folder, policy).await;
    file.run();
    assert_eq!(form(&file, 2_000, Some(30)).await, None);
    let parts = [form(&file, 2_001, Some(30)).await.unwrap(), form(&file, 2_002, Some(30)).await.unwrap()];
    assert_eq!(parts.map(|urls| urls.len()), [25, 25]);
    assert_eq!(file.state(task).await, TaskState::Rejected);
    // The refused submit was taken after all: its parts are known to be paid for as well.
    file.store.receive_callback(callback(task, 3_000, Some(Meaning::Succeeded), "theirs")).await.unwrap();
    let (state, progress) = stands(&file, job).await;
    assert_eq!((state, progress.failed, progress.waiting), (JobState::Running, 0, 0));
    file.close().await;
}

#[tokio::test]
async fn a_refused_task_that_is_put_off_for_the_budget_is_due_when_the_day_begins() {
    let file = File::started().await;
    file.waiting_job(&urls(0..3), Quality::P360, false).await;
    let task = file.send(1).await.unwrap().task;
    file.submit(task, refused("0001")).await;
    let midnight = at(0).next_day();
    let before = midnight.as_millis() - at(0).as_millis() - 5_000;
    assert_eq!(form(&file, before, Some(1)).await, None);
    let next = file.store.read().next_turn(&Search::default(), at(before), HOUR).await.unwrap().unwrap();
    assert_eq!((next.turn, next.due), (Turn::Task(task), midnight));
    file.close().await;
}

#[tokio::test]
async fn an_operators_pause_ends_nothing_that_was_set_aside() {
    let mut test = ByHand::start(Faults { refused: 1.0, ..Faults::default() }).await;
    let one = test.job(&urls(0..1)).await;
    let other = test.job(&shorts(0..1)).await;
    test.run(Duration::from_secs(5)).await;
    test.file.store.decide(Decision::Pause, None, at(test.now)).await.unwrap();
    test.now += 75 * i64::try_from(HOUR.as_millis()).unwrap();
    test.file.store.sweep(at(test.now)).await.unwrap();
    test.upstream.set_faults(Faults::default());
    test.file.store.decide(Decision::Resume, None, at(test.now)).await.unwrap();
    test.file.store.sweep(at(test.now)).await.unwrap();
    test.run(HOUR).await;
    for job in [one, other] {
        assert_eq!(test.progress(job).await.sent, 1);
    }
    test.file.close().await;
}

#[tokio::test]
async fn a_post_whose_own_round_was_taken_after_all_leaves_the_line() {
    let file = File::started().await;
    let job = file.waiting_job(&urls(0..4), Quality::P360, false).await;
    let task = file.send(1).await.unwrap().task;
    file.submit(task, refused("0003")).await;
    // A part is cut to the budget: one of its posts waits in the line again.
    let cut = form(&file, 3, Some(1)).await.unwrap();
    assert_eq!(cut.len(), 1);
    let filter = TaskFilter { state: Some(TaskState::Submitting), limit: 9, ..TaskFilter::default() };
    let part = file.store.read().tasks(&filter).await.unwrap()[0].id;
    file.submit(part, refused("0003")).await;
    file.store.receive_callback(callback(task, 4, Some(Meaning::Succeeded), "theirs")).await.unwrap();
    file.store.decide(Decision::Resume, None, at(5)).await.unwrap();
    let rest = tokio::time::timeout(DEADLINE, file.send_all(6)).await.unwrap();
    assert!(rest.is_empty(), "it is paid for once");
    let (state, progress) = stands(&file, job).await;
    assert_eq!((state, progress.waiting), (JobState::Running, 0));
    file.close().await;
}
