//! `subscribers`: the URLs that are told about events, and their deliveries.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::list::{self, List, Paging};
use super::submit::Label;
use crate::cli::client::api::{Query, Service, id};
use crate::cli::client::show::output::{Output, note, text};
use crate::cli::client::show::subscribers::{show_deliveries, show_subscriber, show_subscribers};
use crate::domain::webhook::delivery::DeliveryState;
use crate::domain::webhook::format::Format;

/// Arguments of `subscribers` alone.
#[derive(Args, Debug)]
pub struct SubscriberList {
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    service: Service,
}

/// Commands about subscribers.
#[derive(Debug, Subcommand)]
pub enum SubscriberCommand {
    /// Add a subscriber, and print its secret once
    Add(Add),
    /// Show a subscriber
    Show(One),
    /// Change a subscriber
    Set(Set),
    /// Remove a subscriber and its deliveries
    Remove(One),
    /// Send a test message, and print what the receiver answered
    Test(One),
    /// Make a new secret. The old one signs as well for 24 hours
    Rotate(One),
    /// Send dead deliveries again, or all events from one on
    Replay(Replay),
    /// List the deliveries of a subscriber, newest first
    Deliveries(Deliveries),
}

/// One subscriber.
#[derive(Args, Debug)]
pub struct One {
    /// The subscriber, by its id or its name
    #[arg(value_name = "SUBSCRIBER", value_parser = id)]
    subscriber: String,
    #[command(flatten)]
    service: Service,
}

/// What a subscriber asks for.
#[derive(Args, Debug)]
struct Settings {
    /// Name that no other subscriber has
    #[arg(long)]
    name: Option<String>,
    /// Kind of events, such as job.settled, 'problem.*' or '*'. Can be repeated
    #[arg(long = "event", value_name = "KIND")]
    events: Vec<String>,
    /// Only events of jobs with this label. Can be repeated
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<Label>,
    /// Form of the bodies
    #[arg(long, value_parser = formats())]
    format: Option<String>,
    /// JSON with placeholders such as {{data.job.id}}, for the format `template`
    #[arg(long, value_name = "JSON")]
    template: Option<String>,
}

fn formats() -> PossibleValuesParser {
    PossibleValuesParser::new(Format::ALL.iter().map(|format| format.as_str()))
}

const ADD: &str = "\
Examples:
  All events, signed with a secret that is shown once:
    scrapehook subscribers add https://example.com/scrapes
  The ends of jobs and problems, in a chat:
    scrapehook subscribers add https://ntfy.sh/our-scrapes --format ntfy --name phone
  The jobs of a campaign, in a form of your own:
    scrapehook subscribers add https://example.com/in --label campaign=autumn --event job.settled \\
      --format template --template '{\"title\": \"{{text}}\", \"job\": {{data.job}}}'";

/// Arguments of `subscribers add`.
#[derive(Args, Debug)]
#[command(after_help = ADD)]
pub struct Add {
    /// URL that receives the webhooks
    #[arg(value_name = "WEBHOOK_URL")]
    url: String,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    service: Service,
}

const SET: &str = "\
Settings that are not given stay as they are. A subscriber that is enabled again hears of the events from then on.

Examples:
  After its receiver was mended:
    scrapehook subscribers set phone --enabled true
  What it has missed, from the number that `show` calls 'missed from':
    scrapehook subscribers replay phone --from 1200
  Other events:
    scrapehook subscribers set phone --event job.settled --event 'problem.*'";

/// Arguments of `subscribers set`.
#[derive(Args, Debug)]
#[command(after_help = SET)]
pub struct Set {
    /// The subscriber, by its id or its name
    #[arg(value_name = "SUBSCRIBER", value_parser = id)]
    subscriber: String,
    /// URL that receives the webhooks
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    settings: Settings,
    /// Whether webhooks are sent
    #[arg(long, value_name = "true|false")]
    enabled: Option<bool>,
    #[command(flatten)]
    service: Service,
}

const REPLAY: &str = "\
A webhook is sent again under its webhook-id, so a receiver that keeps the ids it has seen takes it once.

Examples:
  What was given up:
    scrapehook subscribers replay phone
  All events from one on:
    scrapehook subscribers replay phone --from 1200";

/// Arguments of `subscribers replay`.
#[derive(Args, Debug)]
#[command(after_help = REPLAY)]
pub struct Replay {
    /// The subscriber, by its id or its name
    #[arg(value_name = "SUBSCRIBER", value_parser = id)]
    subscriber: String,
    /// The seq of the first event [default: only dead deliveries]
    #[arg(long, value_name = "SEQ")]
    from: Option<i64>,
    #[command(flatten)]
    service: Service,
}

/// Arguments of `subscribers deliveries`.
#[derive(Args, Debug)]
pub struct Deliveries {
    /// The subscriber, by its id or its name
    #[arg(value_name = "SUBSCRIBER", value_parser = id)]
    subscriber: String,
    /// Only deliveries in this state
    #[arg(long, value_parser = states())]
    state: Option<String>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    service: Service,
}

fn states() -> PossibleValuesParser {
    PossibleValuesParser::new(DeliveryState::ALL.iter().map(|state| state.as_str()))
}

impl Settings {
    /// The given fields of the API.
    fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut give = |name: &str, value: Option<Value>| {
            fields.extend(value.map(|value| (name.to_owned(), value)));
        };
        give("name", self.name.clone().map(Value::from));
        give("events", (!self.events.is_empty()).then(|| json!(self.events)));
        let labels = self.labels.iter().map(Label::pair).collect::<Map<_, _>>();
        give("labels", (!labels.is_empty()).then(|| labels.into()));
        give("format", self.format.clone().map(Value::from));
        give("template", self.template.clone().map(Value::from));
        fields
    }
}

/// Lists subscribers.
pub(in crate::cli) async fn list(args: SubscriberList) -> anyhow::Result<()> {
    let api = args.service.connect()?;
    let list = List { path: &["subscribers"], query: Query::new(), paging: &args.paging };
    list::print(&api, list, args.service.json, show_subscribers).await
}

pub(in crate::cli) async fn run(command: SubscriberCommand) -> anyhow::Result<ExitCode> {
    match command {
        SubscriberCommand::Add(args) => add(args).await?,
        SubscriberCommand::Show(One { subscriber, service }) => {
            let answer = service.connect()?.get(&["subscribers", &subscriber], &Query::new()).await?;
            Output::new().answer(service.json, &answer, show_subscriber)?;
        }
        SubscriberCommand::Set(args) => set(args).await?,
        SubscriberCommand::Remove(One { subscriber, service }) => {
            service.connect()?.delete(&["subscribers", &subscriber]).await?;
            note("The subscriber is removed.");
        }
        SubscriberCommand::Test(args) => return test(args).await,
        SubscriberCommand::Rotate(One { subscriber, service }) => {
            let answer = service.connect()?.post(&["subscribers", &subscriber, "rotate"], None).await?;
            Output::new().answer(service.json, &answer, show_subscriber)?;
            note("The secret is shown only once. The old one signs as well for 24 hours.");
        }
        SubscriberCommand::Replay(args) => replay(args).await?,
        SubscriberCommand::Deliveries(args) => {
            let api = args.service.connect()?;
            let mut query = Query::new();
            list::filter(&mut query, "state", args.state.as_ref());
            let path = &["subscribers", &args.subscriber, "deliveries"];
            let list = List { path, query, paging: &args.paging };
            list::print(&api, list, args.service.json, show_deliveries).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(Add { url, settings, service }: Add) -> anyhow::Result<()> {
    let mut fields = settings.fields();
    fields.insert("url".to_owned(), url.into());
    let answer = service.connect()?.post(&["subscribers"], Some(&fields.into())).await?;
    Output::new().answer(service.json, &answer, show_subscriber)?;
    note("The secret is shown only once.");
    Ok(())
}

async fn set(args: Set) -> anyhow::Result<()> {
    let mut fields = args.settings.fields();
    fields.extend(args.url.map(|url| ("url".to_owned(), url.into())));
    fields.extend(args.enabled.map(|enabled| ("enabled".to_owned(), enabled.into())));
    let api = args.service.connect()?;
    let answer = api.patch(&["subscribers", &args.subscriber], &fields.into()).await?;
    Ok(Output::new().answer(args.service.json, &answer, show_subscriber)?)
}

async fn test(One { subscriber, service }: One) -> anyhow::Result<ExitCode> {
    let answer = service.connect()?.post(&["subscribers", &subscriber, "test"], None).await?;
    let is_delivered = answer.value["delivered"] == true;
    Output::new().answer(service.json, &answer, |output, result| {
        let took = text(result, "took_ms");
        output.line(&match is_delivered {
            true => format!("Delivered: HTTP {} after {took} ms.", text(result, "status")),
            false => format!("Not delivered: {}, after {took} ms.", text(result, "reason")),
        })
    })?;
    Ok(if is_delivered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn replay(Replay { subscriber, from, service }: Replay) -> anyhow::Result<()> {
    let body = from.map(|from| json!({ "from": from }));
    let answer = service.connect()?.post(&["subscribers", &subscriber, "replay"], body.as_ref()).await?;
    Ok(Output::new().answer(service.json, &answer, |output, replay| {
        output.line(&match from {
            Some(from) => format!("Events from {from} to {} are sent again.", text(replay, "to")),
            None => format!("Dead deliveries that are sent again: {}.", text(replay, "deliveries")),
        })
    })?)
}
