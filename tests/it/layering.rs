//! The direction of dependencies, and what each layer never does. ARCHITECTURE.md says why.

use super::source::{Source, has_token, rust};

/// Words that must not stand in the code of some files.
struct Rule {
    /// What is promised.
    promise: &'static str,
    /// Where: prefixes of paths.
    within: &'static [&'static str],
    /// But not there.
    except: &'static [&'static str],
    /// The words.
    banned: &'static [&'static str],
    /// Longer words that contain a banned one and may stand there all the same.
    allowed: &'static [&'static str],
}

const CLI: &[&str] = &["src/cli/", "src/main.rs"];
/// The program, and where tests are told something: their output is their screen.
const VOICES: &[&str] =
    &["src/cli/", "src/main.rs", "src/testing/ending.rs", "src/testing/fleet.rs", "src/testing/start.rs", "src/testing/fault/guard.rs"];
/// The program, and what a test is told by its environment.
const ENVIRONMENT: &[&str] = &["src/cli/", "src/main.rs", "src/testing/settings.rs"];

const RULES: &[Rule] = &[
    Rule {
        promise: "the domain knows no other layer",
        within: &["src/domain/"],
        except: &[],
        banned: &["crate::engine", "crate::k8s", "crate::ops", "crate::cli", "crate::event", "crate::testing"],
        allowed: &[],
    },
    Rule {
        promise: "the domain is pure: no async, no I/O, no clock, no threads, no logging",
        within: &["src/domain/"],
        except: &[],
        banned: &[
            "async",
            ".await",
            "tokio",
            "futures_util",
            "std::fs",
            "std::io::stdin",
            "std::thread",
            "std::process",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "UnixStream",
            "SystemTime::now",
            "Instant::now",
            "Timestamp::now",
            "Zoned::now",
            "tracing",
        ],
        allowed: &[],
    },
    Rule {
        promise: "events know no layer but the domain",
        within: &["src/event.rs"],
        except: &[],
        banned: &["crate::engine", "crate::k8s", "crate::ops", "crate::cli"],
        allowed: &[],
    },
    Rule {
        promise: "the engine layer knows neither Kubernetes nor what stands above it",
        within: &["src/engine/"],
        except: &[],
        banned: &["crate::k8s", "crate::ops", "crate::cli", "crate::testing", "kube", "k8s_openapi"],
        allowed: &[],
    },
    Rule {
        promise: "the Kubernetes layer knows neither the engine nor what stands above it",
        within: &["src/k8s/"],
        except: &[],
        banned: &["crate::engine", "crate::ops", "crate::cli", "crate::testing"],
        allowed: &[],
    },
    Rule {
        promise: "operations know nothing of the terminal",
        within: &["src/ops/"],
        except: &[],
        banned: &["crate::cli", "crate::testing", "clap", "indicatif"],
        allowed: &[],
    },
    Rule {
        promise: "what tests use knows nothing of the program",
        within: &["src/testing/"],
        except: &[],
        banned: &["crate::cli", "clap", "indicatif"],
        allowed: &[],
    },
    Rule { promise: "the program knows nothing of what tests use", within: CLI, except: &[], banned: &["crate::testing"], allowed: &[] },
    Rule {
        promise: "only the engine's adapter names bollard",
        within: &["src/"],
        except: &["src/engine/connect", "src/engine/docker"],
        banned: &["bollard"],
        allowed: &[],
    },
    Rule {
        promise: "only the Kubernetes layer works with kube; operations hand its client out",
        within: &["src/"],
        except: &["src/k8s/"],
        banned: &["kube::", "use kube"],
        allowed: &["kube::Client"],
    },
    Rule {
        promise: "the library never prints",
        within: &["src/"],
        except: VOICES,
        banned: &["println!", "eprintln!", "print!", "eprint!", "dbg!", "io::stdout", "io::stderr"],
        allowed: &[],
    },
    Rule {
        promise: "the library never reads the environment",
        within: &["src/"],
        except: ENVIRONMENT,
        banned: &["std::env", "env::var", "env::var_os", "env::vars", "env::args", "env::current_dir", "env::temp_dir", "env::home_dir"],
        allowed: &[],
    },
    Rule {
        promise: "the library installs no handlers",
        within: &["src/"],
        except: CLI,
        banned: &["tokio::signal", "ctrl_c", "set_hook", "set_global_default", "install_default"],
        allowed: &[],
    },
    Rule {
        promise: "only the image build calls programs, and a lease this one; nothing ends the process by itself",
        within: &["src/"],
        except: &["src/ops/nodeimage/tools.rs", "src/cli/background.rs"],
        banned: &["std::process", "tokio::process", "process::Command", "process::exit", "process::abort"],
        allowed: &["std::process::ExitCode", "std::process::id"],
    },
];

#[test]
fn every_layer_keeps_its_promises() {
    let sources = rust(&["src/"]);
    let broken: Vec<String> = RULES.iter().flat_map(|rule| sources.iter().flat_map(|source| rule.broken_by(source))).collect();
    assert!(broken.is_empty(), "{} broken promises:\n{}", broken.len(), broken.join("\n"));
}

/// A rule whose exception never needs it guards nothing, or is misspelt.
#[test]
fn every_exception_is_needed() {
    let sources = rust(&["src/"]);
    for rule in RULES.iter().filter(|rule| !rule.except.is_empty()) {
        let needed = sources.iter().any(|source| rule.excepts(source) && !rule.words_in(&source.code()).is_empty());
        assert!(needed, "no file of {:?} needs its exception from: {}", rule.except, rule.promise);
    }
}

#[test]
fn a_broken_promise_is_found() {
    let source = Source { path: "src/domain/a.rs".into(), text: "use crate::engine::Engine;\nlet x = 1; // async\n".into() };
    let broken: Vec<String> = RULES.iter().flat_map(|rule| rule.broken_by(&source)).collect();
    assert_eq!(broken, ["src/domain/a.rs:1: `crate::engine`: the domain knows no other layer"]);

    let handed_out = Source { path: "src/ops/a.rs".into(), text: "fn client() -> kube::Client {}\n".into() };
    assert!(RULES.iter().all(|rule| rule.broken_by(&handed_out).is_empty()));
}

/// Nested imports from the crate's root would hide a layer from the rules above.
#[test]
fn layers_are_imported_by_their_own_path() {
    for source in rust(&["src/"]) {
        assert!(!source.code().contains("crate::{"), "{}: name each layer in a `use` of its own", source.path);
    }
}

// === impl Rule ===

impl Rule {
    fn broken_by(&self, source: &Source) -> Vec<String> {
        if !self.within.iter().any(|prefix| source.path.starts_with(prefix)) || self.excepts(source) {
            return Vec::new();
        }
        let lines = source.code();
        lines
            .lines()
            .enumerate()
            .flat_map(|(number, line)| {
                self.words_in(line).into_iter().map(move |word| format!("{}:{}: `{word}`: {}", source.path, number + 1, self.promise))
            })
            .collect()
    }

    fn excepts(&self, source: &Source) -> bool {
        self.except.iter().any(|prefix| source.path.starts_with(prefix))
    }

    fn words_in(&self, code: &str) -> Vec<&'static str> {
        let code = self.allowed.iter().fold(code.to_owned(), |code, allowed| code.replace(allowed, ""));
        self.banned.iter().copied().filter(|word| has_token(&code, word)).collect()
    }
}
