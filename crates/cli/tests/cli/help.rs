//! Help, completions and usage errors.

use crate::support::with_args;

const COMMANDS: &[&[&str]] = &[
    &[],
    &["serve"],
    &["doctor"],
    &["index"],
    &["index", "create"],
    &["index", "list"],
    &["index", "describe"],
    &["index", "delete"],
    &["import"],
    &["imports"],
    &["imports", "list"],
    &["imports", "describe"],
    &["imports", "cancel"],
    &["imports", "pause"],
    &["imports", "resume"],
    &["imports", "rejects"],
    &["backups"],
    &["backups", "create"],
    &["backups", "list"],
    &["backups", "describe"],
    &["backups", "delete"],
    &["backups", "restore"],
    &["backups", "schedule"],
    &["backups", "schedules"],
    &["backups", "unschedule"],
    &["backup-root"],
    &["pull"],
    &["query"],
    &["stats"],
    &["completions"],
];

#[test]
fn every_command_explains_itself() {
    for command in COMMANDS {
        let mut args = command.to_vec();
        args.push("--help");
        let ran = with_args(&args).exits(0);
        assert!(ran.stdout.contains("Usage: crossbill"), "{command:?}");
        assert!(ran.stderr.is_empty(), "{command:?}");
        // Groups of commands show the way; commands show how they are used.
        if !matches!(command, [] | ["index"] | ["imports"] | ["backups"]) {
            assert!(ran.stdout.contains("Example"), "{command:?} has no example");
        }
    }
}

#[test]
fn help_lists_exit_codes_and_variables() {
    let help = with_args(&["--help"]).stdout;
    for code in ["0  success", "1  ", "2  wrong", "3  ", "4  ", "130  interrupted"] {
        assert!(help.contains(code), "{code:?} is not in {help}");
    }
    let serve = with_args(&["serve", "--help"]).stdout;
    for word in ["--memory-limit", "CROSSBILL_MEMORY_LIMIT", "[default: 127.0.0.1:5080]"] {
        assert!(serve.contains(word), "{word:?} is not in {serve}");
    }
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = with_args(&["completions", shell]).exits(0).stdout;
        for word in ["serve", "import", "memory-limit", "completions"] {
            assert!(script.contains(word), "{word} is not in the {shell} script");
        }
    }
}

#[test]
fn wrong_command_lines_are_usage_errors() {
    let wrong: &[&[&str]] = &[
        &[],
        &["sevre"],
        &["serve", "--threads", "0"],
        &["serve", "--memory-limit", "lots"],
        &["serve", "--listen", "localhost"],
        &["import", "file:///x"],
        &["import", "file:///x", "--index", "a", "--detach", "--data", "d"],
        &["import", "file:///x", "--index", "a", "--dimension", "3"],
        &["import", "", "--index", "a"],
        &["index", "create", "a"],
        &["index", "create", "A", "--dimension", "3"],
        &["index", "create", "a", "--dimension", "0"],
        &["index", "create", "a", "--dimension", "3", "--sparse"],
        &["pull", "--into", "a"],
        &["pull", "--from", "h", "--from-index", "i", "--into", "a"],
        &["pull", "--from", "h"],
        &["pull", "--from", "ftp://h", "--into", "a"],
        &["pull", "--from", "h", "--into", "a", "--rate", "0"],
        &["pull", "--from", "h", "--into", "a", "--rate", "NaN"],
        &["pull", "--from", "h", "--into", "a", "--concurrency", "0"],
        &["pull", "--from", "h", "--into", "a", "--part-rows", "0"],
        &["query", "--index", "a"],
        &["query", "--index", "a", "--id", "x", "--vector", "[1]"],
        &["query", "--index", "a", "--vector", "[]"],
        &["query", "--index", "a", "--vector", "[1,"],
        &["query", "--index", "a", "--id", "x", "--filter", "{\"$x\": 1}"],
        &["stats", "--index", "a", "--server", "ftp://x"],
        &["completions", "tcsh"],
    ];
    for args in wrong {
        let ran = with_args(args).exits(2);
        assert!(ran.stdout.is_empty(), "{args:?}");
        assert!(!ran.stderr.is_empty(), "{args:?}");
    }
}
