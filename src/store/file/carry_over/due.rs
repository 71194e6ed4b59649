//! Pending decisions of an older version, which had not reached every job or task when it stopped.
//!
//! Must never look for another task. A lost one stays lost until an operator asks.

use sqlx::sqlite::SqliteConnection;

/// Carries the pending decisions out on the old tables.
pub(super) async fn settle(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    hand_over(connection).await?;
    cancel(connection).await
}

/// Moves the jobs that an old hand-over had not reached to the new task. The order is that of the decisions, so a URL
/// that was handed over twice ends at the last task.
async fn hand_over(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let pending: Vec<i64> = sqlx::query_scalar(
        "SELECT number FROM due_urls
           CROSS JOIN task_urls ON task_urls.task_id = due_urls.task_id AND task_urls.position = due_urls.position
         WHERE to_task IS NOT NULL AND state <> 'indexed' ORDER BY number",
    )
    .fetch_all(&mut *connection)
    .await?;
    for number in pending {
        sqlx::query(
            "UPDATE job_urls SET task_id = due.to_task, task_position = due.to_position
             FROM (SELECT * FROM due_urls WHERE number = ?1) AS due
             WHERE job_urls.task_id = due.task_id AND job_urls.task_position = due.position
               AND job_urls.job_id > due.after_job AND fixed IS NULL",
        )
        .bind(number)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Finishes cancels of jobs that had not reached all of their queued tasks. Other jobs that follow these tasks still
/// wait.
async fn cancel(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE job_urls SET fixed = 'canceled'
         FROM (
           SELECT old_due_cancels.job_id, tasks.id FROM old_due_cancels
             CROSS JOIN tasks ON tasks.job_id = old_due_cancels.job_id AND tasks.id > after_task
               AND tasks.id <= last_task
           WHERE tasks.state = 'queued') AS canceled
         WHERE job_urls.task_id = canceled.id AND job_urls.job_id = canceled.job_id AND fixed IS NULL",
    )
    .execute(connection)
    .await?;
    Ok(())
}
