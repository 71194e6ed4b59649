//! The queue, driven by hand: posts, who asks for them, and when they are sent.

use scrapehook::domain::id::JobId;
use scrapehook::domain::job::JobOptions;
use scrapehook::domain::plan::fold;
use scrapehook::domain::queue::Priority;
use scrapehook::domain::url::PostUrl;
use scrapehook::store::{CreatedJob, NewJob};

use super::file::{File, at};

/// A post of each platform that the table knows, by number.
pub fn post(line: usize, number: usize) -> String {
    let number = number + 1;
    match line {
        0 => format!("https://www.tiktok.com/@u/video/{number}"),
        1 => format!("https://www.youtube.com/watch?v=a{number:010}"),
        2 => format!("https://www.instagram.com/p/C{number:010}"),
        _ => format!("https://host{line}.example/{number}"),
    }
}

pub async fn ask(file: &File, key: &str, priority: Priority, urls: Vec<String>) -> JobId {
    let options = JobOptions { priority, ..JobOptions::default() };
    ask_with(file, key, options, urls).await
}

pub async fn ask_with(file: &File, key: &str, options: JobOptions, urls: Vec<String>) -> JobId {
    let job = NewJob {
        id: JobId::new(at(0)),
        at: at(0),
        created_by: Some(key.to_owned()),
        options,
        urls: fold(urls.iter().map(|url| PostUrl::parse(url).unwrap()).collect()),
        force: false,
        callback: None,
        idempotency: None,
    };
    let CreatedJob::New(job) = file.store.create_job(job).await.unwrap() else { panic!("not new") };
    job.id
}

/// Requests until this URL was sent, at most ten.
pub async fn requests_until(file: &File, url: &str) -> usize {
    for count in 1..=10 {
        let request = file.send(1).await.unwrap();
        file.accept(request.task).await;
        if request.urls.iter().any(|sent| sent == url) {
            return count;
        }
    }
    panic!("{url} was not sent")
}
