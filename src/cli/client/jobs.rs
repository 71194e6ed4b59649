//! `jobs`: the list, one job with its tasks, and its URLs.

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::Value;

use super::api::{Query, Service, id};
use super::failure::ClientError;
use super::list::{self, Paging};
use super::output::{Output, Row, age, style, text, time};
use super::queue::expected;
use super::submit::Label;
use crate::clock;
use crate::domain::job::{JobState, UrlState};
use crate::domain::queue::Priority;

const EXAMPLES: &str = "\
Examples:
  The newest jobs, or those that are running:
    scrapehook jobs
    scrapehook jobs --state running
  By a label:
    scrapehook jobs --label campaign=autumn --all
  One job with its tasks, and which of its URLs failed:
    scrapehook jobs JOB
    scrapehook jobs JOB --urls --state failed --all
  For a program, an object a line:
    scrapehook jobs --all --json";

/// Arguments of `jobs`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Jobs {
    /// One job
    #[arg(value_name = "JOB", value_parser = id)]
    job: Option<String>,
    /// The URLs of that job
    #[arg(long, requires = "job")]
    urls: bool,
    /// Only jobs in this state, or URLs in this state with --urls
    #[arg(long, value_parser = states())]
    state: Option<String>,
    /// Only jobs with this label
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "job")]
    label: Option<Label>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    service: Service,
}

/// Both kinds of states; those of the other kind are refused by the service.
fn states() -> PossibleValuesParser {
    let jobs = JobState::ALL.iter().map(|state| state.as_str());
    let urls = UrlState::ALL.iter().map(|state| state.as_str()).filter(|word| *word != "failed");
    PossibleValuesParser::new(jobs.chain(urls))
}

pub(super) async fn run(args: Jobs) -> anyhow::Result<()> {
    let api = args.service.connect()?;
    let mut query = Query::new();
    list::filter(&mut query, "state", args.state.as_ref());
    query.extend(args.label.map(|label| ("label", label.query())));
    let is_json = args.service.json;
    match &args.job {
        None => list::print(&api, &["jobs"], query, &args.paging, is_json, show_jobs).await,
        Some(job) if args.urls => {
            list::print(&api, &["jobs", job, "urls"], query, &args.paging, is_json, show_urls).await
        }
        Some(job) => {
            let given = args.state.as_ref().map(|_| "--state").or(args.paging.given());
            if let Some(option) = given {
                let said =
                    format!("{option} has no effect on a single job. Add --urls to apply it to its URLs");
                return Err(ClientError::Usage(said).into());
            }
            let answer = api.get(&["jobs", job], &Query::new()).await?;
            Ok(Output::new().answer(is_json, &answer, show)?)
        }
    }
}

fn show_jobs(output: &mut Output, jobs: &[Value]) -> std::io::Result<()> {
    let now = clock::now();
    let has_priorities = jobs.iter().any(|job| !priority(job).is_empty());
    let row = |job: &Value| {
        let state = text(job, "state");
        let progress = &job["progress"];
        let good = number(progress, "indexed") + number(progress, "known");
        let indexed = format!("{good}/{}", number(progress, "urls"));
        let mut cells = vec![text(job, "id"), state.clone(), indexed, age(job, "created_at", now)];
        cells.extend(has_priorities.then(|| priority(job)));
        cells.push(text(job, "labels"));
        Row::new(&state, cells)
    };
    let mut header = vec!["job", "state", "indexed", "age"];
    header.extend(has_priorities.then_some("priority"));
    header.push("labels");
    output.table(&header, jobs.iter().map(row).collect())
}

/// The priority of a job; empty if it is the usual one.
fn priority(job: &Value) -> String {
    Some(text(job, "priority")).filter(|word| word != Priority::Normal.as_str()).unwrap_or_default()
}

pub(super) fn show_urls(output: &mut Output, urls: &[Value]) -> std::io::Result<()> {
    let row = |url: &Value| {
        let state = text(url, "state");
        let error = text(&url["error"], "code");
        Row::new(&state, vec![state.clone(), error, text(url, "video_ids"), text(url, "url")])
    };
    output.table(&["state", "error", "videos", "url"], urls.iter().map(row).collect())
}

/// A count.
pub(super) fn number(object: &Value, name: &str) -> u64 {
    object[name].as_u64().unwrap_or_default()
}

fn show(output: &mut Output, job: &Value) -> std::io::Result<()> {
    output.fields(&[
        ("job", text(job, "id")),
        ("state", text(job, "state")),
        ("created", time(job, "created_at")),
        ("settled", time(job, "settled_at")),
        ("labels", text(job, "labels")),
        ("folder", format!("{}{}", text(job, "unique_id"), text(job, "folder_id"))),
        ("quality", text(job, "quality")),
        ("library", text(job, "library")),
        ("priority", priority(job)),
        ("progress", progress(&job["progress"])),
        ("queue", expected(job)),
    ])?;
    let tasks = job["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    if tasks.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let row = |task: &Value| {
        let state = text(task, "state");
        Row::new(&state, vec![text(task, "id"), state.clone(), text(task, "urls"), text(task, "platform")])
    };
    output.table(&["task", "state", "urls", "platform"], tasks.iter().map(row).collect())
}

/// How many URLs stand where, without what is zero.
pub(super) fn progress(progress: &Value) -> String {
    let states = UrlState::ALL.iter().map(|state| (state.as_str(), number(progress, state.as_str())));
    let parts: Vec<_> =
        states.filter(|(_, count)| *count > 0).map(|(state, count)| format!("{count} {state}")).collect();
    format!("{}: {}", urls(number(progress, "urls")), parts.join(", "))
}

pub(super) fn urls(count: u64) -> String {
    if count == 1 { "1 URL".to_owned() } else { format!("{count} URLs") }
}

/// The last line about a job, in the colour of its state.
pub(super) fn show_end(output: &mut Output, job: &Value) -> std::io::Result<()> {
    let state = text(job, "state");
    let said = format!("{} is {state}. {}", text(job, "id"), progress(&job["progress"]));
    output.styled(style(&state), &said)
}
