//! The database file: batches, migrations, disks with faults, damage, permissions, growth and retention.

mod bounded_commits;
mod carried_over;
mod consistency;
mod damage;
mod deliveries;
pub mod disk;
#[cfg(target_os = "linux")]
mod faulty_disk;
mod forms;
mod growth;
mod growth_memory;
mod links;
mod migrations;
#[cfg(target_os = "linux")]
mod mounts;
mod permissions;
mod retention;
mod retention_load;
mod unreadable;
