//! The dependency table of the design, held against what Cargo says, so that the picture cannot rot.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

/// Which of our crates each of them may import. The binary may import all; a crate that is not here does not belong.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("engine", &["core"]),
    ("dialects", &["core"]),
    ("rehearsal", &["core"]),
    ("project", &["core", "engine"]),
    ("runtime", &["core", "engine"]),
    ("gateway", &["core", "dialects", "rehearsal"]),
    ("net", &["core"]),
    ("tools", &["core", "net"]),
    ("tasks", &["core", "dialects", "net"]),
    ("store", &["core"]),
    ("catalog", &["core", "engine"]),
    ("server", &["catalog", "core", "dialects", "engine", "project", "runtime"]),
    ("testkit", &["core"]),
];

/// Crates that are computation alone.
const PURE: &[&str] = &["core", "engine", "dialects", "rehearsal"];

/// What a crate must not reach, directly or through others.
const MUST_NOT_REACH: &[(&[&str], &[&str])] = &[
    (PURE, &["tokio", "hyper", "reqwest", "rusqlite", "axum"]),
    (&["project", "runtime"], &["hyper", "reqwest", "rusqlite", "axum"]),
    (&["gateway"], &["rusqlite", "axum"]),
    (&["store"], &["hyper", "reqwest", "axum"]),
    (&["server"], &["reqwest", "rusqlite"]),
];

/// Words that have no place in the source of a pure crate.
const IMPURE: &[&str] =
    &["async fn", "async move", "async {", ".await", "SystemTime", "Instant::now", "std::fs", "std::net"];

struct Package {
    name: String,
    /// Normal dependencies by package id.
    dependencies: Vec<String>,
    sources: Option<PathBuf>,
}

fn packages() -> BTreeMap<String, Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    // Without the filter Cargo wants the sources of crates for platforms that nobody builds for here.
    let run = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--offline", "--manifest-path", manifest])
        .args(["--filter-platform", &host()])
        .output()
        .expect("cargo runs");
    assert!(run.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&run.stderr));
    let metadata: Value = serde_json::from_slice(&run.stdout).expect("cargo speaks JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let members: BTreeSet<String> = list(&metadata["workspace_members"]).iter().map(text).collect();
    let mut packages = BTreeMap::new();
    for package in list(&metadata["packages"]) {
        let id = text(&package["id"]);
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        let sources = members.contains(&id).then(|| manifest.with_file_name("src"));
        packages.insert(id, Package { name: text(&package["name"]), dependencies: Vec::new(), sources });
    }
    for node in list(&metadata["resolve"]["nodes"]) {
        let normal = |dependency: &Value| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
        let dependencies = list(&node["deps"]).iter().filter(|it| normal(it)).map(|it| text(&it["pkg"])).collect();
        packages.get_mut(&text(&node["id"])).expect("a node is a package").dependencies = dependencies;
    }
    packages
}

/// Returns the platform that this test runs on, as Cargo calls it.
fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let run = Command::new(rustc).arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc says its host").to_owned()
}

/// Iterates over our crates: the name without prefix, and the package.
fn ours(packages: &BTreeMap<String, Package>) -> impl Iterator<Item = (&str, &Package)> {
    let members = packages.values().filter(|package| package.sources.is_some());
    members.map(|package| (package.name.strip_prefix("bedplate-").unwrap_or(&package.name), package))
}

fn reaches<'a>(packages: &'a BTreeMap<String, Package>, from: &'a Package) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<&String> = from.dependencies.iter().collect();
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            found.insert(packages[id].name.as_str());
            open.extend(&packages[id].dependencies);
        }
    }
    found
}

#[test]
fn a_crate_imports_only_what_the_table_lets_it() {
    let packages = packages();
    let mut wrong = Vec::new();
    for (name, package) in ours(&packages) {
        let all = matches!(name, "app" | "bedplate");
        let Some((_, may)) = MAY_IMPORT.iter().find(|(known, _)| *known == name) else {
            if !all {
                wrong.push(format!("{name} has no place in the table"));
            }
            continue;
        };
        let imports = package.dependencies.iter().filter_map(|id| packages[id].name.strip_prefix("bedplate-"));
        wrong.extend(imports.filter(|import| !may.contains(import)).map(|import| format!("{name} imports {import}")));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_test_kit_never_reaches_the_product() {
    let packages = packages();
    for (name, package) in ours(&packages) {
        assert!(!reaches(&packages, package).contains("bedplate-testkit"), "{name} ships the testkit");
    }
}

#[test]
fn a_crate_reaches_no_technology_that_it_must_not_know() {
    let packages = packages();
    let mut wrong = Vec::new();
    for (name, package) in ours(&packages) {
        let reached = reaches(&packages, package);
        for (_, banned) in MUST_NOT_REACH.iter().filter(|(crates, _)| crates.contains(&name)) {
            wrong.extend(banned.iter().filter(|it| reached.contains(**it)).map(|it| format!("{name} reaches {it}")));
        }
        let sdk = reached.iter().find(|it| it.starts_with("aws-sdk") || it.starts_with("aws-config"));
        wrong.extend(sdk.map(|sdk| format!("{name} reaches {sdk}")));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_pure_crates_neither_wait_nor_look_at_the_world() {
    let packages = packages();
    let mut wrong = Vec::new();
    let mut files = 0;
    for (name, package) in ours(&packages).filter(|(name, _)| PURE.contains(name)) {
        let sources = package.sources.as_deref().expect("ours has sources");
        for file in rust_files(sources) {
            files += 1;
            let text = std::fs::read_to_string(&file).expect("a source can be read");
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for (line, word) in code.flat_map(|line| IMPURE.iter().map(move |word| (line, word))) {
                if line.contains(word) {
                    wrong.push(format!("{name}: {}: {}", file.display(), line.trim()));
                }
            }
        }
    }
    assert!(files > 20, "only {files} files were looked at");
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_source_says_what_it_is_for() {
    let packages = packages();
    let mut silent = Vec::new();
    for (_, package) in ours(&packages) {
        for file in rust_files(package.sources.as_deref().expect("ours has sources")) {
            let text = std::fs::read_to_string(&file).expect("a source can be read");
            if !text.starts_with("//!") {
                silent.push(file);
            }
        }
    }
    assert_eq!(silent, Vec::<PathBuf>::new());
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder can be listed") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
