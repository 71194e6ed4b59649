//! `jobs`: the list, one job with its tasks, and its URLs.

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::list::{self, List, Paging};
use super::submit::Label;
use crate::cli::client::api::failure::ClientError;
use crate::cli::client::api::{Query, Service, id};
use crate::cli::client::show::jobs::{show_job, show_jobs, show_urls};
use crate::cli::client::show::output::Output;
use crate::domain::job::JobState;
use crate::domain::outcome::UrlState;

const EXAMPLES: &str = "\
Examples:
  The newest jobs, or those that are running:
    scrapehook jobs
    scrapehook jobs --state running
  By a label:
    scrapehook jobs --label campaign=autumn --all
  By an id, a URL, or a part of a URL or of a label:
    scrapehook jobs --search https://youtu.be/o9vgXOH4ET0
    scrapehook jobs --search @chef
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
    /// Only jobs with this id, URL, or text
    #[arg(long, value_name = "TEXT", conflicts_with = "job")]
    search: Option<String>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    service: Service,
}

/// The states of jobs and of URLs. The service refuses a state of the wrong kind.
fn states() -> PossibleValuesParser {
    let jobs = JobState::ALL.iter().map(|state| state.as_str());
    let urls = UrlState::ALL.iter().map(|state| state.as_str()).filter(|word| *word != "failed");
    PossibleValuesParser::new(jobs.chain(urls))
}

pub(in crate::cli) async fn run(args: Jobs) -> anyhow::Result<()> {
    let api = args.service.connect()?;
    let mut query = Query::new();
    list::filter(&mut query, "state", args.state.as_ref());
    query.extend(args.label.map(|label| ("label", label.query())));
    list::filter(&mut query, "q", args.search.as_ref());
    let is_json = args.service.json;
    let paging = &args.paging;
    match &args.job {
        None => list::print(&api, List { path: &["jobs"], query, paging }, is_json, show_jobs).await,
        Some(job) if args.urls => {
            let path = &["jobs", job, "urls"];
            list::print(&api, List { path, query, paging }, is_json, show_urls).await
        }
        Some(job) => {
            let given = args.state.as_ref().map(|_| "--state").or(paging.given());
            if let Some(option) = given {
                let said =
                    format!("{option} has no effect on a single job. Add --urls to apply it to its URLs");
                return Err(ClientError::Usage(said).into());
            }
            let answer = api.get(&["jobs", job], &Query::new()).await?;
            Ok(Output::new().answer(is_json, &answer, show_job)?)
        }
    }
}
