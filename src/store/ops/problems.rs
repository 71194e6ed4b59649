//! Announcements of problems: the events, and the set of open problems that they leave, in one commit.

use serde_json::json;

use crate::domain::event::{EventKind, Source};
use crate::domain::problem::{OpenProblem, ProblemKey};
use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::changes::NewEvent;
use crate::store::batch::operation::Operation;
use crate::store::read::problems::{KEY, open_problems};

/// Announces problems that have begun, and the end of others. One that is open already is not announced again, and
/// the end of one that is not open is not announced at all.
#[derive(Debug)]
pub(crate) struct RecordProblems {
    pub(crate) opened: Vec<OpenProblem>,
    pub(crate) closed: Vec<ProblemKey>,
    pub(crate) at: Timestamp,
}

impl Operation for RecordProblems {
    type Reply = ();

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        let mut open = open_problems(&mut *batch.connection).await?;
        let announce = |kind, problem: &OpenProblem| NewEvent {
            message: Some(problem.text.clone()),
            ..NewEvent::new(kind, Source::Clock, self.at)
        };
        let ended = open.extract_if(.., |problem| self.closed.contains(&problem.key));
        let mut events: Vec<_> = ended.map(|problem| announce(EventKind::ProblemClosed, &problem)).collect();
        for problem in &self.opened {
            if open.iter().all(|known| known.key != problem.key) {
                events.push(announce(EventKind::ProblemOpened, problem));
                open.push(problem.clone());
            }
        }
        if events.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES (?1, ?2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(KEY)
        .bind(json!(open).to_string())
        .execute(&mut *batch.connection)
        .await?;
        batch.changes.events.extend(events);
        Ok(())
    }
}
