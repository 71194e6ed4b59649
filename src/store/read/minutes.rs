//! Queries about the counts of each minute.

use crate::domain::measure::{Counted, Measure};
use crate::store::column::{self, row};
use crate::store::error::ReadError;
use crate::store::read::Readers;

row! {
    struct MinuteRow {
        minute: i64,
        measure: i64,
        count: u32,
    }
}

impl Readers {
    /// Returns the counts of the minutes from `first` to `last`, in their order.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn minutes(&self, first: i64, last: i64) -> Result<Vec<Counted>, ReadError> {
        let rows: Vec<MinuteRow> = sqlx::query_as(
            "SELECT minute, measure, count FROM minutes WHERE minute BETWEEN ?1 AND ?2 ORDER BY minute",
        )
        .bind(first)
        .bind(last)
        .fetch_all(&self.pool)
        .await?;
        let counted = |row: MinuteRow| {
            let at = ("minutes", "measure", &*row.minute.to_string());
            let measure = column::numbered(at, row.measure, Measure::from_number)?;
            Ok(Counted { minute: row.minute, measure, count: row.count.into() })
        };
        Ok(rows.into_iter().map(counted).collect::<Result<_, sqlx::Error>>()?)
    }
}
