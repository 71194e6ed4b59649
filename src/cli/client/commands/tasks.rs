//! `tasks` and `videos`: the lists, and one of each.

use std::io;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::Value;

use super::list::{self, List, Paging};
use crate::cli::client::api::failure::ClientError;
use crate::cli::client::api::{Query, Service, id};
use crate::cli::client::show::output::Output;
use crate::cli::client::show::tasks::{show_task, show_tasks, show_video, show_videos};
use crate::domain::task::TaskState;
use crate::domain::video::VideoState;

const TASK_EXAMPLES: &str = "\
Examples:
  Tasks that need a decision:
    scrapehook tasks --state unconfirmed
  One task with its URLs and videos, by its id or its upstream_id:
    scrapehook tasks TASK
  Which tasks carried a post, in any spelling of its URL:
    scrapehook tasks --url https://youtu.be/o9vgXOH4ET0";

/// Arguments of `tasks`.
#[derive(Args, Debug)]
#[command(after_help = TASK_EXAMPLES)]
pub struct Tasks {
    /// One task, by its id or its upstream_id
    #[arg(value_name = "TASK", value_parser = id)]
    id: Option<String>,
    /// Only tasks in this state
    #[arg(long, conflicts_with = "id", value_parser = task_states())]
    state: Option<String>,
    /// Only tasks of this job
    #[arg(long, conflicts_with = "id")]
    job: Option<String>,
    /// Only tasks of this platform, such as tiktok
    #[arg(long, conflicts_with = "id")]
    platform: Option<String>,
    /// Only tasks with this post, in any spelling of its URL
    #[arg(long, conflicts_with = "id")]
    url: Option<String>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    service: Service,
}

const VIDEO_EXAMPLES: &str = "\
Examples:
  The videos of a job:
    scrapehook videos --job JOB --all
  The video ids of a post, for a program:
    scrapehook videos --url https://youtu.be/o9vgXOH4ET0 --json | jq -r .id
  Videos that could not be indexed:
    scrapehook videos --state failed";

/// Arguments of `videos`.
#[derive(Args, Debug)]
#[command(after_help = VIDEO_EXAMPLES)]
pub struct Videos {
    /// One video
    #[arg(value_name = "VIDEO", value_parser = id)]
    id: Option<String>,
    /// Only videos in this state
    #[arg(long, conflicts_with = "id", value_parser = video_states())]
    state: Option<String>,
    /// Only videos of this task, by its id or its upstream_id
    #[arg(long, conflicts_with = "id")]
    task: Option<String>,
    /// Only videos of this job
    #[arg(long, conflicts_with = "id")]
    job: Option<String>,
    /// Only videos of this post, in any spelling of its URL
    #[arg(long, conflicts_with = "id")]
    url: Option<String>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    service: Service,
}

fn task_states() -> PossibleValuesParser {
    PossibleValuesParser::new(TaskState::ALL.iter().map(|state| state.as_str()))
}

fn video_states() -> PossibleValuesParser {
    PossibleValuesParser::new(VideoState::ALL.iter().map(|state| state.as_str()))
}

pub(in crate::cli) async fn run_tasks(args: Tasks) -> anyhow::Result<()> {
    let mut query = Query::new();
    list::filter(&mut query, "state", args.state.as_ref());
    list::filter(&mut query, "job", args.job.as_ref());
    list::filter(&mut query, "platform", args.platform.as_ref());
    list::filter(&mut query, "url", args.url.as_ref());
    let list = List { path: &["tasks"], query, paging: &args.paging };
    let views = Views { one: show_task, all: show_tasks };
    show(&args.service, args.id.as_deref(), list, views).await
}

pub(in crate::cli) async fn run_videos(args: Videos) -> anyhow::Result<()> {
    let mut query = Query::new();
    list::filter(&mut query, "state", args.state.as_ref());
    list::filter(&mut query, "task", args.task.as_ref());
    list::filter(&mut query, "job", args.job.as_ref());
    list::filter(&mut query, "url", args.url.as_ref());
    let list = List { path: &["videos"], query, paging: &args.paging };
    let views = Views { one: show_video, all: show_videos };
    show(&args.service, args.id.as_deref(), list, views).await
}

/// The views of a list and of one item.
struct Views {
    one: fn(&mut Output, &Value) -> io::Result<()>,
    all: fn(&mut Output, &[Value]) -> io::Result<()>,
}

/// Shows one item of a list, or the whole list.
async fn show(service: &Service, id: Option<&str>, list: List<'_>, views: Views) -> anyhow::Result<()> {
    let api = service.connect()?;
    let Some(id) = id else { return list::print(&api, list, service.json, views.all).await };
    if let Some(option) = list.paging.given() {
        return Err(ClientError::Usage(format!("{option} is for lists and cannot be used with an id")).into());
    }
    let answer = api.get(&[list.path, &[id]].concat(), &Query::new()).await?;
    Ok(Output::new().answer(service.json, &answer, views.one)?)
}
