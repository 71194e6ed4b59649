//! The destinations and qualities of the jobs, and of the tasks that were planned for them.
//!
//! Must never guess the destination of a task that was recovered from a callback.

use serde_json::json;
use sqlx::sqlite::SqliteConnection;

use crate::domain::destination::Destination;
use crate::domain::job::{JobOptions, Quality};
use crate::store::column::{self, row};
use crate::store::file::carry_over::page::ROWS;

row! {
    struct JobRow {
        number: i64,
        id: String,
        unique_id: Option<String>,
        folder_id: Option<i64>,
        quality: String,
        library: String,
    }
}

impl JobRow {
    fn place(&self) -> Result<(Destination, Quality), sqlx::Error> {
        let quality = column::parsed(("jobs", "quality", &self.id), &self.quality)?;
        let options = JobOptions {
            unique_id: self.unique_id.clone(),
            folder_id: self.folder_id,
            quality,
            library: column::parsed(("jobs", "library", &self.id), &self.library)?,
            ..JobOptions::default()
        };
        Ok((Destination::of(&options), quality))
    }
}

/// Stores the destinations of all jobs, and gives each task the destination and the quality of its job.
pub(super) async fn fill(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mut after = 0;
    loop {
        let jobs: Vec<JobRow> = sqlx::query_as(
            "SELECT number, id, unique_id, folder_id, quality, library FROM jobs
             WHERE number > ?1 ORDER BY number LIMIT ?2",
        )
        .bind(after)
        .bind(ROWS)
        .fetch_all(&mut *connection)
        .await?;
        let Some(last) = jobs.last() else { return Ok(()) };
        after = last.number;
        let mut rows = Vec::with_capacity(jobs.len());
        for job in &jobs {
            let (destination, quality) = job.place()?;
            let (kind, name, folder) = match &destination {
                Destination::Public => (0, None, None),
                Destination::Default => (1, None, None),
                Destination::Name(name) => (2, Some(name.clone()), None),
                Destination::Number(number) => (3, None, Some(*number)),
            };
            rows.push(json!([job.id, hex(destination.hash()), kind, name, folder, quality.number()]));
        }
        let rows = json!(rows).to_string();
        for statement in [
            "INSERT INTO destinations (hash, kind, name, folder)
             SELECT unhex(value->>1), value->>2, value->>3, value->>4 FROM json_each(?1) WHERE true
             ON CONFLICT (hash) DO NOTHING",
            "UPDATE tasks SET destination = destinations.number, quality = job.value->>5
             FROM json_each(?1) AS job CROSS JOIN destinations ON destinations.hash = unhex(job.value->>1)
             WHERE tasks.job_id = job.value->>0",
        ] {
            sqlx::query(statement).bind(&rows).execute(&mut *connection).await?;
        }
    }
}

fn hex(bytes: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(bytes))
}
