//! Pages of lists: reads all of them with `--all`, and prints them as JSON or as a table.

use std::io;

use clap::Args;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::cli::client::api::failure::ClientError;
use crate::cli::client::api::{Api, Query};
use crate::cli::client::show::output::{Output, note};

/// The API's longest page, so that `--all` needs the fewest requests.
const LONGEST: &str = "500";

/// The API's default.
const USUAL: &str = "50";

/// How much of a list.
#[derive(Args, Clone, Debug)]
pub struct Paging {
    /// At most this many [default: 50]
    #[arg(long, value_name = "N")]
    limit: Option<String>,
    /// All of them, however many
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

impl Paging {
    /// The given option, which applies only to lists.
    pub(in crate::cli) fn given(&self) -> Option<&'static str> {
        match (&self.limit, self.all) {
            (Some(_), _) => Some("--limit"),
            (None, true) => Some("--all"),
            (None, false) => None,
        }
    }
}

/// A requested list.
pub(in crate::cli) struct List<'a> {
    pub(in crate::cli) path: &'a [&'a str],
    pub(in crate::cli) query: Query,
    pub(in crate::cli) paging: &'a Paging,
}

/// Reads the requested part of a list, page by page. Returns whether there is more.
pub(in crate::cli) async fn read(
    api: &Api,
    List { path, mut query, paging }: List<'_>,
    mut take: impl FnMut(&RawValue) -> io::Result<()>,
) -> anyhow::Result<bool> {
    let limit = if paging.all { LONGEST } else { paging.limit.as_deref().unwrap_or(USUAL) };
    query.push(("limit", limit.to_owned()));
    loop {
        let page = api.page(path, &query).await?;
        page.items.iter().try_for_each(|item| take(item))?;
        // Events always have a next page, even if it is empty. A page of a search can have few items before the last.
        let is_end = path == ["events"] && Ok(page.items.len()) != limit.parse();
        let Some(next) = page.next.filter(|_| !is_end) else { return Ok(false) };
        if !paging.all {
            return Ok(true);
        }
        query.retain(|(name, _)| *name != "after");
        query.push(("after", next));
    }
}

/// Reads a list as [`read`] does, and prints it.
pub(in crate::cli) async fn print(
    api: &Api,
    list: List<'_>,
    is_json: bool,
    show: fn(&mut Output, &[Value]) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut output = Output::new();
    if is_json {
        read(api, list, |item| output.json(item.get())).await?;
        return Ok(());
    }
    let by_url = list.query.iter().any(|(name, _)| *name == "url");
    let mut values = Vec::new();
    let is_more = read(api, list, |item| {
        values.push(serde_json::from_str(item.get())?);
        Ok(())
    })
    .await?;
    show(&mut output, &values)?;
    if is_more {
        note("There are more. --all shows them.");
    }
    if by_url && values.is_empty() {
        note(
            "Nothing has this URL. While a URL waits, it has no task, and until the API lists one, no video. \
             `scrapehook jobs JOB --urls` shows the state of every URL of a job.",
        );
    }
    Ok(())
}

/// Reads a whole list.
pub(in crate::cli) async fn everything(
    api: &Api,
    path: &[&str],
    mut query: Query,
) -> Result<Vec<Value>, ClientError> {
    query.push(("limit", LONGEST.to_owned()));
    let mut values = Vec::new();
    loop {
        let page = api.get(path, &query).await?.value;
        values.extend(page["items"].as_array().into_iter().flatten().cloned());
        let Some(next) = page["next"].as_str() else { return Ok(values) };
        query.retain(|(name, _)| *name != "after");
        query.push(("after", next.to_owned()));
    }
}

/// Adds a filter to the query, if it is given.
pub(in crate::cli) fn filter(query: &mut Query, name: &'static str, value: Option<&String>) {
    query.extend(value.map(|value| (name, value.clone())));
}
