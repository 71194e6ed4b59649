//! Refused submits: innocent URLs are sent all the same, and trouble that is not about the URLs fails nothing.

use std::time::Duration;

use scrapehook::domain::job::JobState;
use scrapehook::domain::pause::Pause;
use scrapehook::simulator::Faults;
use scrapehook::store::Decision;
use scrapehook::workers::{Step, Worker};

use crate::support::Scene;
use crate::support::by_hand::{ByHand, bad, urls};
use crate::support::file::{HOUR, at};
use crate::support::rounds::stands;

#[tokio::test]
async fn one_bad_url_among_fifty_takes_at_most_fourteen_submits_and_fails_alone() {
    for number in [0, 24, 25, 49] {
        let faults = Faults { bad_urls: bad(&[number]), ..Faults::default() };
        let mut test = ByHand::start(faults).await;
        let job = test.job(&urls(0..50)).await;
        test.run(HOUR).await;
        let progress = test.progress(job).await;
        assert_eq!((progress.sent, progress.failed), (49, 1));
        assert_eq!(test.codes(job).await, [(("0003".to_owned(), true), 1)].into());
        assert!(test.upstream.submitted() <= 14, "{}", test.upstream.submitted());
        assert_eq!(test.upstream.charged().len(), 49);
        assert!(test.upstream.charged().values().all(|times| *times == 1));
        test.file.close().await;
    }
}

#[tokio::test]
async fn an_unclear_refusal_is_tried_again_before_the_request_is_split() {
    let faults = Faults { unclear_urls: bad(&[7]), ..Faults::default() };
    let mut test = ByHand::start(faults).await;
    let job = test.job(&urls(0..50)).await;
    test.run(HOUR).await;
    let progress = test.progress(job).await;
    assert_eq!((progress.sent, progress.failed), (49, 1));
    assert_eq!(test.codes(job).await, [(("0001".to_owned(), true), 1)].into());
    // Three more tries of the whole, six halvings, three more tries of the one.
    assert!(test.upstream.submitted() <= 19, "{}", test.upstream.submitted());
    test.file.close().await;
}

#[tokio::test]
async fn a_request_that_is_refused_once_is_sent_again_as_it_was() {
    let mut test = ByHand::start(Faults { refused: 1.0, ..Faults::default() }).await;
    let job = test.job(&urls(0..50)).await;
    test.run(Duration::ZERO).await;
    assert_eq!((test.upstream.submitted(), test.progress(job).await.waiting), (1, 50));
    test.upstream.set_faults(Faults::default());
    test.run(HOUR).await;
    assert_eq!((test.upstream.submitted(), test.progress(job).await.sent), (2, 50));
    let tasks = test.file.store.read().job(job).await.unwrap().unwrap().tasks.unwrap();
    assert_eq!(tasks.len(), 1);
    test.file.close().await;
}

#[tokio::test]
async fn an_hour_of_refusals_fails_nothing() {
    let mut test = ByHand::start(Faults { refused: 1.0, ..Faults::default() }).await;
    let one = test.job(&urls(0..60)).await;
    let other = test.job(&["https://youtu.be/abcdefghijk".to_owned()]).await;
    test.run(HOUR).await;
    let sent = test.upstream.submitted();
    assert!(sent <= 15, "{sent} submits in an hour that takes nothing");
    let [pause] = &test.pauses().await[..] else { panic!("one pause") };
    assert_eq!((&*pause.scope, &*pause.code), ("all", "0001"));
    for job in [one, other] {
        assert_eq!(
            (stands(&test.file, job).await.0, test.progress(job).await.failed),
            (JobState::Running, 0)
        );
    }
    test.upstream.set_faults(Faults::default());
    test.run(HOUR).await;
    assert_eq!(test.pauses().await, []);
    assert_eq!(test.upstream.charged().len(), 61);
    assert!(test.upstream.charged().values().all(|times| *times == 1));
    test.file.close().await;
}

#[tokio::test]
async fn an_operator_who_resumes_in_the_middle_of_trouble_fails_nothing() {
    for jobs in [vec![urls(0..120)], (0..9).map(|number| urls(number..number + 1)).collect()] {
        let mut test = ByHand::start(Faults { refused: 1.0, ..Faults::default() }).await;
        let mut made = Vec::new();
        for (number, urls) in jobs.into_iter().enumerate() {
            made.push(test.job_in(&format!("folder{number}"), &urls).await);
        }
        for _ in 0..6 {
            test.run(Duration::from_secs(20)).await;
            let before = test.upstream.submitted();
            test.file.store.decide(Decision::Resume, None, at(test.now)).await.unwrap();
            test.run(Duration::ZERO).await;
            let [pause] = &test.pauses().await[..] else { panic!("it is paused again") };
            assert_eq!((&*pause.scope, &*pause.code), ("all", "0001"));
            assert!(test.upstream.submitted() <= before + 2, "one more is enough, and a probe");
        }
        test.upstream.set_faults(Faults::default());
        test.run(HOUR).await;
        for job in made {
            let progress = test.progress(job).await;
            assert_eq!((progress.failed, progress.waiting), (0, 0));
        }
        assert!(test.upstream.charged().values().all(|times| *times == 1));
        test.file.close().await;
    }
}

#[tokio::test]
async fn an_operator_who_resumes_a_refused_folder_fails_nothing() {
    let faults = Faults { bad_folders: vec!["mine".to_owned()], ..Faults::default() };
    let mut test = ByHand::start(faults).await;
    let job = test.job_in("mine", &urls(0..150)).await;
    test.run(Duration::from_secs(10)).await;
    for _ in 0..6 {
        let before = test.upstream.submitted();
        test.file.store.decide(Decision::Resume, None, at(test.now)).await.unwrap();
        test.run(Duration::from_secs(5)).await;
        assert_eq!(test.pauses().await.len(), 1, "it is paused again");
        assert!(test.upstream.submitted() <= before + 2, "{} after {before}", test.upstream.submitted());
    }
    assert_eq!(test.progress(job).await.waiting, 150);
    test.upstream.set_faults(Faults::default());
    test.run(HOUR).await;
    assert_eq!((test.progress(job).await.sent, test.pauses().await), (150, vec![]));
    test.file.close().await;
}

#[tokio::test]
async fn tries_during_a_pause_are_not_counted() {
    let mut test = ByHand::start(Faults { refused: 1.0, ..Faults::default() }).await;
    let one = test.job(&urls(0..1)).await;
    let other = test.job(&["https://youtu.be/abcdefghijk".to_owned()]).await;
    // Each is a probe several times.
    test.run(HOUR).await;
    test.upstream.set_faults(Faults { unclear_urls: bad(&[0]), ..Faults::default() });
    let third = test.job(&urls(1..2)).await;
    let before = test.upstream.submitted();
    test.run(HOUR).await;
    assert_eq!((test.progress(other).await.sent, test.progress(third).await.sent), (1, 1));
    assert_eq!(test.codes(one).await, [(("0001".to_owned(), true), 1)].into());
    let tries = test.upstream.submitted() - before - 2;
    assert!((3..=6).contains(&tries), "a single post gets all its tries: {tries}");
    test.file.close().await;
}

#[tokio::test]
async fn two_bad_urls_alone_stop_nobody() {
    let faults = Faults { unclear_urls: bad(&[0, 1]), ..Faults::default() };
    let mut test = ByHand::start(faults).await;
    // Each in a request of its own, because each is of another folder.
    let mut jobs = Vec::new();
    for number in 0..7 {
        jobs.push(test.job_in(&format!("folder{number}"), &urls(number..number + 1)).await);
    }
    test.run(HOUR).await;
    for (number, job) in jobs.into_iter().enumerate() {
        let progress = test.progress(job).await;
        assert_eq!((progress.sent, progress.failed), if number < 2 { (0, 1) } else { (1, 0) }, "{number}");
    }
    assert_eq!(test.pauses().await, []);
    test.file.close().await;
}

#[tokio::test]
async fn what_is_still_set_aside_at_the_deadline_ends_in_doubt() {
    let mut test = ByHand::start(Faults { refused: 1.0, ..Faults::default() }).await;
    let one = test.job(&urls(0..1)).await;
    let other = test.job(&["https://youtu.be/abcdefghijk".to_owned()]).await;
    test.run(HOUR * 25).await;
    test.file.store.sweep(at(test.now)).await.unwrap();
    for job in [one, other] {
        assert_eq!(test.codes(job).await, [(("0001".to_owned(), false), 1)].into());
    }
    test.file.close().await;
}

#[tokio::test]
async fn a_folder_that_is_refused_is_one_problem_that_names_it() {
    let faults = Faults { bad_folders: vec!["mine".to_owned()], ..Faults::default() };
    let mut test = ByHand::start(faults).await;
    let job = test.job_in("mine", &urls(0..500)).await;
    test.run(Duration::from_secs(10)).await;
    let [pause] = &test.pauses().await[..] else { panic!("one pause") };
    assert!(Pause::line(&pause.scope).is_some() && pause.message.contains("\"mine\""), "{pause:?}");
    let sent = test.upstream.submitted();
    assert!(sent <= 50, "{sent} submits");
    // Others are sent meanwhile, whole.
    let others = test.job(&urls(500..600)).await;
    test.run(Duration::from_secs(10)).await;
    assert_eq!(test.progress(others).await.sent, 100);
    assert_eq!(test.progress(job).await.failed, 0);
    test.upstream.set_faults(Faults::default());
    test.run(HOUR).await;
    assert_eq!((test.progress(job).await.sent, test.pauses().await), (500, vec![]));
    test.file.close().await;
}

#[tokio::test]
async fn many_bad_urls_cost_no_more_than_a_bound_and_the_rest_is_in_doubt() {
    let all: Vec<usize> = (0..50).step_by(2).collect();
    let faults = Faults { bad_urls: bad(&all), ..Faults::default() };
    let mut test = ByHand::start(faults).await;
    let job = test.job(&urls(0..50)).await;
    test.run(HOUR).await;
    assert!(test.upstream.submitted() <= 33, "{}", test.upstream.submitted());
    assert_eq!(stands(&test.file, job).await.1.waiting, 0);
    assert!(test.codes(job).await.contains_key(&("0003".to_owned(), false)));
    test.file.close().await;
}

#[tokio::test]
async fn hosts_that_upstream_takes_for_platforms_are_told_apart() {
    let mut test = ByHand::start(Faults { hosts_are_platforms: true, ..Faults::default() }).await;
    let urls: Vec<String> = (0..20)
        .map(|number| match number % 2 {
            0 => format!("https://youtu.be/abcdefghi{number:02}"),
            _ => format!("https://www.youtube.com/watch?v=abcdefghi{number:02}"),
        })
        .collect();
    let job = test.job(&urls).await;
    test.run(HOUR).await;
    assert_eq!(test.progress(job).await.sent, 20);
    assert!(test.upstream.submitted() <= 6, "{}", test.upstream.submitted());
    test.file.close().await;
}

#[tokio::test]
async fn a_job_that_is_canceled_takes_its_urls_out_of_what_was_split() {
    let faults = Faults { bad_urls: bad(&[7]), ..Faults::default() };
    let mut test = ByHand::start(faults).await;
    let job = test.job(&urls(0..50)).await;
    let step = test.dispatcher.step(at(1)).await.unwrap();
    assert_eq!((step, test.progress(job).await.waiting), (Step::Worked, 50));
    test.file.store.decide(Decision::CancelJob(job), None, at(2)).await.unwrap();
    test.run(HOUR).await;
    assert_eq!((stands(&test.file, job).await.0, test.upstream.submitted()), (JobState::Canceled, 1));
    test.file.close().await;
}

#[tokio::test]
async fn a_refusal_that_was_charged_stops_what_would_pay_again() {
    let faults = Faults { refused_but_charged: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
    let job = service.submit(&urls(0..50)).await;
    // Its callbacks prove that it was taken before it is tried again.
    let status =
        service.until("/v1/status", |status: &serde_json::Value| status["problems"][0].is_object()).await;
    assert!(
        status["problems"][0]["detail"].as_str().unwrap().contains("accepted it all the same"),
        "{status}"
    );
    assert_eq!(service.until_settled(&job).await.state, "done");
    let charged = upstream.charged();
    assert!(charged.values().all(|times| *times == 1), "{charged:?}");
    // Whatever was not refused is sent.
    upstream.set_faults(Faults::default());
    let other = service.submit(&["https://youtu.be/abcdefghijk".to_owned()]).await;
    assert_eq!(service.until_settled(&other).await.state, "done");
    service.resume().await;
    service.stop().await;
}
