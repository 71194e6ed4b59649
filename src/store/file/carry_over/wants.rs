//! The URLs of jobs, each with the round of the task URL that it followed, and the jobs that each task serves.
//!
//! Must never leave a URL out.

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use crate::domain::want::Mark;
use crate::store::column::{self, row};
use crate::store::file::carry_over::page::ROWS;
use crate::store::file::carry_over::rounds::Rounds;

row! {
    struct Row {
        job: i64,
        job_id: String,
        position: i64,
        url: String,
        fixed: Option<String>,
        /// None if there is no such task.
        task: Option<i64>,
        task_position: i64,
    }
}

impl Row {
    fn want(&self, rounds: &Rounds) -> Result<Value, sqlx::Error> {
        let task = self.task.ok_or_else(|| self.unreadable("task_id", "no such task"))?;
        let mark = match self.fixed.as_deref() {
            None => None,
            Some("known") => Some(Mark::Known),
            Some("canceled") => Some(Mark::Canceled),
            Some("unattributed") => Some(Mark::OtherPost),
            Some(_) => return Err(self.unreadable("fixed", "no such word")),
        };
        let round = rounds.of((task, self.task_position));
        Ok(json!([self.job, self.position, round, mark.map(Mark::number), self.url]))
    }

    fn unreadable(&self, column: &'static str, words: &str) -> sqlx::Error {
        column::unreadable(("job_urls", column, &format!("{} {}", self.job_id, self.position)), words)
    }
}

const JOB_URLS: &str = "SELECT jobs.number AS job, jobs.id AS job_id, urls.position, urls.url, urls.fixed,
       tasks.number AS task, urls.task_position
     FROM jobs CROSS JOIN job_urls AS urls ON urls.job_id = jobs.id LEFT JOIN tasks ON tasks.id = urls.task_id
     WHERE jobs.number >= ?1 AND (jobs.number > ?1 OR urls.position > ?2)
     ORDER BY jobs.number, urls.position LIMIT ?3";

const INSERT: &str = "INSERT INTO wants (job, position, round, mark, url)
     SELECT want.value->>0, want.value->>1, rounds.number, want.value->>3, nullif(want.value->>4, posts.url)
     FROM json_each(?1) AS want CROSS JOIN rounds ON rounds.number = want.value->>2
       CROSS JOIN posts ON posts.number = rounds.post";

/// Fills wants, records which jobs each task serves, and returns the number of wants.
pub(super) async fn carry(connection: &mut SqliteConnection, rounds: &Rounds) -> Result<usize, sqlx::Error> {
    let (mut job, mut position, mut wants) = (0, -1, 0);
    loop {
        let urls: Vec<Row> =
            sqlx::query_as(JOB_URLS).bind(job).bind(position).bind(ROWS).fetch_all(&mut *connection).await?;
        let (Some(first), Some(last)) = (urls.first(), urls.last()) else { break };
        (job, position) = (last.job, last.position);
        let rows = urls.iter().map(|url| url.want(rounds)).collect::<Result<Vec<_>, _>>()?;
        let inserted = sqlx::query(INSERT)
            .bind(json!(rows).to_string())
            .execute(&mut *connection)
            .await?
            .rows_affected();
        if usize::try_from(inserted) != Ok(urls.len()) {
            return Err(
                first.unreadable("task_position", "it or one of the next rows refers to no URL of a task")
            );
        }
        wants += urls.len();
    }
    serve(connection).await?;
    Ok(wants)
}

/// A task serves the jobs that follow it, and those that found its post indexed.
async fn serve(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let last: i64 =
        sqlx::query_scalar("SELECT coalesce(max(number), 0) FROM jobs").fetch_one(&mut *connection).await?;
    let mut after = 0;
    while after < last {
        sqlx::query(
            "INSERT INTO served (task, job, after)
             SELECT DISTINCT attempts.task, wants.job, 0
             FROM wants CROSS JOIN attempts ON attempts.round = wants.round
             WHERE wants.job > ?1 AND wants.job <= ?2 AND (wants.mark IS NULL OR wants.mark = ?3)",
        )
        .bind(after)
        .bind(after + ROWS)
        .bind(Mark::Known.number())
        .execute(&mut *connection)
        .await?;
        after += ROWS;
    }
    Ok(())
}
