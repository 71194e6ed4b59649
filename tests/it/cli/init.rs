//! `init` writes a configuration that serves, and never touches a file that exists.

use std::os::unix::fs::PermissionsExt;

use crate::support::binary::Binary;

const URL: &str = "https://hooks.example.com";

#[test]
fn what_it_writes_is_valid_private_and_never_overwritten() {
    let binary = Binary::bare();
    std::fs::write(binary.path("key.txt"), "upstream-key-that-must-not-show\n").unwrap();
    let arguments = ["init", "--public-url", URL, "--upstream-key-file", "key.txt"];
    let (code, said, complaint) = binary.run(&arguments);
    assert_eq!((code, &*complaint), (0, ""), "{said}");
    assert!(said.contains("scrapehook serve --config scrapehook.toml"), "{said}");
    let file = binary.path("scrapehook.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    assert!(text.contains("upstream-key-that-must-not-show") && !said.contains("must-not-show"));
    let line = text.lines().find(|line| line.starts_with("api_keys = ")).unwrap();
    let key = line.split("key = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(key.len() == 48 && !said.contains(key), "{said}");
    let (code, checked, _) = binary.run(&["check-config", "--config", "scrapehook.toml"]);
    assert!(code == 0 && said.contains(&checked), "{checked}");
    let refusal = binary.refused(&arguments);
    assert!(refusal.contains("scrapehook.toml already exists. Edit it"), "{refusal}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_link_that_leads_nowhere_is_not_followed() {
    let binary = Binary::bare();
    std::fs::write(binary.path("key.txt"), "upstream-key").unwrap();
    std::os::unix::fs::symlink(binary.path("elsewhere"), binary.path("scrapehook.toml")).unwrap();
    binary.refused(&["init", "--public-url", URL, "--upstream-key-file", "key.txt"]);
    assert!(!binary.path("elsewhere").exists());
}

#[test]
fn without_a_terminal_every_answer_is_a_flag_and_a_wrong_one_writes_nothing() {
    let binary = Binary::bare();
    std::fs::write(binary.path("key.txt"), "upstream-key").unwrap();
    std::fs::write(binary.path("empty.txt"), "\n").unwrap();
    for (arguments, said) in [
        (vec!["init"], "--upstream-key-file is needed without a terminal"),
        (vec!["init", "--upstream-key-file", "key.txt"], "--public-url is needed without a terminal"),
        (vec!["init", "--public-url", URL, "--upstream-key-file", "none.txt"], "none.txt"),
        (vec!["init", "--public-url", URL, "--upstream-key-file", "empty.txt"], "upstream.api_key"),
        (vec!["init", "--public-url", "hooks", "--upstream-key-file", "key.txt"], "server.public_url"),
    ] {
        let refusal = binary.refused(&arguments);
        assert!(refusal.contains(said), "{refusal}");
        assert!(!binary.path("scrapehook.toml").exists());
    }
}

#[test]
fn whoever_names_no_command_hears_what_comes_next() {
    let (code, said, _) = Binary::bare().run(&[]);
    assert_eq!(code, 0);
    for next in ["scrapehook demo", "scrapehook init", "scrapehook serve"] {
        assert!(said.contains(next), "{said}");
    }
}

#[test]
fn a_word_that_is_mistyped_is_answered_with_the_nearest_right_one() {
    for (arguments, right) in [
        (vec!["sumbit"], "submit"),
        (vec!["submit", "--wiat"], "--wait"),
        (vec!["demo", "--fault", "loose"], "did you mean `lose`?"),
    ] {
        let (code, _, said) = Binary::bare().run(&arguments);
        assert!(code == 2 && said.contains(right), "{said}");
    }
}

#[test]
fn help_has_every_command_in_a_group() {
    let (code, help, _) = Binary::bare().run(&["--help"]);
    assert_eq!(code, 0);
    let place = |text: &str| help.find(text).unwrap_or_else(|| panic!("{text}: {help}"));
    let order =
        ["\nSubmit:", "  submit ", "\nLook up:", "  status ", "\nDecide:", "  retry ", "\nRun:", "  serve "];
    assert!(order.map(place).is_sorted(), "{help}");
}
