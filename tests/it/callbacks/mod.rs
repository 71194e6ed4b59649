//! What reaches scrapehook from outside: callbacks, their tokens, hints, polls, and strangers.

mod callback_check;
mod callback_paths;
mod doubts;
mod duplicates;
mod fixtures;
mod hint_limit;
mod hints;
mod polling;
mod received;
mod recovered;
mod silence;
mod strangers;
mod taken_in;
mod tokens;
