//! The routes below `/serve`: the three calls of the memories.ai API that its clients need, so that a client changes
//! only its base URL and its key.
//!
//! Must never ask upstream. Jobs are made and read as those of `/v1`.

pub(in crate::http) mod envelope;
pub(in crate::http) mod lookup;
pub(in crate::http) mod submit;
