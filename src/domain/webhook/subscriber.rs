//! Subscribers: URLs that are told about events, in the forms in which they are configured, stored and shown.
//!
//! Must never show a secret.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

use super::format::Format;
use super::pattern::Pattern;
use super::target::Target;
use super::template::Template;
use crate::domain::event::EventKind;
use crate::domain::id::SubscriberId;
use crate::domain::time::Timestamp;
use crate::domain::words;

/// Most subscribers, so that a page of events has a bounded number of deliveries.
pub const MOST_SUBSCRIBERS: usize = 100;
/// Most patterns of events of a receiver.
pub const MOST_EVENTS: usize = 32;
/// Most characters of a name.
const MOST_NAME: usize = 64;
/// How long the old secret signs as well after a rotation.
pub const ROTATION: Duration = Duration::from_hours(24);

/// What a subscriber asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriberSettings {
    /// A name that no other subscriber has.
    pub name: Option<String>,
    /// The receiver.
    pub target: Target,
    /// The patterns of the events that it receives, at least one.
    pub events: Vec<Pattern>,
    /// The labels that a job must have. Without any, all events are admitted.
    pub labels: BTreeMap<String, String>,
    /// The form of the bodies.
    pub format: Format,
    /// The template of the format `template`.
    pub template: Option<Template>,
}

/// Why settings do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// There is no template.
    #[error("the format `template` needs a template")]
    NoTemplate,
    /// There is a template, but another format.
    #[error("only the format `template` has a template")]
    UnusedTemplate,
    /// The format can't express any of these events.
    #[error("the format `{0}` has no body for `{1}`, only for {events}", events = expressed(*.0))]
    Inexpressible(Format, Pattern),
}

/// The kinds that a format has a body for.
fn expressed(format: Format) -> String {
    let kinds = EventKind::ALL.iter().filter(|kind| format.expresses(**kind));
    kinds.map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(" and ")
}

impl Mismatch {
    /// The JSON pointer to the setting that is wrong.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::NoTemplate | Self::UnusedTemplate => "/template",
            Self::Inexpressible(..) => "/events",
        }
    }
}

impl SubscriberSettings {
    /// Whether it receives events of this kind, if the labels of their jobs fit.
    pub fn hears(&self, kind: EventKind) -> bool {
        self.format.expresses(kind) && self.events.iter().any(|pattern| pattern.admits(kind))
    }
}

/// Checks whether a format, its template and these events fit together.
///
/// # Errors
/// [`Mismatch`]
pub fn check(format: Format, template: Option<&Template>, events: &[Pattern]) -> Result<(), Mismatch> {
    match (format, template) {
        (Format::Template, None) => return Err(Mismatch::NoTemplate),
        (Format::Template, Some(_)) | (_, None) => {}
        (_, Some(_)) => return Err(Mismatch::UnusedTemplate),
    }
    let is_silent = |pattern: &&Pattern| {
        !EventKind::ALL.iter().any(|kind| pattern.admits(*kind) && format.expresses(*kind))
    };
    match events.iter().find(is_silent) {
        Some(pattern) => Err(Mismatch::Inexpressible(format, pattern.clone())),
        None => Ok(()),
    }
}

/// Changes of a subscriber. What is not given stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriberPatch {
    /// The new name. `Some(None)` removes it.
    pub name: Option<Option<String>>,
    /// The new receiver.
    pub target: Option<Target>,
    /// All patterns of events after the change.
    pub events: Option<Vec<Pattern>>,
    /// All labels after the change.
    pub labels: Option<BTreeMap<String, String>>,
    /// The new form of the bodies.
    pub format: Option<Format>,
    /// The new template. `Some(None)` removes it.
    pub template: Option<Option<Template>>,
    /// Whether webhooks are sent.
    pub enabled: Option<bool>,
}

impl SubscriberPatch {
    /// Whether it changes more than whether webhooks are sent.
    pub fn changes_settings(&self) -> bool {
        Self { enabled: None, ..self.clone() } != Self::default()
    }

    /// The settings after the change.
    ///
    /// # Errors
    /// [`Mismatch`] if they would not fit together.
    pub fn apply(&self, before: SubscriberSettings) -> Result<SubscriberSettings, Mismatch> {
        let format = self.format.unwrap_or(before.format);
        // The default events of the old format may make no sense for the new one.
        let had_default = format != before.format && before.events == before.format.default_events();
        let kept = if had_default { format.default_events() } else { before.events };
        let template = match &self.template {
            Some(template) => template.clone(),
            None => before.template.filter(|_| format == Format::Template),
        };
        let settings = SubscriberSettings {
            name: self.name.clone().unwrap_or(before.name),
            target: self.target.clone().unwrap_or(before.target),
            events: self.events.clone().unwrap_or(kept),
            labels: self.labels.clone().unwrap_or(before.labels),
            format,
            template,
        };
        check(format, settings.template.as_ref(), &settings.events)?;
        Ok(settings)
    }
}

/// Whether this can be the name of a subscriber. It must not look like an id, because routes accept both.
///
/// # Errors
/// Says what is wrong.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > MOST_NAME || !name.chars().all(is_plain) {
        return Err("must have from 1 to 64 letters, digits, dots, dashes or underscores of ASCII");
    }
    if name.starts_with("sub_") || name.chars().all(|c| c == '.') {
        return Err("must not begin like an id, and not be dots alone");
    }
    Ok(())
}

words! {
    /// Where a subscriber comes from.
    SubscriberSource {
        /// A client added it.
        Api = "api",
        /// The configuration names it, so the API can't change it.
        Config = "config",
    }
}

/// A subscriber as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Subscriber {
    /// Its id.
    pub id: SubscriberId,
    /// Its name, which no other subscriber has.
    #[schema(required)]
    pub name: Option<String>,
    /// Whether the API or the configuration has added it.
    pub source: SubscriberSource,
    /// Its URL, without user, password, query, and paths that grant access.
    pub url: String,
    /// Kinds of events that it receives, with patterns such as `job.*` and `*`.
    pub events: Vec<String>,
    /// Labels that a job must have, so that its events are sent.
    pub labels: BTreeMap<String, String>,
    /// Form of the bodies.
    pub format: Format,
    /// Template of the format `template`.
    #[schema(required)]
    pub template: Option<String>,
    /// Whether webhooks are sent.
    pub enabled: bool,
    /// Time of its creation.
    pub created_at: Timestamp,
    /// Time when it was disabled.
    #[schema(required)]
    pub disabled_at: Option<Timestamp>,
    /// The `seq` of the first event that it may have missed while it was disabled. A replay from here sends them.
    #[schema(required)]
    pub disabled_seq: Option<i64>,
    /// Why scrapehook disabled it. Null if an operator did.
    #[schema(required)]
    pub disabled_reason: Option<String>,
    /// Time of the first failed attempt since the last success.
    #[schema(required)]
    pub failing_since: Option<Timestamp>,
    /// Time until which an old secret signs as well.
    #[schema(required)]
    pub old_secret_until: Option<Timestamp>,
    /// The `seq` that a replay has come to. Null if there is none.
    #[schema(required)]
    pub replayed_to: Option<i64>,
    /// Numbers of its deliveries by state. Retention removes ended ones.
    pub deliveries: BTreeMap<String, i64>,
}
