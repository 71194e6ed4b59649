//! The body of `POST /v1/jobs`. One pass reads it and finds every fault.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};

use crate::domain::job::{JobOptions, Library, Quality};
use crate::domain::nearest::unknown;
use crate::domain::queue::Priority;
use crate::domain::url::PostUrl;
use crate::domain::webhook::callback::JobCallback;
use crate::domain::webhook::format::Format;
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::target::Allowed;
use crate::http::api::jobs::callback;
use crate::http::api::jobs::settings::{TEXT_CHARS, read_labels, read_priority};
use crate::http::edge::body::{self, escape};
use crate::http::edge::problem::{Faults, Problem};

/// The fields of a job as JSON.
const FIELDS: [&str; 13] = [
    "video_urls",
    "tiktok_post_urls",
    "unique_id",
    "folder_id",
    "quality",
    "library",
    "labels",
    "priority",
    "force",
    "dry_run",
    "callback_url",
    "callback",
    "callback_events",
];
/// The fields that can also be query parameters.
const PARAMETERS: [&str; 11] = [
    "unique_id",
    "folder_id",
    "quality",
    "library",
    "label",
    "priority",
    "force",
    "dry_run",
    "callback_url",
    "callback",
    "callback_events",
];

/// Body of `POST /v1/jobs` as JSON. At least one of the two lists must have a URL.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the body is read field by field, to name every fault; this is its description")]
pub(in crate::http) struct JobRequest {
    /// URLs of posts on any platforms.
    #[schema(max_items = 10_000, example = json!(["https://www.youtube.com/watch?v=o9vgXOH4ET0"]))]
    video_urls: Option<Vec<PostUrlText>>,
    /// Second list of post URLs, as in the memories.ai API. scrapehook treats both lists as one.
    #[schema(max_items = 10_000)]
    tiktok_post_urls: Option<Vec<PostUrlText>>,
    /// Folder name in the account.
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    unique_id: Option<String>,
    #[schema(schema_with = folder_schema)]
    folder_id: Option<i64>,
    /// Video resolution. Default: 360, and 720 in the library `public`.
    quality: Option<Quality>,
    /// Library for the videos. Videos in `public` stay there forever, for everybody. Default: `private`.
    library: Option<Library>,
    /// Labels to find the job by. At most 32.
    labels: Option<BTreeMap<String, String>>,
    /// Urgency among the jobs of the same API key. Default: `normal`.
    priority: Option<Priority>,
    /// Also send URLs that are indexed or on their way already, and pay for them. Default: false.
    force: Option<bool>,
    /// Return the plan of the job, and store nothing. Default: false.
    dry_run: Option<bool>,
    /// URL that receives a signed webhook for each of `callback_events`.
    #[schema(max_length = 2048, format = "uri", example = "https://example.com/scraped")]
    callback_url: Option<String>,
    /// Another name for `callback_url`.
    #[schema(max_length = 2048, format = "uri")]
    callback: Option<String>,
    /// Kinds of events that `callback_url` receives. Patterns such as `job.*` and `*` are allowed. Default:
    /// `["job.settled"]`.
    #[schema(min_items = 1, max_items = 32)]
    callback_events: Option<Vec<Pattern>>,
}

fn folder_schema() -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Integer, Type::String, Type::Null]))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .pattern(Some("^-?[0-9]+$"))
        .description(Some(
            "Folder number in the account, instead of `unique_id`. JavaScript's numbers are exact only up to 2^53. \
             Send a larger number as a string of its digits.",
        ))
        .into()
}

/// URL of a post.
#[derive(ToSchema)]
#[schema(max_length = 2048, format = "uri", pattern = r"^\s*[Hh][Tt][Tt][Pp][Ss]?://")]
#[expect(dead_code, reason = "the same")]
struct PostUrlText(String);

/// A valid job as the client asked for it.
#[derive(Debug)]
pub(in crate::http) struct AskedJob {
    pub(in crate::http) urls: Vec<PostUrl>,
    pub(in crate::http) options: JobOptions,
    /// Whether to send URLs that are known or on their way, too.
    pub(in crate::http) force: bool,
    /// Whether to answer with the plan, and store nothing.
    pub(in crate::http) dry_run: bool,
    /// The URL that receives webhooks about its events.
    pub(in crate::http) callback: Option<JobCallback>,
}

impl AskedJob {
    /// A hash that is equal for all ways to ask for the same job.
    pub(in crate::http) fn fingerprint(&self) -> [u8; 32] {
        let Self { urls, options, force, dry_run: _, callback } = self;
        let JobOptions { unique_id, folder_id, quality, library, labels, priority } = options;
        let urls: Vec<&str> = urls.iter().map(|url| url.given.as_str()).collect();
        let asked = json!([urls, unique_id, folder_id, quality, library, labels, force]);
        let hash = Sha256::new().chain_update(asked.to_string());
        // Hashes that were stored before there were priorities and callbacks must stay valid.
        let hash = match priority {
            Priority::Normal => hash,
            Priority::High | Priority::Low => hash.chain_update(priority.as_str()),
        };
        let Some(JobCallback { target, events, format }) = callback else { return hash.finalize().into() };
        let events: Vec<String> = events.iter().map(ToString::to_string).collect();
        let hash = hash.chain_update(json!([target.expose().as_str(), events]).to_string());
        // Nor may those from before there were formats change.
        match format {
            Format::Standard => hash.finalize().into(),
            _ => hash.chain_update(format.as_str()).finalize().into(),
        }
    }
}

/// What bodies are checked against.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Rules {
    /// Most URLs of a job.
    pub(in crate::http) most_urls: usize,
    /// Which callback URLs are allowed.
    pub(in crate::http) allowed: Allowed,
}

struct Reader {
    faults: Faults,
    rules: Rules,
}

/// Reads a job.
pub(in crate::http) fn read(body: &[u8], rules: Rules) -> Result<AskedJob, Problem> {
    let mut reader = Reader { faults: Faults::default(), rules };
    let body = body::parse_json(body).inspect(|value| {
        if value.is_object() {
            body::repeated(body, "labels")
                .iter()
                .for_each(|pointer| reader.fault(pointer, "is given more than once"));
        }
    })?;
    let Value::Object(fields) = body else {
        reader.fault("", "an object is expected");
        return Err(Problem::faults(reader.faults));
    };
    read_fields(fields, reader.faults, rules)
}

/// Reads a job from the fields of its body. Adds its faults to those that were found before.
pub(in crate::http) fn read_fields(
    mut fields: Map<String, Value>,
    faults: Faults,
    rules: Rules,
) -> Result<AskedJob, Problem> {
    let mut reader = Reader { faults, rules };
    let urls = reader.urls(&mut fields, rules.most_urls);
    let settings = reader.settings(&mut fields);
    if reader.faults.is_empty() { Ok(settings.with(urls)) } else { Err(Problem::faults(reader.faults)) }
}

/// All parts of a job except its URLs.
#[derive(Debug)]
pub(in crate::http) struct Settings {
    options: JobOptions,
    force: bool,
    dry_run: bool,
    callback: Option<JobCallback>,
}

impl Settings {
    pub(in crate::http) fn with(self, urls: Vec<PostUrl>) -> AskedJob {
        let Self { options, force, dry_run, callback } = self;
        AskedJob { urls, options, force, dry_run, callback }
    }
}

/// Reads settings from a query, for bodies that have only URLs. The parameters have the names of the fields, and a
/// label is `label=key:value`.
pub(in crate::http) fn read_query(query: &str, rules: Rules) -> Result<Settings, Problem> {
    let mut reader = Reader { faults: Faults::default(), rules };
    let (mut fields, mut labels) = (Map::new(), Map::new());
    for (name, text) in url::form_urlencoded::parse(query.as_bytes()) {
        let value = match (&*name, &*text) {
            ("label", _) => {
                match text.split_once(':') {
                    Some((key, _)) if labels.contains_key(key) => {
                        reader.fault(&format!("/label/{}", escape(key)), "is given more than once");
                    }
                    Some((key, value)) => drop(labels.insert(key.to_owned(), value.into())),
                    None => reader.fault("/label", "`key:value` is expected"),
                }
                continue;
            }
            ("video_urls" | "tiktok_post_urls" | "labels", _) => Value::Null,
            ("folder_id", number) => {
                number.parse().map_or_else(|_| number.into(), |number: i64| number.into())
            }
            ("force" | "dry_run", "true") => true.into(),
            ("force" | "dry_run", "false") => false.into(),
            ("callback_events", list) => list.split(',').map(str::trim).collect(),
            (_, text) => text.into(),
        };
        if value.is_null() {
            reader.fault(&format!("/{}", escape(&name)), unknown("unknown parameter", &name, PARAMETERS));
        } else if fields.insert(name.clone().into_owned(), value).is_some() {
            reader.fault(&format!("/{}", escape(&name)), "is given more than once");
        }
    }
    if !labels.is_empty() {
        fields.insert("labels".to_owned(), labels.into());
    }
    let settings = reader.settings(&mut fields);
    if reader.faults.is_empty() { Ok(settings) } else { Err(Problem::query_faults(reader.faults)) }
}

impl Reader {
    fn fault(&mut self, pointer: &str, detail: impl Display) {
        self.faults.push(pointer, detail);
    }

    fn settings(&mut self, fields: &mut Map<String, Value>) -> Settings {
        let library = self.library(fields);
        let force = self.flag(fields, "force");
        let dry_run = self.flag(fields, "dry_run");
        let callback = callback::read(fields, self.rules.allowed, &mut self.faults);
        let options = JobOptions {
            unique_id: self.unique_id(fields),
            folder_id: self.folder_id(fields),
            quality: self.quality(fields, library),
            library,
            labels: self.labels(fields),
            priority: self.priority(fields),
        };
        if options.unique_id.is_some() && options.folder_id.is_some() {
            self.fault("/folder_id", "give either unique_id or folder_id, not both");
        }
        for name in fields.keys() {
            self.fault(&format!("/{}", escape(name)), unknown("unknown field", name, FIELDS));
        }
        Settings { options, force, dry_run, callback }
    }

    fn urls(&mut self, fields: &mut Map<String, Value>, most: usize) -> Vec<PostUrl> {
        let mut urls = Vec::new();
        let mut count = 0;
        for name in ["video_urls", "tiktok_post_urls"] {
            let list = match fields.remove(name) {
                None | Some(Value::Null) => continue,
                Some(Value::Array(list)) => list,
                Some(_) => {
                    self.fault(&format!("/{name}"), "a list of URLs is expected");
                    count += 1;
                    continue;
                }
            };
            count += list.len();
            if count > most {
                self.fault(&format!("/{name}"), format!("a job takes at most {most} URLs"));
                continue;
            }
            for (place, url) in list.iter().enumerate() {
                match url.as_str().map(PostUrl::parse) {
                    Some(Ok(url)) => urls.push(url),
                    Some(Err(error)) => self.fault(&format!("/{name}/{place}"), error),
                    None => self.fault(&format!("/{name}/{place}"), "a string is expected"),
                }
            }
        }
        if count == 0 {
            self.fault("/video_urls", "at least one URL is needed");
        }
        urls
    }

    fn library(&mut self, fields: &mut Map<String, Value>) -> Library {
        match fields.remove("library") {
            None | Some(Value::Null) => Library::Private,
            Some(value) => value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
                self.fault("/library", "`private` or `public` is expected");
                Library::Private
            }),
        }
    }

    fn priority(&mut self, fields: &mut Map<String, Value>) -> Priority {
        let given = fields.remove("priority").filter(|value| !value.is_null());
        given.and_then(|value| read_priority(&value, &mut self.faults)).unwrap_or(Priority::Normal)
    }

    fn flag(&mut self, fields: &mut Map<String, Value>, name: &str) -> bool {
        match fields.remove(name) {
            None | Some(Value::Null) => false,
            Some(value) => value.as_bool().unwrap_or_else(|| {
                self.fault(&format!("/{name}"), "true or false is expected");
                false
            }),
        }
    }

    fn unique_id(&mut self, fields: &mut Map<String, Value>) -> Option<String> {
        let value = fields.remove("unique_id").filter(|value| !value.is_null())?;
        match value.as_str() {
            Some(text) if text.trim().is_empty() => self.fault("/unique_id", "must not be empty"),
            Some(text) if text.chars().count() > TEXT_CHARS => {
                self.fault("/unique_id", format!("must have at most {TEXT_CHARS} characters"));
            }
            Some(text) if text.contains(char::is_control) => {
                self.fault("/unique_id", "must not contain control characters");
            }
            Some(text) => return Some(text.to_owned()),
            None => self.fault("/unique_id", "a string is expected"),
        }
        None
    }

    fn folder_id(&mut self, fields: &mut Map<String, Value>) -> Option<i64> {
        let value = fields.remove("folder_id").filter(|value| !value.is_null())?;
        // JavaScript's numbers are exact only up to 2^53, so clients may send a string.
        let is_integer = |text: &str| {
            let digits = text.strip_prefix('-').unwrap_or(text);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        let folder = match &value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) if is_integer(text) => text.parse().ok(),
            _ => None,
        };
        if folder.is_none() {
            let (least, most) = (i64::MIN, i64::MAX);
            let range = format!("an integer from {least} to {most}, without a decimal point or an exponent");
            self.fault("/folder_id", format!("must be {range}, or a string of its digits"));
        }
        folder
    }

    fn quality(&mut self, fields: &mut Map<String, Value>, library: Library) -> Quality {
        match fields.remove("quality") {
            None | Some(Value::Null) => library.default_quality(),
            Some(value) => value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
                let known: Vec<_> = Quality::ALL.iter().map(|quality| format!("\"{quality}\"")).collect();
                self.fault("/quality", format!("one of {} is expected", known.join(", ")));
                library.default_quality()
            }),
        }
    }

    fn labels(&mut self, fields: &mut Map<String, Value>) -> BTreeMap<String, String> {
        let given = fields.remove("labels").filter(|value| !value.is_null());
        given.map(|given| read_labels(given, &mut self.faults)).unwrap_or_default()
    }
}
