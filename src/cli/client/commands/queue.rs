//! `queue`: the waiting URLs, and when they are expected to be sent.

use clap::Args;

use crate::cli::client::api::{Query, Service};
use crate::cli::client::show::output::Output;
use crate::cli::client::show::queue::show_queue;

const EXAMPLES: &str = "\
Examples:
    scrapehook queue
  When the last of it is expected to have been sent, for a program:
    scrapehook queue --json | jq -r .sent_by";

/// Arguments of `queue`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Queue {
    #[command(flatten)]
    service: Service,
}

pub(in crate::cli) async fn run(args: Queue) -> anyhow::Result<()> {
    let answer = args.service.connect()?.get(&["queue"], &Query::new()).await?;
    Ok(Output::new().answer(args.service.json, &answer, show_queue)?)
}
