//! Makes a delivery ready to be sent.

use thiserror::Error;

use super::expand::DOWNLOADED;
use super::objects::Objects;
use super::recent::Recent;
use crate::domain::event::EventKind;
use crate::domain::id::JobId;
use crate::domain::time::Timestamp;
use crate::domain::webhook::body::Rendered;
use crate::domain::webhook::format::Format;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::target::Target;
use crate::domain::webhook::template::Template;
use crate::domain::webhook::{chat, upstream_body};
use crate::store::{DueDelivery, ReadError, Store};

/// A delivery that is ready to be sent.
#[derive(Debug)]
pub struct Prepared {
    /// The `webhook-id`.
    pub id: String,
    /// The receiver.
    pub target: Target,
    /// The secrets that sign.
    pub secrets: Vec<Secret>,
    /// The body.
    pub rendered: Rendered,
}

/// Why a delivery can't be sent.
#[derive(Debug, Error)]
pub enum Unsendable {
    /// The database could not be read now.
    #[error(transparent)]
    Unread(#[from] ReadError),
    /// It never can. Contains the reason, in words for the operator.
    #[error("{0}")]
    Never(String),
}

/// The receiver of a delivery.
struct Receiver {
    id: String,
    target: Target,
    secrets: Vec<Secret>,
    format: Format,
    template: Option<Template>,
}

/// Prepares a delivery. `job_secrets` sign for receivers without a secret.
///
/// # Errors
/// [`Unsendable`]
pub async fn prepare(
    store: &Store,
    recent: &Recent,
    due: &DueDelivery,
    job_secrets: &[Secret],
    now: Timestamp,
) -> Result<Prepared, Unsendable> {
    let receiver = receiver(store, due, job_secrets, now).await?;
    let rendered = match (receiver.format, due.subscriber, due.job) {
        (Format::Upstream, None, Some(job)) => of_job_in_upstreams_format(job, &due.key),
        (format, ..) => {
            let removed = || Unsendable::Never("retention has removed the event".to_owned());
            let objects = recent.read(due.job, due.seq).await?.ok_or_else(removed)?;
            render(&objects, format, receiver.template.as_ref())?
        }
    };
    let id = format!("msg_{}_{}", due.key, receiver.id);
    Ok(Prepared { id, target: receiver.target, secrets: receiver.secrets, rendered })
}

async fn receiver(
    store: &Store,
    due: &DueDelivery,
    job_secrets: &[Secret],
    now: Timestamp,
) -> Result<Receiver, Unsendable> {
    if let Some(id) = due.subscriber {
        let found = store.read().subscriber_to_send(id).await?;
        let found = found.ok_or_else(|| Unsendable::Never("the subscriber was removed".to_owned()))?;
        let secrets = found.secrets_at(now);
        return Ok(Receiver {
            id: id.to_string(),
            secrets: if secrets.is_empty() { job_secrets.to_vec() } else { secrets },
            target: found.settings.target,
            format: found.settings.format,
            template: found.settings.template,
        });
    }
    let missing = || Unsendable::Never("the job has no callback URL".to_owned());
    let job = due.job.ok_or_else(missing)?;
    let callback = store.read().job_callback(job).await;
    let callback = callback.map_err(|error| match error.is_about_a_row() {
        true => Unsendable::Never("the stored URL can't be read".to_owned()),
        false => error.into(),
    });
    let callback = callback?.ok_or_else(missing)?;
    Ok(Receiver {
        id: job.to_string(),
        target: callback.target,
        secrets: job_secrets.to_vec(),
        format: callback.format,
        template: None,
    })
}

fn of_job_in_upstreams_format(job: JobId, key: &str) -> Rendered {
    let task_id = job.to_string();
    if key == DOWNLOADED {
        upstream_body::downloaded(&task_id)
    } else {
        upstream_body::indexed(&task_id, key)
    }
}

fn render(objects: &Objects, format: Format, template: Option<&Template>) -> Result<Rendered, Unsendable> {
    let event = objects.event();
    Ok(match (format, template) {
        (Format::Slack, _) => chat::slack(&objects.text()),
        (Format::Discord, _) => chat::discord(&objects.text()),
        (Format::Ntfy, _) => chat::ntfy(&objects.text(), event.kind),
        (Format::Template, Some(template)) => {
            let filled = template.fill(&objects.to_values());
            Rendered::json(filled.map_err(|error| Unsendable::Never(error.to_string()))?)
        }
        (Format::Upstream, _) => {
            // A task that was found without its taskId has only the id that scrapehook gave it.
            let own = || event.task_id.map(|task| task.to_string()).unwrap_or_default();
            let task_id = event.upstream_id.clone().unwrap_or_else(own);
            match (event.kind, &event.video_id) {
                (EventKind::VideoIndexed, Some(video)) => upstream_body::indexed(&task_id, video),
                _ => upstream_body::downloaded(&task_id),
            }
        }
        (Format::Standard | Format::Template, _) => Rendered::json(objects.json().to_owned()),
    })
}
