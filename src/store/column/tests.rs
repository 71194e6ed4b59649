//! Values that can't be read are named.

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::*;

row! {
    struct Sample {
        count: i64,
    }
}

#[tokio::test]
async fn a_value_of_another_type_is_named_by_table_column_and_id() {
    let mut memory = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql("CREATE TABLE things (id TEXT, n); INSERT INTO things VALUES ('thing_1', 'odd')")
        .execute(&mut memory)
        .await
        .unwrap();
    let mut error = async |statement: &'static str| {
        let read = sqlx::query_as(statement).fetch_one(&mut memory).await;
        let error = read.map(|Sample { count }| count).unwrap_err();
        assert!(is_unreadable(&error));
        error.to_string()
    };
    let named = error("SELECT id, n AS count FROM things").await;
    assert!(named.contains("things.n of thing_1 can't be read"), "{named}");
    let expression = error("SELECT 7 AS number, n || '' AS count FROM things").await;
    assert!(expression.contains("an expression.count of 7 can't be read"), "{expression}");
}
