//! The fuzz targets without cargo-fuzz: the corpus as it stands, and then changed at random.
//!
//! `SCRAPEHOOK_FUZZ_ROUNDS` makes it longer and `SCRAPEHOOK_FUZZ_SEED` replays it. An input that breaks a promise
//! is printed in hex.

use std::fmt::Write;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

#[path = "../../../fuzz/targets.rs"]
mod targets;

use targets::{TARGETS, Target};

/// Longest input that is made.
const LONGEST: usize = 8_192;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The corpus of a target, in the order of the files' names: a seed must mean the same everywhere.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = folder().join("corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

/// A few changes of the kinds that find most: bytes, lengths, and parts of other inputs.
fn change(data: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut StdRng) {
    const TELLING: &[u8] = b"\0\n\r\t \"'\\/,.:;-_=&?#%@[]{}0aAn\x7f\x80\xc3\xf0\xff";
    for _ in 0..random.random_range(1..=6) {
        let place = random.random_range(0..=data.len());
        let end = random.random_range(place..=data.len().min(place + 32));
        match random.random_range(0..7) {
            0 if place < data.len() => data[place] ^= 1 << random.random_range(0..8),
            1 if place < data.len() => data[place] = *TELLING.choose(random).unwrap(),
            2 => data.insert(place, *TELLING.choose(random).unwrap()),
            3 => drop(data.drain(place..end)),
            4 => {
                let part = data[place..end].repeat(random.random_range(1..=4));
                data.splice(place..place, part);
            }
            5 => data.truncate(place),
            _ => {
                let other = corpus.choose(random).unwrap();
                let from = random.random_range(0..=other.len());
                let part = &other[from..random.random_range(from..=other.len())];
                data.splice(place..end, part.iter().copied());
            }
        }
    }
    data.truncate(LONGEST);
}

/// Tries one input; a broken promise is told with what is needed to see it again.
fn hold((name, target): Target, data: &[u8], seed: u64) {
    if catch_unwind(|| target(data)).is_err() {
        let hex = data.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        panic!(
            "{name} (seed {seed}) broke on these bytes; kept in fuzz/corpus/{name} they are tried first:\n{hex}"
        );
    }
}

#[test]
fn what_comes_from_outside_breaks_no_promise() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let (seed, rounds) = (number("SCRAPEHOOK_FUZZ_SEED", 5), number("SCRAPEHOOK_FUZZ_ROUNDS", 8_000));
    for target in TARGETS {
        let name = target.0;
        let corpus = corpus(name);
        for data in &corpus {
            hold(target, data, seed);
        }
        // Reading a configuration takes many times as long as anything else.
        let rounds = if name == "configuration" { rounds / 8 } else { rounds };
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..rounds {
            let mut data = corpus.choose(&mut random).unwrap().clone();
            change(&mut data, &corpus, &mut random);
            hold(target, &data, seed);
        }
        println!("{name}: {} of the corpus, {rounds} changed (seed {seed})", corpus.len());
    }
}

#[test]
fn every_target_is_run_by_cargo_fuzz_too() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let script = fs::read_to_string(folder().join("run")).unwrap();
    for (name, _) in TARGETS {
        let file = format!("fuzz_targets/{name}.rs");
        assert!(fs::read_to_string(folder().join(&file)).unwrap().contains(&format!("::{name}(data)")));
        assert!(manifest.contains(&format!("path = \"{file}\"")), "{name}");
        assert!(script.contains(&format!("[{name}]=")), "{name}");
    }
}
