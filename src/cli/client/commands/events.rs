//! `events`: changes, from the log or as they happen.
//!
//! Must never lose an event or show one twice. After a lost connection it continues after the last event that it has
//! seen.

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::Value;

use super::list::{self, List, Paging};
use crate::cli::client::api::failure::ClientError;
use crate::cli::client::api::reconnect::Reconnect;
use crate::cli::client::api::sse::Stream;
use crate::cli::client::api::{Api, Query, Service};
use crate::cli::client::show::output::{Output, note, style, text, time};
use crate::clock;
use crate::domain::event::EventKind;
use crate::domain::id::JobId;

const EXAMPLES: &str = "\
Oldest first, in UTC. --follow starts now, or after the event that --after names. If the connection is lost, it \
continues after the last event seen.

Examples:
  The history of a job:
    scrapehook events --job JOB --all
  As it happens, for a program: one object per line, none lost, none twice:
    scrapehook events --follow --json
  Everything from the first event on, then new events:
    scrapehook events --follow --after 0
  When a job has ended:
    scrapehook events --follow --kind job.settled";

/// Arguments of `events`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Events {
    /// Follow events as they happen, until Ctrl-C
    #[arg(long, conflicts_with_all = ["limit", "all"])]
    follow: bool,
    /// Only those after the event with this `seq`
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// Only events of this job
    #[arg(long)]
    job: Option<String>,
    /// Only events of this task, by its id or its upstream_id
    #[arg(long)]
    task: Option<String>,
    /// Only events of this kind
    #[arg(long, value_parser = PossibleValuesParser::new(EventKind::ALL.iter().map(|kind| kind.as_str())))]
    kind: Option<String>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    service: Service,
}

pub(in crate::cli) async fn run(args: Events) -> anyhow::Result<()> {
    let api = args.service.connect()?;
    let mut query = Query::new();
    list::filter(&mut query, "job", args.job.as_ref());
    list::filter(&mut query, "task", args.task.as_ref());
    list::filter(&mut query, "kind", args.kind.as_ref());
    let mut output = Output::new();
    let is_json = args.service.json;
    let after = args.after.map(|after| after.to_string());
    if args.follow {
        let after = match after {
            Some(after) => after,
            None => newest(&api).await?,
        };
        return follow(&api, &query, after, |event| show(&mut output, is_json, event)).await;
    }
    list::filter(&mut query, "after", after.as_ref());
    let mut last = String::new();
    let list = List { path: &["events"], query, paging: &args.paging };
    let is_more = list::read(&api, list, |event| {
        last = text(&serde_json::from_str(event.get())?, "seq");
        show(&mut output, is_json, event.get())
    })
    .await?;
    if is_more && !is_json {
        note(&format!("There may be more. Use --all, or --after {last}."));
    }
    Ok(())
}

/// Returns the `seq` of the newest event. A stream from there misses nothing, even if it is cut before its first
/// event.
async fn newest(api: &Api) -> Result<String, ClientError> {
    // An empty page returns the last `seq` that was searched, and a new job has no events.
    let nobody = JobId::new(clock::now()).to_string();
    let page = api.page(&["events"], &vec![("job", nobody)]).await?;
    page.next.ok_or_else(|| ClientError::Refused("the service does not report its newest event".to_owned()))
}

/// Follows the stream forever. Each connection continues where the last one ended.
async fn follow(
    api: &Api,
    query: &Query,
    mut after: String,
    mut show: impl FnMut(&str) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let mut stream = Stream::open(api, query, &after).await?;
    let mut reconnect = Reconnect::new(None, &note);
    loop {
        match stream.next().await {
            Ok(sent) => {
                // The service counts as back only now. Otherwise, a server that only accepts connections would be
                // asked again and again.
                reconnect.heard();
                sent.data.as_deref().map_or(Ok(()), &mut show)?;
                after = sent.id.unwrap_or(after);
            }
            Err(error) => {
                let mut error = error;
                stream = loop {
                    reconnect.wait_or(error).await?;
                    match Stream::open(api, query, &after).await {
                        Ok(stream) => break stream,
                        Err(again) => error = again,
                    }
                };
            }
        }
    }
}

/// Prints an event as received, or as a line for people.
fn show(output: &mut Output, is_json: bool, raw: &str) -> std::io::Result<()> {
    // The event is also parsed for programs, because the stream was not checked before.
    let event: Value = serde_json::from_str(raw)?;
    if is_json {
        return output.json(raw);
    }
    let about = ["video_id", "task_id", "job_id"].iter().map(|name| text(&event, name));
    let about = about.into_iter().find(|id| !id.is_empty()).unwrap_or_default();
    let kind = text(&event, "kind");
    let state = kind.rsplit('.').next().unwrap_or_default();
    let at = time(&event, "at");
    // The year and the zone are left out, because ids would not fit beside them.
    let at = at.get(5..19).unwrap_or(&at);
    let head = format!("{:>6} {at} ", text(&event, "seq"));
    let message = text(&event, "message");
    // For an event without a subject, such as a pause, the message takes its place.
    let (about, more) = if about.is_empty() { (message, String::new()) } else { (about, message) };
    output.entry(style(state), &format!("{head}{kind:<17} {about}"), head.len(), &more)
}
