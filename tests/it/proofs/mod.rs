//! The promises of the README, attacked: every order, kills, faults of upstream, floods, and money.

mod aside;
mod floods;
mod forwarding;
mod fuzz;
mod kill;
mod kill_matrix;
mod ledger;
mod money;
mod orders;
mod refusals;
mod rounds;
mod second_looks;
mod soak;
mod upstream_faults;
