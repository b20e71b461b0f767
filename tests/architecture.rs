//! Holds the picture of ARCHITECTURE.md against the workspace: which crate may depend on which.

use std::collections::BTreeMap;
use std::process::Command;

/// A crate and the workspace crates that it may depend on in its normal (not dev) dependencies.
/// Everybody may depend on `meesh-base`.
const ARROWS: &[(&str, &[&str])] = &[
    ("meesh", &["meesh-engine", "meesh-flight-server", "meesh-connector-registry", "meesh-connector-spi"]),
    ("meesh-base", &[]),
    ("meesh-sql", &[]),
    ("meesh-connector-spi", &[]),
    ("meesh-engine", &["meesh-sql", "meesh-connector-spi"]),
    ("meesh-connector-postgres", &["meesh-connector-spi"]),
    ("meesh-connector-lake", &["meesh-connector-spi"]),
    ("meesh-connector-memory", &["meesh-connector-spi"]),
    (
        "meesh-connector-registry",
        &["meesh-connector-spi", "meesh-connector-postgres", "meesh-connector-lake", "meesh-connector-memory"],
    ),
    ("meesh-connector-conformance", &["meesh-connector-spi", "meesh-engine"]),
    ("meesh-flight-server", &["meesh-engine"]),
];

/// Crates and the workspace crates that they depend on.
type Arrows = BTreeMap<String, Vec<String>>;

fn workspace_arrows() -> Arrows {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let own = |package: &serde_json::Value| -> Vec<String> {
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        dependencies
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|name| names.contains(name))
            .map(str::to_owned)
            .collect()
    };
    packages.iter().map(|package| (package["name"].as_str().expect("name").to_owned(), own(package))).collect()
}

/// The arrows that the picture does not have, one line each.
fn forbidden(arrows: &Arrows) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, dependencies) in arrows {
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| known == name) else {
            wrong.push(format!("{name} is not in the picture: add it to ARROWS and to ARCHITECTURE.md"));
            continue;
        };
        for dependency in dependencies {
            if dependency != "meesh-base" && !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    wrong
}

#[test]
fn dependencies_point_one_way() {
    let wrong = forbidden(&workspace_arrows());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_forbidden_arrow_is_found() {
    let mut arrows = workspace_arrows();
    arrows.get_mut("meesh-flight-server").expect("the door").push("meesh-connector-postgres".to_owned());
    assert_eq!(forbidden(&arrows), ["meesh-flight-server must not depend on meesh-connector-postgres"]);
}

#[test]
fn every_crate_of_the_picture_exists() {
    let arrows = workspace_arrows();
    for (name, _) in ARROWS {
        assert!(arrows.contains_key(*name), "{name} is in the picture, but not in the workspace");
    }
}
