//! The rules, as data. Whoever changes the house changes this table and ARCHITECTURE.md in one commit.

/// A crate of ours and the crates of ours that it may use. `steward` may use all; nobody may use `steward`.
pub(super) const MAY_DEPEND: &[(&str, &[&str])] = &[
    ("steward-domain", &[]),
    ("steward-dialects", &["steward-domain"]),
    ("steward-policy", &["steward-domain"]),
    ("steward-budget", &["steward-domain"]),
    ("steward-store", &["steward-domain"]),
    ("steward-agent", &["steward-domain"]),
    ("steward-sandbox", &["steward-domain"]),
    ("steward-inference", &["steward-dialects", "steward-domain"]),
    ("steward-tools", &["steward-sandbox", "steward-domain"]),
    (
        "steward-runtime",
        &[
            "steward-agent",
            "steward-policy",
            "steward-budget",
            "steward-store",
            "steward-domain",
        ],
    ),
    (
        "steward-gateway",
        &["steward-runtime", "steward-inference", "steward-dialects", "steward-domain"],
    ),
    ("steward-testkit", &["steward-domain", "steward-dialects"]),
    ("xtask", &[]),
];

/// The crate that may use all the others.
pub(super) const TOP_CRATE: &str = "steward";

/// What tests of any crate may use beside its own dependencies.
pub(super) const DEV_CRATES: &[&str] = &["steward-testkit", "steward-domain"];

/// A crate from outside and the crates of ours that may use it.
pub(super) const FOREIGN: &[(&str, &[&str])] = &[
    ("axum", &["steward-gateway", "steward-testkit"]),
    ("rusqlite", &["steward-store"]),
    ("postgres", &["steward-store"]),
    ("tokio-postgres", &["steward-store"]),
    ("sqlx", &["steward-store"]),
];

/// What the domain may never use.
pub(super) const NOT_IN_DOMAIN: &[&str] = &["tokio", "axum", "sqlx", "reqwest", "rusqlite", "postgres", "hyper"];

/// A text that may stand only in some places.
pub(super) struct Rule {
    /// Why, for whoever breaks it.
    pub(super) rule: &'static str,
    /// The files it is about, as beginnings of paths.
    pub(super) within: &'static [&'static str],
    /// How those files end.
    pub(super) endings: &'static [&'static str],
    /// The texts.
    pub(super) texts: &'static [&'static str],
    /// Where they may stand, as parts of paths.
    pub(super) except: &'static [&'static str],
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        rule: "SQL is written only in steward-store",
        within: &["crates/"],
        endings: &[".rs"],
        texts: &["SELECT ", "INSERT INTO ", "DELETE FROM ", "CREATE TABLE ", "ON CONFLICT "],
        except: &["crates/steward-store/", "/tests"],
    },
    Rule {
        rule: "axum is used only in steward-gateway",
        within: &["crates/"],
        endings: &[".rs"],
        texts: &["axum::"],
        except: &["crates/steward-gateway/", "crates/steward-testkit/"],
    },
    // Pulling a model runs the registry's own client, which is no tool of an agent. Tests of the binary start the binary.
    Rule {
        rule: "processes are started only through steward-sandbox",
        within: &["crates/"],
        endings: &[".rs"],
        texts: &["process::Command"],
        except: &["crates/steward-sandbox/", "crates/steward-testkit/", "/tests", "/pull.rs"],
    },
    Rule {
        rule: "environment variables are read only in the crate steward",
        within: &["crates/"],
        endings: &[".rs"],
        texts: &["env::var(", "env::var_os(", "env::vars(", "env::vars_os("],
        except: &["crates/steward/", "/tests", "/build.rs"],
    },
    Rule {
        rule: "tools and the sandbox are named only in wiring.rs, their settings in configuration.rs; main.rs may hand over to the sandbox's child",
        within: &["crates/steward/src/"],
        endings: &[".rs"],
        texts: &["steward_tools::", "steward_sandbox::"],
        except: &[
            "crates/steward/src/wiring",
            "crates/steward/src/configuration",
            "crates/steward/src/main.rs",
        ],
    },
    Rule {
        rule: "the console inserts no markup and no code from text (Trusted Types, strict CSP)",
        within: &["web/src/", "web/index.html"],
        endings: &[".svelte", ".ts", ".js", ".html"],
        texts: &[
            "{@html",
            "innerHTML",
            "outerHTML",
            "eval(",
            "new Function",
            "style=\"",
            "onclick=\"",
            "document.write",
        ],
        except: &[".test.ts"],
    },
    Rule {
        rule: "the console asks its own server only",
        within: &["web/src/"],
        endings: &[".svelte", ".ts"],
        texts: &["fetch('http", "fetch(\"http", "fetch(`http", "EventSource('http", "WebSocket('ws"],
        except: &[".test.ts"],
    },
];

/// Names that say nothing about what is inside.
pub(super) const EMPTY_NAMES: &[&str] = &["core", "common", "utils", "util", "shared", "helpers", "misc"];

/// What may lie at the top.
pub(super) const TOP_LEVEL: &[&str] = &[
    ".cargo",
    ".ci",
    ".config",
    ".github",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "STYLE.md",
    "bench",
    "changelog.d",
    "clippy.toml",
    "crates",
    "deny.toml",
    "docs",
    "fuzz",
    "rustfmt.toml",
    "scripts",
    "templates",
    "web",
    "xtask",
];

/// Pages of the first screen, and how many lines each may have.
pub(super) const PAGES: &[(&str, usize)] = &[
    ("README.md", 200),
    ("ARCHITECTURE.md", 200),
    ("STYLE.md", 200),
    ("CONTRIBUTING.md", 200),
    ("CHANGELOG.md", 200),
];

/// Lines that a crate's README may have.
pub(super) const CRATE_README_LINES: usize = 30;

/// Lines past which a file must be in `xtask/long_files.txt`.
pub(super) const LONG_FILE_LINES: usize = 800;

/// Hosts of package registries, cut in two so that this file does not name them.
pub(super) const REGISTRY_HOSTS: &[(&str, &str)] = &[
    ("crates", ".io"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("registry.npm", "js.org"),
    ("deb.debian", ".org"),
    ("proxy.golang", ".org"),
];

/// Files that name their registry by format.
pub(super) const MAY_NAME_REGISTRY: &[&str] = &["Cargo.lock", "fuzz/Cargo.lock", "deny.toml"];
