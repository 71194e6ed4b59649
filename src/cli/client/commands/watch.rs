//! `watch` and `submit --wait`: waits until a job has settled, and reports its result.
//!
//! Must never end a job: Ctrl-C leaves it running.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::pending;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::list;
use crate::cli::client::api::failure::{ClientError, INTERRUPTED};
use crate::cli::client::api::reconnect::Reconnect;
use crate::cli::client::api::sse::Stream;
use crate::cli::client::api::{Answer, Api, Query, Service, id};
use crate::cli::client::show::jobs::{show_end, show_urls};
use crate::cli::client::show::output::{Output, note, text};
use crate::cli::client::show::progress::Progress;
use crate::cli::client::show::tasks::show_videos;
use crate::domain::event::EventKind;

/// The longest time for which the service delays an answer if nothing settles, because bars need frequent updates.
const LIVE: Duration = Duration::from_secs(1);
const UNSEEN: Duration = Duration::from_secs(10);
/// The longest time for which a service may be away.
const AWAY: Duration = Duration::from_secs(300);

const EXAMPLES: &str = "\
Exit code: 0 if every URL and every video is indexed, 1 if one is not, 130 after Ctrl-C, which leaves the job \
running. The command waits for a service that is away for less than five minutes.

Examples:
  Until it has settled, with bars on a terminal:
    scrapehook watch JOB
  In a script:
    if scrapehook watch JOB --json > job.json; then ...";

/// Arguments of `watch`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Watch {
    /// The job
    #[arg(value_name = "JOB", value_parser = id)]
    job: String,
    #[command(flatten)]
    service: Service,
}

pub(in crate::cli) async fn run(args: Watch) -> anyhow::Result<ExitCode> {
    if args.job.starts_with("task_") {
        let follow = args.service.command(&format!("events --task {} --follow", args.job));
        return Err(ClientError::Usage(format!(
            "this is a task, but only a job can be watched. Follow a task with:\n  {follow}"
        ))
        .into());
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let api = args.service.connect()?;
    let (path, query) = (["jobs", &args.job], Query::new());
    // The job is read once before the wait, so that a typing error fails at once.
    let job = tokio::select! {
        job = api.get(&path, &query) => job?,
        _ = interrupt.recv() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    wait(&api, &args.service, job, &mut interrupt).await
}

/// Waits for the job whose first answer is `heard`, shows its result, and returns the exit code.
pub(in crate::cli) async fn wait(
    api: &Api,
    service: &Service,
    heard: Answer,
    interrupt: &mut Signal,
) -> anyhow::Result<ExitCode> {
    let id = text(&heard.value, "id");
    let progress = Progress::new(&id)?;
    let ended = tokio::select! {
        ended = follow(api, &id, heard, &progress) => ended,
        never = count_videos(api, &id, &progress) => match never {},
        _ = interrupt.recv() => {
            progress.end();
            note(&format!("The job continues. Come back with:\n  {}", service.command(&format!("watch {id}"))));
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    progress.end();
    let come_back = || {
        format!(
            "\nThe job's state is not known. Ask again with:\n  {}",
            service.command(&format!("watch {id}"))
        )
    };
    let End { job, failed_urls, failed_videos } =
        ended.map_err(|error| if error.may_pass() { error.and(&come_back()) } else { error })?;
    let is_good = job.value["state"] == "done" && failed_videos.is_empty();
    let shown = Output::new()
        .answer(service.json, &job, |output, job| show(output, job, &failed_urls, &failed_videos));
    // The exit code reports the result, whether or not anybody reads the output.
    if is_good {
        shown?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// The end of a job.
struct End {
    job: Answer,
    failed_urls: Vec<Value>,
    failed_videos: Vec<Value>,
}

async fn follow(api: &Api, id: &str, heard: Answer, progress: &Progress) -> Result<End, ClientError> {
    let say = |said: &str| progress.say(said);
    let mut reconnect = Reconnect::new(Some(AWAY), &say);
    let span = if progress.is_live() { LIVE } else { UNSEEN };
    let mut job = heard;
    progress.show(&job.value);
    while job.value["state"] == "running" {
        let asked = Instant::now();
        job = reconnect.ask(async || api.get_within(&["jobs", id], span).await).await?;
        progress.show(&job.value);
        if job.value["state"] == "running" {
            // A service that stops answers early, and must not be asked again and again.
            tokio::time::sleep_until(asked + LIVE).await;
        }
    }
    let failed_urls = reconnect.ask(async || failed_urls(api, id).await).await?;
    let failed_videos = reconnect.ask(async || failed_videos(api, id).await).await?;
    Ok(End { job, failed_urls, failed_videos })
}

/// Counts the videos for the bars during the wait. An error is ignored.
async fn count_videos(api: &Api, job: &str, progress: &Progress) -> Infallible {
    if !progress.is_live() {
        return pending().await;
    }
    let query = vec![("job", job.to_owned()), ("kind", EventKind::VideoIndexed.as_str().to_owned())];
    let (mut after, mut videos) = ("0".to_owned(), HashSet::new());
    loop {
        if let Ok(mut stream) = Stream::open(api, &query, &after).await {
            while let Ok(sent) = stream.next().await {
                after = sent.id.unwrap_or(after);
                let event = sent.data.and_then(|data| serde_json::from_str::<Value>(&data).ok());
                // A video that failed in between is indexed twice.
                videos.extend(event.map(|event| text(&event, "video_id")));
                if !videos.is_empty() {
                    progress.show_videos(videos.len());
                }
            }
        }
        tokio::time::sleep(LIVE).await;
    }
}

async fn failed_urls(api: &Api, job: &str) -> Result<Vec<Value>, ClientError> {
    list::everything(api, &["jobs", job, "urls"], vec![("state", "failed".to_owned())]).await
}

/// Returns the failed videos of the job's own URLs. A post may have several videos, and be indexed nevertheless.
async fn failed_videos(api: &Api, job: &str) -> Result<Vec<Value>, ClientError> {
    let query = vec![("job", job.to_owned()), ("state", "failed".to_owned())];
    let mut failed = list::everything(api, &["videos"], query).await?;
    if failed.is_empty() {
        return Ok(failed);
    }
    // The job's tasks may also carry URLs of other jobs.
    let urls = list::everything(api, &["jobs", job, "urls"], Query::new()).await?;
    let ids = video_ids(&urls);
    failed.retain(|video| {
        let is_listed = video["id"].as_str().is_some_and(|id| ids.contains(id));
        is_listed || (video["url"].is_null() && video["job_id"] == job)
    });
    Ok(failed)
}

fn video_ids(urls: &[Value]) -> HashSet<&str> {
    let ids = urls.iter().flat_map(|url| url["video_ids"].as_array().into_iter().flatten());
    ids.filter_map(Value::as_str).collect()
}

fn show(output: &mut Output, job: &Value, urls: &[Value], videos: &[Value]) -> std::io::Result<()> {
    show_end(output, job)?;
    if !urls.is_empty() {
        output.line("")?;
        show_urls(output, urls)?;
    }
    // Only videos of indexed URLs are kept. The others are shown with their URL.
    let told = video_ids(urls);
    let is_told = |video: &Value| video["id"].as_str().is_some_and(|id| told.contains(id));
    let videos: Vec<Value> = videos.iter().filter(|video| !is_told(video)).cloned().collect();
    if !videos.is_empty() {
        output.line("")?;
        show_videos(output, &videos)?;
    }
    Ok(())
}
