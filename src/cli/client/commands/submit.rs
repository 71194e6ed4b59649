//! `submit`: hands URLs to the service, at most once, however often the connection is lost.
//!
//! Must never make a second job from one call: every attempt carries the same `Idempotency-Key`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::watch;
use crate::cli::client::api::failure::ClientError;
use crate::cli::client::api::{Answer, Api, Query, Service};
use crate::cli::client::show::jobs::progress;
use crate::cli::client::show::output::{Output, Row, note, text};
use crate::cli::client::show::queue::expected;
use crate::cli::client::show::words::{number, requests, urls};
use crate::domain::job::{Library, MAX_BODY, Quality};
use crate::domain::queue::Priority;
use crate::domain::{byte_order_mark, idempotency};

/// The pauses before further attempts.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

const EXAMPLES: &str = "\
Prints the job's id. If the answer is lost, the submit is sent again with the same Idempotency-Key, which makes one \
job at most. With --wait the exit code is 0 if every URL and every video is indexed, 1 if one is not, and 130 after \
Ctrl-C, which leaves the job running.

Examples:
  A post, or several, and wait for them:
    scrapehook submit https://youtu.be/o9vgXOH4ET0 --wait
  A file with one URL per line, or a CSV file with a column `url`:
    scrapehook submit --file urls.txt --label campaign=autumn
    scrapehook submit --file export.csv --quality 720 --wait
  From another program, as a dry run:
    grep -o 'https://youtu.be/[^ ]*' notes.md | scrapehook submit - --dry-run
  Before the other jobs of this API key:
    scrapehook submit --file urgent.txt --priority high
  A nightly job: one job per night, however often it is started:
    scrapehook submit --file urls.txt --idempotency-key nightly-$(date +%F)";

/// Arguments of `submit`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Submit {
    /// URLs of posts. `-` alone reads them from standard input, one per line
    #[arg(value_name = "URL", required_unless_present = "file", conflicts_with = "file")]
    urls: Vec<String>,
    /// Read them from a file: one URL per line, or the column `url` of one that ends in .csv. `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Read the file or standard input as CSV, whatever its name
    #[arg(long)]
    csv: bool,
    /// Wait until the job has settled, with progress
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    /// Folder in your memories.ai account, by its name
    #[arg(long, value_name = "NAME", conflicts_with = "folder_id")]
    unique_id: Option<String>,
    /// Folder in your memories.ai account, by its number
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    folder_id: Option<i64>,
    /// Video resolution [default: the library's own]
    #[arg(long, value_parser = PossibleValuesParser::new(Quality::ALL.iter().map(|quality| quality.as_str())))]
    quality: Option<String>,
    /// Library for the videos. Videos in `public` are open to everybody, forever [default: private]
    #[arg(long, value_parser = PossibleValuesParser::new(Library::ALL.iter().map(|library| library.as_str())))]
    library: Option<String>,
    /// How urgent the job is among the jobs of its API key [default: normal]
    #[arg(long, value_parser = priorities())]
    priority: Option<String>,
    /// Label to find the job by. Can be repeated
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<Label>,
    /// Also send URLs that are indexed or on their way already. They are charged again
    #[arg(long)]
    force: bool,
    /// Show the plan of the job, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Submit only one job with this key, however often the command is run [default: a new key per call]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// URL that receives a signed webhook when the job has settled
    #[arg(long, value_name = "URL")]
    callback_url: Option<String>,
    #[command(flatten)]
    service: Service,
}

/// The names of the priorities.
pub(in crate::cli) fn priorities() -> PossibleValuesParser {
    PossibleValuesParser::new(Priority::ALL.iter().map(|priority| priority.as_str()))
}

/// A label from the command line.
#[derive(Clone, Debug)]
pub struct Label {
    key: String,
    value: String,
}

impl FromStr for Label {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, _)) if key.contains(':') => Err("a label's key must not contain a colon"),
            Some((key, value)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err("KEY=VALUE is expected"),
        }
    }
}

impl Label {
    /// Returns the key and the value, for JSON.
    pub(in crate::cli) fn pair(&self) -> (String, Value) {
        (self.key.clone(), self.value.clone().into())
    }

    /// Returns the form of the API's queries.
    pub(in crate::cli) fn query(&self) -> String {
        format!("{}:{}", self.key, self.value)
    }
}

/// The content of the request.
struct Request {
    kind: &'static str,
    body: Vec<u8>,
    query: Query,
    is_dry: bool,
}

pub(in crate::cli) async fn run(args: Submit) -> anyhow::Result<ExitCode> {
    let api = args.service.connect()?;
    let key = idempotency_key(args.idempotency_key.as_deref())?;
    let request = request(&args)?;
    if args.library.as_deref() == Some(Library::Public.as_str()) {
        note("The public library is open to everyone. Nothing can ever be removed from it.");
    }
    // This comes first, because Ctrl-C must end the reading of standard input.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let answer = send(&api, request, &key, &mut interrupt).await?;
    let mut output = Output::new();
    if args.dry_run {
        output.answer(args.service.json, &answer, show_plan)?;
        return Ok(ExitCode::SUCCESS);
    }
    if answer.is_again && args.idempotency_key.is_some() {
        note("A job with this Idempotency-Key exists already. Nothing new was submitted.");
    }
    if args.wait {
        return watch::wait(&api, &args.service, answer, &mut interrupt).await;
    }
    let id = text(&answer.value, "id");
    let printed = output.answer(args.service.json, &answer, |output, _| output.line(&id));
    // The job exists, whether or not anybody reads standard output.
    printed.inspect_err(|_| note(&format!("The job is {id}.")))?;
    if !args.service.json {
        let watch = args.service.command(&format!("watch {id}"));
        note(&format!("{}. Follow the job with:\n  {watch}", progress(&answer.value["progress"])));
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends the request until there is an answer. If there is none, prints how to continue without a second job.
async fn send(api: &Api, request: Request, key: &str, interrupt: &mut Signal) -> Result<Answer, ClientError> {
    let again = if request.is_dry {
        String::new()
    } else {
        format!(
            "\nThe job may or may not have been accepted. Run the same command with --idempotency-key {key}, which \
             makes one job at most."
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
            Err(error) if error.may_pass() => {
                note(&format!("{error}. Sending it again with the same Idempotency-Key."))
            }
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

/// Returns the given key, or a new one. Invalid keys are refused before anything is read or sent.
fn idempotency_key(given: Option<&str>) -> Result<String, ClientError> {
    let Some(given) = given else { return Ok(uuid::Uuid::now_v7().to_string()) };
    let wrong = |error| ClientError::Usage(format!("--idempotency-key: {error}"));
    idempotency::read(given.as_bytes()).map_err(wrong)?;
    Ok(given.trim().to_owned())
}

fn request(args: &Submit) -> Result<Request, ClientError> {
    let mut keys = BTreeSet::new();
    if let Some(label) = args.labels.iter().find(|label| !keys.insert(&label.key)) {
        return Err(ClientError::Usage(format!("--label: `{}` is given more than once", label.key)));
    }
    let is_dry = args.dry_run;
    let file = args.file.as_deref().filter(|file| *file != Path::new("-"));
    let is_piped = args.urls == ["-"] || (args.file.is_some() && file.is_none());
    if !is_piped && args.urls.iter().any(|url| url == "-") {
        return Err(ClientError::Usage("`-` reads standard input and must be the only argument".to_owned()));
    }
    if is_piped || file.is_some() {
        let is_csv = args.csv || file.is_some_and(is_csv);
        let body = read_urls(file, is_csv)?;
        return Ok(Request {
            kind: if is_csv { "text/csv" } else { "text/plain" },
            body,
            query: settings(args),
            is_dry,
        });
    }
    if args.csv {
        return Err(ClientError::Usage("--csv: only a file or standard input can be CSV".to_owned()));
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

/// Reads a file or standard input. JSON is refused here, because the service would advise another `Content-Type`,
/// which this command can't set.
fn read_urls(file: Option<&Path>, is_csv: bool) -> Result<Vec<u8>, ClientError> {
    let (name, read) = match file {
        Some(path) => (format!("--file {}", path.display()), File::open(path).and_then(read_input)),
        None => ("standard input".to_owned(), piped()),
    };
    let body = read.map_err(|error| ClientError::Usage(format!("{name}: {error}")))?;
    // The size is checked here, because a service that stops reading cuts the connection, and its answer is lost.
    if body.len() > MAX_BODY {
        return Err(ClientError::Usage(format!("{name}: a job has at most {MAX_BODY} bytes")));
    }
    if !is_csv && byte_order_mark::strip(&body).trim_ascii_start().starts_with(b"{") {
        let detail = "this is JSON, but one URL per line is expected. Send JSON to `POST /v1/jobs`";
        return Err(ClientError::Usage(format!("{name}: {detail}")));
    }
    Ok(body)
}

fn piped() -> io::Result<Vec<u8>> {
    if io::stdin().is_terminal() {
        note("Reading URLs, one per line, until Ctrl-D.");
    }
    read_input(io::stdin())
}

/// Reads at most one byte more than a job may have, because the input may never end.
fn read_input(input: impl Read) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    input.take(MAX_BODY as u64 + 1).read_to_end(&mut body)?;
    Ok(body)
}

/// The settings of a job besides its URLs, by the API's names.
fn settings(args: &Submit) -> Query {
    let mut settings = Query::new();
    let given = [
        ("unique_id", args.unique_id.clone()),
        ("folder_id", args.folder_id.map(|folder| folder.to_string())),
        ("quality", args.quality.clone()),
        ("library", args.library.clone()),
        ("priority", args.priority.clone()),
        ("callback_url", args.callback_url.clone()),
        ("force", args.force.then(|| "true".to_owned())),
        ("dry_run", args.dry_run.then(|| "true".to_owned())),
    ];
    settings.extend(given.into_iter().filter_map(|(name, value)| Some((name, value?))));
    settings.extend(args.labels.iter().map(|label| ("label", label.query())));
    settings
}

fn show_plan(output: &mut Output, plan: &Value) -> std::io::Result<()> {
    let tasks = plan["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut platforms: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for task in tasks {
        let (urls, requests) = platforms.entry(text(task, "platform")).or_default();
        *urls += number(task, "urls");
        *requests += 1;
    }
    let new: u64 = platforms.values().map(|(urls, _)| urls).sum();
    let requests = requests(tasks.len() as u64);
    let (known, following) = (number(plan, "known"), number(plan, "following"));
    let parts = format!(
        "{new} to be sent and charged ({requests}), {known} known, {following} queued or on their way"
    );
    output.line(&format!("{}: {parts}", urls(number(plan, "urls"))))?;
    let unconfirmed = number(plan, "unconfirmed");
    if unconfirmed > 0 {
        let said = "got no answer to the submit and may never arrive";
        let advice = "--force sends them again, which may be charged again.";
        output.paragraph(0, &format!("{unconfirmed} of them {said}. {advice}"))?;
    }
    let expected = expected(plan);
    if !expected.is_empty() {
        output.line(&format!("If submitted now: {expected}"))?;
    }
    if tasks.is_empty() {
        return Ok(());
    }
    let row = |(platform, (urls, requests)): (String, (u64, u64))| {
        Row::new("", vec![platform, urls.to_string(), requests.to_string()])
    };
    output.table(&["platform", "urls", "requests"], platforms.into_iter().map(row).collect())
}
