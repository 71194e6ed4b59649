//! The part of the store for sessions of browsers.
//!
//! All writes must go through the writer.

use crate::domain::session::{KeyMark, TokenHash};
use crate::domain::time::Timestamp;
use crate::store::error::WriteError;
use crate::store::ops::sessions::{BeginSession, EndSession, UseSession};

impl crate::store::Store {
    /// Begins a session.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn begin_session(
        &self,
        hash: TokenHash,
        mark: KeyMark,
        at: Timestamp,
    ) -> Result<(), WriteError> {
        self.queues.fact(BeginSession { hash, mark, at }).await
    }

    /// Notes that a session was used.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn use_session(&self, hash: TokenHash, at: Timestamp) -> Result<(), WriteError> {
        self.queues.fact(UseSession { hash, at }).await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn end_session(&self, hash: TokenHash) -> Result<(), WriteError> {
        self.queues.fact(EndSession { hash }).await
    }
}
