//! The HTTP API under `/v1` and `/serve`: jobs and tasks, the queue, the status, streams, and input that is refused.

mod bad_input;
mod bad_input_routes;
mod cancels;
mod conversations;
mod decisions;
mod drop_in;
mod encodings;
mod estimates;
mod estimates_shown;
mod job_lists;
mod job_patch;
mod job_retry;
mod large_bodies;
mod openapi;
mod paused_queue;
mod priorities;
mod queue;
mod queue_load;
mod sessions;
mod stats;
mod status;
mod stream;
mod submitting;
mod waiting;
mod ways_in;
