//! The client commands, which send requests to a running service over HTTP, with `SCRAPEHOOK_URL` and
//! `SCRAPEHOOK_API_KEY`.
//!
//! Must never read the store, and never show the key.

pub(super) mod api;
mod commands;
pub(super) mod show;

use std::process::ExitCode;

use clap::Subcommand;

use self::api::failure::ClientError;
pub use self::commands::subscribers::{SubscriberCommand, SubscriberList};
use self::commands::{decide, events, jobs, queue, status, submit, subscribers, tasks, watch};
use self::show::output::note;

/// What a client asks for.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Submit URLs as a job
    Submit(Box<submit::Submit>),
    /// Wait until a job has settled, and report its result
    Watch(watch::Watch),
    /// Report problems, each with advice
    Status(status::Status),
    /// Report the waiting URLs, and when they are expected to be sent
    Queue(queue::Queue),
    /// List jobs, newest first, or show one of them
    Jobs(jobs::Jobs),
    /// List tasks, newest first, or show one of them
    Tasks(tasks::Tasks),
    /// List videos, newest first, or show one of them
    Videos(tasks::Videos),
    /// List events, or follow them as they happen
    Events(events::Events),
    /// Try the failed URLs of a job or a task again
    Retry(decide::Retry),
    /// Give an unconfirmed task the taskId that the API knows it by
    Adopt(decide::Adopt),
    /// Ask the memories.ai API about a task now
    Refresh(decide::Refresh),
    /// Cancel unsent URLs, or give up an unconfirmed task
    Cancel(decide::Cancel),
    /// Make the waiting URLs of a job more or less urgent
    Priority(decide::Priority),
    /// Stop sending tasks
    Pause(decide::Pause),
    /// Resume sending, whatever the reason for the pause
    Resume(decide::Resume),
}

/// Sends the requests of a command, and prints the answer. If there is none, standard error has the reason.
///
/// # Errors
/// This machine has failed. Failures of the service or the network have been reported already.
pub async fn run(command: ClientCommand) -> anyhow::Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    let result = match command {
        ClientCommand::Submit(args) => submit::run(*args).await,
        ClientCommand::Watch(args) => watch::run(args).await,
        ClientCommand::Status(args) => status::run(args).await,
        ClientCommand::Queue(args) => queue::run(args).await.map(done),
        ClientCommand::Jobs(args) => jobs::run(args).await.map(done),
        ClientCommand::Tasks(args) => tasks::run_tasks(args).await.map(done),
        ClientCommand::Videos(args) => tasks::run_videos(args).await.map(done),
        ClientCommand::Events(args) => events::run(args).await.map(done),
        ClientCommand::Retry(args) => decide::retry(args).await.map(done),
        ClientCommand::Adopt(args) => decide::adopt(args).await.map(done),
        ClientCommand::Refresh(args) => decide::refresh(args).await.map(done),
        ClientCommand::Cancel(args) => decide::cancel(args).await.map(done),
        ClientCommand::Priority(args) => decide::priority(args).await.map(done),
        ClientCommand::Pause(args) => decide::pause(args).await.map(done),
        ClientCommand::Resume(args) => decide::resume(args).await.map(done),
    };
    reported(result)
}

/// Lists subscribers, or carries out a command about one. See [`run`].
///
/// # Errors
/// See [`run`].
pub async fn run_subscribers(
    command: Option<SubscriberCommand>,
    list: SubscriberList,
) -> anyhow::Result<ExitCode> {
    reported(match command {
        Some(command) => subscribers::run(command).await,
        None => subscribers::list(list).await.map(|()| ExitCode::SUCCESS),
    })
}

/// Reports a failure of the service or the network.
fn reported(result: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    result.or_else(|error| match error.downcast_ref::<ClientError>() {
        Some(error) => {
            note(&format!("scrapehook: {error}"));
            Ok(ExitCode::from(error.exit_code()))
        }
        None => Err(error),
    })
}
