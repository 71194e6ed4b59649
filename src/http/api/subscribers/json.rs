//! The bodies that add and change subscribers. One pass reads them and finds every fault.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::domain::nearest::unknown;
use crate::domain::webhook::format::Format;
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::subscriber::{
    Mismatch, SubscriberPatch as Patch, SubscriberSettings, check, check_name,
};
use crate::domain::webhook::target::{Allowed, Target};
use crate::domain::webhook::template::Template;
use crate::http::api::jobs::callback::read_events;
use crate::http::api::jobs::settings::read_labels;
use crate::http::edge::body::{self, escape};
use crate::http::edge::problem::{Faults, Problem};

const FIELDS: [&str; 8] = ["name", "url", "events", "labels", "format", "template", "enabled", "secret"];

/// A new subscriber.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the body is read field by field, to name every fault; this is its description")]
pub(in crate::http) struct NewSubscriber {
    /// URL that receives the webhooks.
    #[schema(max_length = 2048, format = "uri", example = "https://example.com/scrapes")]
    url: String,
    /// Name that no other subscriber has. Routes accept it instead of the id.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_.-]+$")]
    name: Option<String>,
    /// Kinds of events. Patterns such as `job.*` and `*` are allowed. Default: `["*"]`, in the chats
    /// `["job.settled", "problem.*"]`, and with `upstream` its two kinds.
    #[schema(min_items = 1, max_items = 32)]
    events: Option<Vec<Pattern>>,
    /// Only events of jobs with all of these labels. Default: all events.
    labels: Option<BTreeMap<String, String>>,
    /// Form of the bodies. Default: `standard`.
    format: Option<Format>,
    /// Template of the format `template`: JSON with placeholders such as `{{data.job.id}}`.
    #[schema(min_length = 1, max_length = 16384)]
    template: Option<String>,
    /// Whether webhooks are sent. Default: true.
    enabled: Option<bool>,
    /// Secret that signs: `whsec_` and base64 of 24 to 64 bytes. Default: a new one.
    secret: Option<String>,
}

/// Changes to a subscriber. At least one field is needed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the same")]
pub(in crate::http) struct SubscriberPatch {
    /// New URL.
    #[schema(required = false, max_length = 2048, format = "uri")]
    url: String,
    /// New name. Null removes it.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_.-]+$")]
    name: Option<String>,
    /// All kinds of events from now on.
    #[schema(required = false, min_items = 1, max_items = 32)]
    events: Vec<Pattern>,
    /// All labels from now on.
    #[schema(required = false)]
    labels: BTreeMap<String, String>,
    /// New form of the bodies.
    #[schema(required = false)]
    format: Format,
    /// New template. Null removes it.
    #[schema(min_length = 1, max_length = 16384)]
    template: Option<String>,
    /// Whether webhooks are sent.
    #[schema(required = false)]
    enabled: bool,
}

/// A valid subscriber as the client asked for it.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) settings: SubscriberSettings,
    pub(super) secret: Option<Secret>,
    pub(super) enabled: bool,
}

struct Reader {
    fields: Map<String, Value>,
    faults: Faults,
    allowed: Allowed,
    /// Whether format, events and template are valid, each by itself.
    fits_together: bool,
}

/// Reads a new subscriber.
pub(super) fn read_new(bytes: &[u8], allowed: Allowed) -> Result<Given, Problem> {
    let mut reader = Reader::new(bytes, allowed)?;
    // In a new subscriber, null is a missing field.
    reader.fields.retain(|_, value| !value.is_null());
    let secret = reader.secret();
    let format = reader.format().unwrap_or(Format::Standard);
    let events = reader.events().unwrap_or_else(|| format.default_events());
    let template = reader.template().flatten();
    if reader.fits_together
        && let Err(error) = check(format, template.as_ref(), &events)
    {
        reader.faults.push(error.field(), error);
    }
    let (name, labels) = (reader.name().flatten(), reader.labels().unwrap_or_default());
    let enabled = reader.enabled().unwrap_or(true);
    if !reader.fields.contains_key("url") {
        reader.faults.push("/url", "is missing");
    }
    match reader.url() {
        Some(target) if reader.faults.is_empty() => {
            let settings = SubscriberSettings { name, target, events, labels, format, template };
            Ok(Given { settings, secret, enabled })
        }
        _ => Err(Problem::faults(reader.faults)),
    }
}

/// Reads the changes of a subscriber.
pub(super) fn read_patch(bytes: &[u8], allowed: Allowed) -> Result<Patch, Problem> {
    let mut reader = Reader::new(bytes, allowed)?;
    if reader.fields.is_empty() {
        reader.faults.push("", "at least one field is expected");
    }
    if reader.fields.remove("secret").is_some() {
        reader.faults.push("/secret", "POST /v1/subscribers/{id}/rotate makes a new one");
    }
    let patch = Patch {
        format: reader.format(),
        events: reader.events(),
        template: reader.template(),
        name: reader.name(),
        target: reader.url(),
        labels: reader.labels(),
        enabled: reader.enabled(),
    };
    if reader.faults.is_empty() { Ok(patch) } else { Err(Problem::faults(reader.faults)) }
}

/// The answer to changes whose result would not fit together.
pub(super) fn mismatch(error: &Mismatch) -> Problem {
    let mut faults = Faults::default();
    faults.push(error.field(), error);
    Problem::faults(faults)
}

impl Reader {
    fn new(bytes: &[u8], allowed: Allowed) -> Result<Self, Problem> {
        let mut faults = Faults::default();
        let Value::Object(fields) = body::parse_json(bytes)? else {
            faults.push("", "an object is expected");
            return Err(Problem::faults(faults));
        };
        for pointer in body::repeated(bytes, "labels") {
            faults.push(pointer, "is given more than once");
        }
        for name in fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
            faults.push(format_args!("/{}", escape(name)), unknown("unknown field", name, FIELDS));
        }
        Ok(Self { fields, faults, allowed, fits_together: true })
    }

    /// A field that is text. `Some(None)` is null.
    fn text(&mut self, field: &str) -> Option<Option<String>> {
        match self.fields.remove(field)? {
            Value::Null => Some(None),
            Value::String(text) => Some(Some(text)),
            _ => {
                self.faults.push(format_args!("/{field}"), "a string is expected");
                None
            }
        }
    }

    fn url(&mut self) -> Option<Target> {
        match self.text("url")? {
            None => self.faults.push("/url", "a string is expected"),
            Some(text) => match Target::parse(text.trim(), self.allowed) {
                Ok(target) => return Some(target),
                Err(error) => self.faults.push("/url", error),
            },
        }
        None
    }

    fn name(&mut self) -> Option<Option<String>> {
        let name = self.text("name")?;
        if let Some(Err(what)) = name.as_deref().map(check_name) {
            self.faults.push("/name", what);
            return None;
        }
        Some(name)
    }

    fn events(&mut self) -> Option<Vec<Pattern>> {
        let given = self.fields.remove("events")?;
        let mut faults = Faults::default();
        let events = read_events(&given, "/events", &mut faults);
        self.fits_together &= faults.is_empty();
        self.faults.append(faults);
        Some(events)
    }

    fn labels(&mut self) -> Option<BTreeMap<String, String>> {
        let given = self.fields.remove("labels")?;
        Some(read_labels(given, &mut self.faults))
    }

    fn format(&mut self) -> Option<Format> {
        let given = self.fields.remove("format")?;
        let format = given.as_str().and_then(|word| word.parse().ok());
        if format.is_none() {
            self.fits_together = false;
            let words: Vec<String> = Format::ALL.iter().map(|format| format!("`{format}`")).collect();
            self.faults.push("/format", format_args!("one of {} is expected", words.join(", ")));
        }
        format
    }

    fn template(&mut self) -> Option<Option<Template>> {
        let Some(text) = self.text("template")? else { return Some(None) };
        match Template::parse(&text) {
            Ok(template) => Some(Some(template)),
            Err(error) => {
                self.faults.push("/template", error);
                self.fits_together = false;
                None
            }
        }
    }

    fn enabled(&mut self) -> Option<bool> {
        let enabled = self.fields.remove("enabled")?.as_bool();
        if enabled.is_none() {
            self.faults.push("/enabled", "true or false is expected");
        }
        enabled
    }

    fn secret(&mut self) -> Option<Secret> {
        match Secret::parse(&self.text("secret")??) {
            Ok(secret) => Some(secret),
            Err(error) => {
                self.faults.push("/secret", error);
                None
            }
        }
    }
}
