//! `submit`: hands URLs to the service, once at most, however often the connection is lost.
//!
//! Must never make a second job of one call: every attempt carries the same `Idempotency-Key`.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::api::{Answer, Api, Query, Service};
use super::failure::ClientError;
use super::jobs::{number, progress, urls};
use super::output::{Output, Row, note, text};
use super::watch;
use crate::domain::job::{Library, Quality};
use crate::http::JOB_BODY;

/// Before each further attempt.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

const EXAMPLES: &str = "\
Prints the job's id. A submit whose answer is lost is sent again with the same Idempotency-Key, which makes one job \
at most. With --wait the exit code is 0 when every URL and every video is indexed, 1 when one is not, and 130 after \
Ctrl-C, which leaves the job running.

Examples:
  A post, or several, and wait for them:
    scrapehook submit https://youtu.be/o9vgXOH4ET0 --wait
  A file with one URL a line, or a CSV file with a column `url`:
    scrapehook submit --file urls.txt --label campaign=autumn
    scrapehook submit --file export.csv --quality 720 --wait
  From another program, and what would become of it:
    grep -o 'https://youtu.be/[^ ]*' notes.md | scrapehook submit - --dry-run
  A nightly job that is one job a night, however often it is started:
    scrapehook submit --file urls.txt --idempotency-key nightly-$(date +%F)";

/// Arguments of `submit`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Submit {
    /// URLs of posts; `-` alone reads them from standard input, one a line
    #[arg(value_name = "URL", required_unless_present = "file", conflicts_with = "file")]
    urls: Vec<String>,
    /// Read them from a file: one URL a line, or the column `url` of one that ends in .csv
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The file, or standard input, is CSV whatever its name
    #[arg(long)]
    csv: bool,
    /// Wait until the job has settled, with progress
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    /// Folder in the upstream's account, by its name
    #[arg(long, value_name = "NAME", conflicts_with = "folder_id")]
    unique_id: Option<String>,
    /// Folder in the upstream's account, by its number
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    folder_id: Option<i64>,
    /// Lines of the picture [default: the library's own]
    #[arg(long, value_parser = PossibleValuesParser::new(Quality::ALL.iter().map(|quality| quality.as_str())))]
    quality: Option<String>,
    /// Where the videos are put; public is for everybody and for ever [default: private]
    #[arg(long, value_parser = PossibleValuesParser::new(Library::ALL.iter().map(|library| library.as_str())))]
    library: Option<String>,
    /// Your own words to find the job by; may be given several times
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<Label>,
    /// Send also what is indexed or on its way already: it is paid again
    #[arg(long)]
    force: bool,
    /// Say what would become of it, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Makes one job of all calls with this key [default: a new one a call]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    service: Service,
}

/// A label as it is given on the command line.
#[derive(Clone, Debug)]
pub struct Label {
    key: String,
    value: String,
}

impl FromStr for Label {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, _)) if key.contains(':') => Err("no colon is taken in a label's key"),
            Some((key, value)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err("KEY=VALUE is expected"),
        }
    }
}

impl Label {
    /// As the API's queries have it.
    pub(super) fn query(&self) -> String {
        format!("{}:{}", self.key, self.value)
    }
}

/// What is sent.
struct Request {
    kind: &'static str,
    body: Vec<u8>,
    query: Query,
    is_dry: bool,
}

pub(super) async fn run(args: Submit) -> anyhow::Result<ExitCode> {
    let api = args.service.connect()?;
    let request = request(&args)?;
    if args.library.as_deref() == Some(Library::Public.as_str()) {
        note("The public library is for everybody and for ever: nothing can be taken out of it again.");
    }
    // Only now: reading standard input must end by Ctrl-C.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let key = args.idempotency_key.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let answer = send(&api, request, &key, &mut interrupt).await?;
    let mut output = Output::new();
    if args.dry_run {
        output.answer(args.service.json, &answer, show_plan)?;
        return Ok(ExitCode::SUCCESS);
    }
    if answer.is_again && args.idempotency_key.is_some() {
        note("There is a job with this Idempotency-Key already; nothing new was submitted.");
    }
    if args.wait {
        return watch::wait(&api, &args.service, answer, &mut interrupt).await;
    }
    output.answer(args.service.json, &answer, |output, job| output.line(&text(job, "id")))?;
    if !args.service.json {
        let watch = args.service.command(&format!("watch {}", text(&answer.value, "id")));
        note(&format!("{}. Follow the job with:\n  {watch}", progress(&answer.value["progress"])));
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends it until there is an answer; where none comes, says how to go on without a second job.
async fn send(api: &Api, request: Request, key: &str, interrupt: &mut Signal) -> Result<Answer, ClientError> {
    let again = if request.is_dry {
        String::new()
    } else {
        format!(
            "\nWhether the job was taken is not known. The same command with --idempotency-key {key} makes one job \
             at most."
        )
    };
    tokio::select! {
        answer = attempts(api, request, key) => answer.map_err(|error| match error {
            ClientError::Lost(_) | ClientError::Busy(_) => error.and(&again),
            error => error,
        }),
        _ = interrupt.recv() => Err(ClientError::Interrupted(format!("Interrupted.{again}"))),
    }
}

async fn attempts(api: &Api, request: Request, key: &str) -> Result<Answer, ClientError> {
    let Request { kind, body, query, is_dry: _ } = request;
    let mut answer = api.submit(kind, body.clone(), &query, key).await;
    if matches!(answer, Err(ClientError::Unreachable(_))) {
        return answer;
    }
    for pause in PAUSES {
        match answer {
            Err(error) if error.may_pass() => note(&format!("{error}. Sending it again with the same key.")),
            ended => return ended,
        }
        tokio::time::sleep(pause).await;
        answer = api.submit(kind, body.clone(), &query, key).await;
    }
    answer.map_err(|error| match error {
        // An earlier attempt may have arrived.
        ClientError::Unreachable(said) => ClientError::Lost(said),
        error => error,
    })
}

fn request(args: &Submit) -> Result<Request, ClientError> {
    let mut keys = BTreeSet::new();
    if let Some(label) = args.labels.iter().find(|label| !keys.insert(&label.key)) {
        return Err(ClientError::Usage(format!("--label: `{}` is there twice", label.key)));
    }
    let is_dry = args.dry_run;
    let is_piped = args.urls == ["-"];
    if !is_piped && args.urls.iter().any(|url| url == "-") {
        return Err(ClientError::Usage("`-` reads standard input, and stands alone".to_owned()));
    }
    if is_piped || args.file.is_some() {
        let body = match &args.file {
            Some(path) => std::fs::read(path)
                .map_err(|error| ClientError::Usage(format!("--file {}: {error}", path.display())))?,
            None => read_input()?,
        };
        // Said here, where it can be: a service that does not read on cuts the connection, and its words with it.
        if body.len() > JOB_BODY {
            return Err(ClientError::Usage(format!("{} bytes: at most {JOB_BODY} make a job", body.len())));
        }
        let is_csv = args.csv || args.file.as_deref().is_some_and(is_csv);
        return Ok(Request {
            kind: if is_csv { "text/csv" } else { "text/plain" },
            body,
            query: settings(args),
            is_dry,
        });
    }
    if args.csv {
        return Err(ClientError::Usage("--csv: only a file, or standard input, can be CSV".to_owned()));
    }
    let mut body = Map::new();
    for (name, value) in settings(args) {
        let value = match (name, args.folder_id) {
            ("label", _) => continue,
            ("force" | "dry_run", _) => json!(true),
            ("folder_id", Some(folder)) => json!(folder),
            _ => json!(value),
        };
        body.insert(name.to_owned(), value);
    }
    let labels = args.labels.iter().map(|label| (label.key.clone(), json!(label.value)));
    body.insert("labels".to_owned(), Value::Object(labels.collect()));
    body.insert("video_urls".to_owned(), json!(args.urls));
    Ok(Request {
        kind: "application/json",
        body: Value::Object(body).to_string().into_bytes(),
        query: Query::new(),
        is_dry,
    })
}

fn is_csv(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}

fn read_input() -> Result<Vec<u8>, ClientError> {
    if std::io::stdin().is_terminal() {
        note("Reading URLs, one a line, until Ctrl-D.");
    }
    let mut body = Vec::new();
    std::io::stdin()
        .read_to_end(&mut body)
        .map_err(|error| ClientError::Refused(format!("standard input: {error}")))?;
    Ok(body)
}

/// All that a job is besides its URLs, by the API's names.
fn settings(args: &Submit) -> Query {
    let mut settings = Query::new();
    let given = [
        ("unique_id", args.unique_id.clone()),
        ("folder_id", args.folder_id.map(|folder| folder.to_string())),
        ("quality", args.quality.clone()),
        ("library", args.library.clone()),
        ("force", args.force.then(|| "true".to_owned())),
        ("dry_run", args.dry_run.then(|| "true".to_owned())),
    ];
    settings.extend(given.into_iter().filter_map(|(name, value)| Some((name, value?))));
    settings.extend(args.labels.iter().map(|label| ("label", label.query())));
    settings
}

fn show_plan(output: &mut Output, plan: &Value) -> std::io::Result<()> {
    let tasks = plan["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let known = (number(plan, "known"), "known already");
    let following = (number(plan, "following"), "on their way in another job");
    let planned = (tasks.len() as u64, "new tasks");
    let parts = [known, following, planned].map(|(count, what)| format!("{count} {what}"));
    output.line(&format!("{}: {}", urls(number(plan, "urls")), parts.join(", ")))?;
    if tasks.is_empty() {
        return Ok(());
    }
    let row = |task: &Value| Row::new("", vec![text(task, "urls"), text(task, "platform")]);
    output.table(&["urls", "platform"], tasks.iter().map(row).collect())
}
