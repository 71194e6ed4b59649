//! `completions`: prints the script with which a shell completes scrapehook's command line.

use std::io::Write;

use clap::{Args, Command};
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
    echo 'source <(scrapehook completions bash)' >> ~/.bashrc
    scrapehook completions zsh > \"${fpath[1]}/_scrapehook\"
    scrapehook completions fish > ~/.config/fish/completions/scrapehook.fish";

/// Arguments of `completions`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Completions {
    shell: Shell,
}

pub(super) fn run(args: &Completions, mut command: Command) -> anyhow::Result<()> {
    // The script is written to memory first, because its generator panics if the output is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "scrapehook", &mut script);
    Ok(std::io::stdout().write_all(&script)?)
}
