//! `/v1/stats`: what is counted, and for which time.

use serde_json::Value;

use crate::support::database::open;
use crate::support::{Scene, mixed_urls};

/// The sum of a figure over all spans.
fn sum(stats: &Value, figure: &str) -> u64 {
    stats["spans"].as_array().unwrap().iter().map(|span| span[figure].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn each_callback_and_each_url_is_counted_once_and_survives_a_restart() {
    let (upstream, service) = Scene::new().start().await;
    let urls = mixed_urls(7);
    let job = service.submit(&urls).await;
    service.until_settled(&job).await;
    let setup = service.stop().await;
    let mut database = open(&setup.database()).await;
    let received: i64 =
        sqlx::query_scalar("SELECT sum(deliveries) FROM callbacks").fetch_one(&mut database).await.unwrap();
    let service = setup.start().await;
    for (window, spans, seconds) in [("1h", 60, 60), ("24h", 96, 900)] {
        let stats = service.get(&format!("/v1/stats?window={window}")).await;
        assert_eq!((&stats["window"], &stats["span_seconds"]), (&window.into(), &seconds.into()));
        assert_eq!(stats["spans"].as_array().unwrap().len(), spans);
        assert_eq!(sum(&stats, "urls_sent"), urls.len() as u64);
        assert_eq!(sum(&stats, "urls_indexed"), urls.len() as u64);
        assert_eq!(sum(&stats, "callbacks"), u64::try_from(received).unwrap());
        for span in stats["spans"].as_array().unwrap() {
            let is_indexed = span["urls_indexed"] != 0;
            for delay in ["median_seconds", "p95_seconds"] {
                assert_eq!(span[delay].is_number(), is_indexed, "{span}");
            }
        }
    }
    assert_eq!(service.get("/v1/stats").await["window"], "1h");
    service.stop().await;
    drop(upstream);
}

#[tokio::test]
async fn counts_older_than_a_day_go_with_the_next_ones() {
    let (_upstream, service) = Scene::new().start().await;
    service.submit(&mixed_urls(1)).await;
    service.until_event("task.submitting").await;
    let mut database = open(&service.setup.database()).await;
    for (minutes, is_kept) in [(1_400, true), (1_700, false)] {
        let aged = "UPDATE minutes SET minute = minute - ?1";
        sqlx::query(aged).bind(minutes).execute(&mut database).await.unwrap();
        let oldest: i64 =
            sqlx::query_scalar("SELECT min(minute) FROM minutes").fetch_one(&mut database).await.unwrap();
        let job = service.submit(&[format!("https://www.youtube.com/watch?v=aged{minutes:07}")]).await;
        service.until_settled(&job).await;
        let still: i64 =
            sqlx::query_scalar("SELECT min(minute) FROM minutes").fetch_one(&mut database).await.unwrap();
        assert_eq!(still == oldest, is_kept, "{minutes}");
    }
    service.stop().await;
}

#[tokio::test]
async fn an_unknown_window_is_refused_with_the_ones_that_exist() {
    let (_upstream, service) = Scene::new().start().await;
    let (status, problem) = service.ask("/v1/stats?window=1d").await;
    assert_eq!((status, &problem["code"]), (400, &"bad_query".into()));
    assert!(problem["detail"].as_str().unwrap().contains("`24h`"), "{problem}");
    service.stop().await;
}
