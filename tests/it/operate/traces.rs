//! Traces: one a task, whatever is restarted in between, and nothing in them that is nobody's business.
#![cfg(feature = "traces")]

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use scrapehook::simulator::Faults;
use tokio::net::TcpListener;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::answers::{Page, Video};
use crate::support::process::Process;
use crate::support::{Scene, Service, UPSTREAM_KEY, mixed_urls};

/// A field of a message of Protocol Buffers, as far as OTLP's spans have them.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn number(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = number(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(number(&mut bytes)),
            1 | 5 => {
                let (value, rest) = bytes.split_at(if key & 7 == 1 { 8 } else { 4 });
                bytes = rest;
                Field::Number(value.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
            }
            2 => {
                let length = usize::try_from(number(&mut bytes)).unwrap();
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(value)
            }
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, field));
    }
    found
}

fn messages(bytes: &[u8], wanted: u64) -> Vec<&[u8]> {
    let inner = |(number, field)| match field {
        Field::Bytes(bytes) if number == wanted => Some(bytes),
        _ => None,
    };
    fields(bytes).into_iter().filter_map(inner).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Clone, Debug, PartialEq)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    nanos: u64,
    attributes: Vec<(String, String)>,
}

impl Span {
    /// By the numbers of `opentelemetry/proto/trace/v1/trace.proto`.
    fn read(bytes: &[u8]) -> Self {
        let first = |wanted| messages(bytes, wanted).first().copied().unwrap_or_default();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let time = |wanted| {
            fields(bytes)
                .into_iter()
                .find_map(|(number, field)| match field {
                    Field::Number(value) if number == wanted => Some(value),
                    _ => None,
                })
                .unwrap()
        };
        let attribute = |pair: &[u8]| {
            let value = messages(messages(pair, 2)[0], 1);
            (text(messages(pair, 1)[0]), text(value[0]))
        };
        Self {
            trace: hex(first(1)),
            id: hex(first(2)),
            parent: hex(first(4)),
            name: text(first(5)),
            nanos: time(8) - time(7),
            attributes: messages(bytes, 9).into_iter().map(attribute).collect(),
        }
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// What a collector took.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Bytes>>>);

impl Collector {
    async fn listen(router: Router) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    async fn start() -> (Self, String) {
        let collector = Self::default();
        let take = async |State(collector): State<Self>, headers: HeaderMap, body: Bytes| {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            collector.0.lock().unwrap().push(body);
        };
        let router = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        (collector, Self::listen(router).await)
    }

    fn spans(&self) -> Vec<Span> {
        let bodies = self.0.lock().unwrap();
        let scopes = bodies.iter().flat_map(|body| messages(body, 1)).flat_map(|of| messages(of, 2));
        scopes.flat_map(|scope| messages(scope, 2)).map(Span::read).collect()
    }

    fn contains(&self, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|body| body.windows(text.len()).any(|part| part == text.as_bytes()))
    }
}

async fn tasks(service: &Service) -> Vec<String> {
    let items = service.items("/v1/tasks").await;
    items.iter().map(|task| task["id"].as_str().unwrap().trim_start_matches("task_").to_owned()).collect()
}

#[tokio::test]
async fn each_task_is_one_trace_from_its_making_to_a_callback_after_a_restart() {
    let (collector, endpoint) = Collector::start().await;
    let (upstream, service) = Scene::new().set("TRACES__ENDPOINT", &endpoint).start().await;
    let urls = mixed_urls(6);
    let job = service.submit(&urls).await;
    service.until_settled(&job).await;
    // The poll after the end says whose each video is.
    let all_polled = |page: &Page<Video>| page.items.iter().all(|video| video.attributed);
    service.until_unannounced("/v1/videos", all_polled).await;
    let tasks = tasks(&service).await;
    let setup = service.stop().await;
    let before = collector.spans();
    for task in &tasks {
        let of_task: Vec<&Span> = before.iter().filter(|span| span.trace == *task).collect();
        let named = |name: &str| of_task.iter().copied().filter(|span| span.name == name).collect::<Vec<_>>();
        let root = named("task");
        assert_eq!(root.len(), 1, "{of_task:#?}");
        assert_eq!((root[0].id.as_str(), root[0].parent.as_str()), (&task[16..], ""));
        assert_eq!(root[0].attribute("scrapehook.job"), Some(job.as_str()));
        let others = of_task.iter().filter(|span| span.name != "task");
        assert!(others.clone().all(|span| span.parent == root[0].id), "{of_task:#?}");
        assert_eq!(others.map(|span| &span.id).collect::<BTreeSet<_>>().len(), of_task.len() - 1);
        let submit = named("submit");
        assert_eq!(submit.len(), 1);
        assert_eq!(submit[0].attribute("scrapehook.outcome"), Some("accepted"));
        let kinds: BTreeSet<_> =
            named("callback").iter().filter_map(|span| span.attribute("scrapehook.kind")).collect();
        assert_eq!(kinds, ["succeeded", "video_indexed"].into());
        assert!(named("poll").iter().any(|span| span.attribute("scrapehook.outcome") == Some("listed")));
        let lifetime = named("lifetime");
        assert_eq!(lifetime[0].attribute("scrapehook.state"), Some("indexed"));
        assert!(lifetime[0].nanos >= submit[0].nanos);
    }
    // Days later, in another process.
    let service = setup.start().await;
    let url = upstream.submits()[0].body.callback_url.clone().unwrap();
    let late = r#"{"status":"INDEXING_SUCCEEDED","videoId":"VI-late"}"#;
    assert_eq!(service.client.post(&url).body(late).send().await.unwrap().status(), 200);
    service.stop().await;
    let late: Vec<Span> = collector.spans().split_off(before.len());
    let late: Vec<_> = late.iter().filter(|span| span.name == "callback").collect();
    assert!(late.len() == 1 && tasks.contains(&late[0].trace), "{late:?}");
    let token = url.rsplit('/').next().unwrap();
    for secret in [token, UPSTREAM_KEY, "VI-late"].into_iter().chain(urls.iter().map(String::as_str)) {
        assert!(!collector.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn what_goes_wrong_is_part_of_the_trace() {
    let faults = Faults { cut: 1.0, ..Faults::default() };
    let (collector, endpoint) = Collector::start().await;
    let (_upstream, service) =
        Scene::new().faults(faults).downloads_nothing().set("TRACES__ENDPOINT", &endpoint).start().await;
    service.submit(&mixed_urls(1)).await;
    service.until_task("unconfirmed").await;
    service.stop().await;
    let spans = collector.spans();
    let submit = spans.iter().find(|span| span.name == "submit").unwrap();
    assert_eq!(submit.attribute("scrapehook.outcome"), Some("unknown"), "{spans:?}");
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_nothing_up() {
    let hang = Router::new().fallback(async || pending::<()>().await);
    let endpoint = Collector::listen(hang).await;
    let (_upstream, service) = Scene::new().set("TRACES__ENDPOINT", &endpoint).start().await;
    let job = service.submit(&mixed_urls(6)).await;
    assert_eq!(service.until_settled(&job).await.state, "done");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_has_what_a_collector_answers_or_is_sent() {
    let (came, mut coming) = unbounded_channel();
    let refuse = Router::new().fallback(async move || {
        came.send(()).unwrap();
        (StatusCode::BAD_REQUEST, "the-answer-of-the-collector")
    });
    let endpoint = Collector::listen(refuse).await;
    let service = Process::start_as(3, |binary| {
        let binary = binary.set("TRACES__ENDPOINT", &endpoint).variable("RUST_LOG", "trace");
        binary.variable("OTEL_EXPORTER_OTLP_HEADERS", "x-collector-key=the-key-of-the-collector")
    });
    let (code, log) = service.await.serving.terminate();
    assert_eq!(code, 0, "{log}");
    assert_eq!(coming.recv().await, Some(()), "spans were sent");
    assert!(log.contains("opentelemetry"), "what went wrong is told: {log}");
    let found =
        ["the-answer-of-the-collector", "the-key-of-the-collector"].map(|secret| log.contains(secret));
    assert_eq!(found, [false; 2], "{log}");
}
