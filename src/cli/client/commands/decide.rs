//! An operator's decisions: `cancel`, `priority`, `retry`, `adopt`, `refresh`, `pause`, `resume`.

use clap::Args;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::submit::priorities;
use crate::cli::client::api::failure::ClientError;
use crate::cli::client::api::{Answer, Service, id};
use crate::cli::client::show::jobs::{progress, show_end};
use crate::cli::client::show::output::{Output, note, text};
use crate::cli::client::show::tasks::show_task;
use crate::domain::pause;

const CANCEL: &str = "\
Examples:
  The URLs of a job that have not been sent yet:
    scrapehook cancel JOB
  A queued task, or an unconfirmed one that is no longer wanted:
    scrapehook cancel TASK";

/// Arguments of `cancel`.
#[derive(Args, Debug)]
#[command(after_help = CANCEL)]
pub struct Cancel {
    /// A job, or a task by its id or its upstream_id
    #[arg(value_name = "JOB|TASK", value_parser = id)]
    id: String,
    #[command(flatten)]
    service: Service,
}

const PRIORITY: &str = "\
Waiting URLs of the job get the priority at once. URLs that were sent keep theirs. Within an API key, \
`high` is sent before `normal`, and `normal` before `low`. A priority that has waited for ten minutes gets one request.

Examples:
  A job that should not wait for the others:
    scrapehook priority JOB high
  A large job that can wait:
    scrapehook priority JOB low";

/// Arguments of `priority`.
#[derive(Args, Debug)]
#[command(after_help = PRIORITY)]
pub struct Priority {
    /// The job
    #[arg(value_name = "JOB", value_parser = id)]
    job: String,
    /// How urgent it is among the jobs of its API key
    #[arg(value_name = "PRIORITY", value_parser = priorities())]
    priority: String,
    #[command(flatten)]
    service: Service,
}

const RETRY: &str = "\
Retrying a job looks up each of its failed URLs. Those that are indexed, queued or on their way by now are not sent \
again; the others are sent and charged. Canceled URLs are only sent with --code canceled.

Retrying a task makes a new task, which is sent and charged like any other. Retry an unconfirmed task only if it was \
not accepted, or if it may be paid for again. If other tasks already carry all of its URLs, no new task is made, and \
the old one is shown.

Examples:
  The failed URLs of a job, or only those that failed with these codes:
    scrapehook retry JOB
    scrapehook retry JOB --code stalled --code no_video
  The failed URLs of a task, and show the new task:
    scrapehook retry TASK
  In a script:
    NEW=$(scrapehook retry TASK --json | jq -r .id)";

/// Arguments of `retry`.
#[derive(Args, Debug)]
#[command(after_help = RETRY)]
pub struct Retry {
    /// A job, or a task by its id or its upstream_id
    #[arg(value_name = "JOB|TASK", value_parser = id)]
    id: String,
    /// Only URLs of the job that failed with this code. Can be repeated
    #[arg(long = "code", value_name = "CODE")]
    codes: Vec<String>,
    #[command(flatten)]
    service: Service,
}

const ADOPT: &str = "\
Examples:
  After an answer was lost, your memories.ai account shows the task:
    scrapehook tasks --state unconfirmed
    scrapehook adopt TASK 31b0fccb-d6f9-4135-922d-1e8828499812";

/// Arguments of `adopt`.
#[derive(Args, Debug)]
#[command(after_help = ADOPT)]
pub struct Adopt {
    /// The unconfirmed task
    #[arg(value_name = "TASK", value_parser = id)]
    task: String,
    /// Its taskId, as your memories.ai account shows it
    #[arg(value_name = "UPSTREAM_ID", value_parser = id)]
    upstream_id: String,
    #[command(flatten)]
    service: Service,
}

const REFRESH: &str = "\
Examples:
  A silent or stalled task:
    scrapehook refresh TASK
    scrapehook events --task TASK --follow";

/// Arguments of `refresh`.
#[derive(Args, Debug)]
#[command(after_help = REFRESH)]
pub struct Refresh {
    /// The task, by its id or its upstream_id
    #[arg(value_name = "TASK", value_parser = id)]
    task: String,
    #[command(flatten)]
    service: Service,
}

const PAUSE: &str = "\
Tasks that were sent continue: callbacks are received, and tasks are polled.

Examples:
    scrapehook pause
    scrapehook status";

/// Arguments of `pause`.
#[derive(Args, Debug)]
#[command(after_help = PAUSE)]
pub struct Pause {
    #[command(flatten)]
    service: Service,
}

const RESUME: &str = "\
This lifts every pause. Waiting URLs are sent and charged, and unconfirmed tasks are not sent again. After a restore, \
or after the API charged a refused request, URLs may be charged a second time. Look at `scrapehook status` first.

Examples:
  After topping up the account:
    scrapehook resume";

/// Arguments of `resume`.
#[derive(Args, Debug)]
#[command(after_help = RESUME)]
pub struct Resume {
    #[command(flatten)]
    service: Service,
}

/// Whether an id is that of a job. Any other is that of a task, and may be an `upstream_id`.
fn is_job(id: &str) -> bool {
    id.starts_with("job_")
}

pub(in crate::cli) async fn cancel(args: Cancel) -> anyhow::Result<()> {
    let is_job = is_job(&args.id);
    let kind = if is_job { "jobs" } else { "tasks" };
    decide(&args.service, &[kind, &args.id, "cancel"], None, is_job).await.map(drop)
}

pub(in crate::cli) async fn priority(args: Priority) -> anyhow::Result<()> {
    let body = json!({ "priority": args.priority });
    let answer = args.service.connect()?.patch(&["jobs", &args.job], &body).await?;
    Ok(Output::new().answer(args.service.json, &answer, show_priority)?)
}

fn show_priority(output: &mut Output, job: &Value) -> std::io::Result<()> {
    let (id, priority) = (text(job, "id"), text(job, "priority"));
    output.paragraph(0, &format!("{id} has the priority {priority}. {}", progress(&job["progress"])))
}

pub(in crate::cli) async fn retry(args: Retry) -> anyhow::Result<()> {
    if is_job(&args.id) {
        return retry_job(args).await;
    }
    if !args.codes.is_empty() {
        let said = "--code works with a job only. Retrying a task takes all of its URLs that are not indexed";
        return Err(ClientError::Usage(said.to_owned()).into());
    }
    let answer = decide(&args.service, &["tasks", &args.id, "retry"], None, false).await?;
    if args.service.json {
        return Ok(());
    }
    if answer.status == StatusCode::ACCEPTED {
        let follow = args.service.command(&format!("events --task {} --follow", text(&answer.value, "id")));
        note(&format!("This is the new task. Follow it with:\n  {follow}"));
    } else {
        let find = args.service.command("tasks --url URL");
        note(&format!(
            "No new task was needed, because other tasks already carry all of its URLs. Find them with:\n  {find}"
        ));
    }
    Ok(())
}

async fn retry_job(args: Retry) -> anyhow::Result<()> {
    let body = (!args.codes.is_empty()).then(|| json!({ "codes": args.codes }));
    decide(&args.service, &["jobs", &args.id, "retry"], body.as_ref(), true).await?;
    if !args.service.json {
        let wait = args.service.command(&format!("watch {}", args.id));
        note(&format!("Wait for it with:\n  {wait}"));
    }
    Ok(())
}

pub(in crate::cli) async fn adopt(args: Adopt) -> anyhow::Result<()> {
    let body = json!({ "upstream_id": args.upstream_id });
    decide(&args.service, &["tasks", &args.task, "adopt"], Some(&body), false).await.map(drop)
}

pub(in crate::cli) async fn refresh(args: Refresh) -> anyhow::Result<()> {
    decide(&args.service, &["tasks", &args.task, "refresh"], None, false).await.map(drop)
}

pub(in crate::cli) async fn pause(args: Pause) -> anyhow::Result<()> {
    send(&args.service, "pause").await
}

pub(in crate::cli) async fn resume(args: Resume) -> anyhow::Result<()> {
    send(&args.service, "resume").await?;
    if !args.service.json {
        note("Tasks that are unconfirmed are not sent again. `scrapehook status` reports a new pause.");
    }
    Ok(())
}

/// Sends the decision, and shows the new state of the job or the task.
async fn decide(
    service: &Service,
    path: &[&str],
    body: Option<&Value>,
    is_job: bool,
) -> anyhow::Result<Answer> {
    let answer = service.connect()?.post(path, body).await?;
    Output::new().answer(service.json, &answer, if is_job { show_end } else { show_task })?;
    Ok(answer)
}

async fn send(service: &Service, what: &str) -> anyhow::Result<()> {
    let answer = service.connect()?.post(&[what], None).await?;
    Ok(Output::new().answer(service.json, &answer, show_pauses)?)
}

fn show_pauses(output: &mut Output, sending: &Value) -> std::io::Result<()> {
    let pauses = sending["paused"].as_array().map(Vec::as_slice).unwrap_or_default();
    if pauses.is_empty() {
        output.line("Sending is not paused now.")?;
    }
    for paused in pauses {
        let (scope, message) = (text(paused, "scope"), text(paused, "message"));
        let said = match scope.as_str() {
            // The message names the operator, as in "paused by me".
            pause::Pause::OPERATOR => format!("Sending is {message}."),
            _ => {
                let reason = pause::reason(&scope, &text(paused, "code"), &message);
                format!("Sending is paused: {}.", reason.trim_end_matches('.'))
            }
        };
        output.paragraph(0, &said)?;
    }
    Ok(())
}
