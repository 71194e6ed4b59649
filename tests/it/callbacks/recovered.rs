//! Tasks that are known from their callbacks alone, because the file was restored from an older copy.

use scrapehook::domain::destination::Destination;
use scrapehook::domain::id::{JobId, TaskId};
use scrapehook::domain::job::{JobOptions, JobState, Quality};
use scrapehook::domain::video::VideoState::{Failed, Indexing};

use crate::support::file::{File, at, callback, indexed, listed};
use crate::support::rounds::{X, Y, retry, stands, wanted};

/// A job whose URLs wait for a folder, as far as no attempt has them.
async fn wanted_in(file: &File, folder: &str, urls: &[&str]) -> JobId {
    let options = JobOptions { unique_id: Some(folder.to_owned()), ..JobOptions::default() };
    let urls: Vec<_> = urls.iter().map(|url| (*url).to_owned()).collect();
    file.waiting_job_with(&urls, options, false).await
}

/// A task of an old token, which does not say the folder. Polls have listed these URLs.
async fn recovered(file: &File, urls: &[&str]) -> TaskId {
    let task = TaskId::new(at(0));
    file.store.receive_callback(callback(task, 1, indexed("elsewhere"), "theirs")).await.unwrap();
    let videos: Vec<_> = urls.iter().map(|url| (*url, Indexing, *url)).collect();
    file.store.record_poll(file.due().await.unwrap(), at(2), at(2), listed(&videos)).await.unwrap();
    task
}

#[tokio::test]
async fn a_retry_of_a_task_of_some_private_folder_sends_to_the_folders_of_its_jobs() {
    let file = File::started().await;
    let task = recovered(&file, &[X, Y]).await;
    // Whoever wants them in whichever private folder waits for this task: doubt never spends money.
    let jobs = [
        wanted_in(&file, "one", &[X, Y]).await,
        wanted_in(&file, "two", &[X]).await,
        wanted(&file, &[X], Quality::P360, false).await,
    ];
    assert!(file.send(3).await.is_none());
    let failed = listed(&[(X, Failed, X), (Y, Failed, Y)]);
    file.store.record_poll(file.due().await.unwrap(), at(4), at(4), failed).await.unwrap();
    let (is_made, new) = retry(&file, task, 5).await;
    assert!(is_made);
    // The new task is the oldest job's; the others' posts wait in the lines of their folders.
    let mut requests = Vec::new();
    while let Some(request) = file.send(6).await {
        file.accept(request.task).await;
        requests.push(request);
    }
    assert_eq!(requests[0].task, new);
    let sent = requests.iter().map(|request| (request.destination.clone(), request.urls.clone()));
    let folder = |name: &str| Destination::Name(name.to_owned());
    let wanted = [
        (folder("one"), vec![X.to_owned(), Y.to_owned()]),
        (folder("two"), vec![X.to_owned()]),
        (Destination::Default, vec![X.to_owned()]),
    ];
    assert_eq!(sent.collect::<Vec<_>>(), wanted);
    for job in jobs {
        let (state, progress) = stands(&file, job).await;
        assert_eq!((state, progress.sent), (JobState::Running, progress.urls));
    }
    assert!(!retry(&file, task, 7).await.0, "nobody waits in the old one any more");
    file.close().await;
}
