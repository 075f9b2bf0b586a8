//! The Dockerfile and the build context.

use std::path::PathBuf;

use laurel::config;

use super::servers::ours;
use super::tools::{assert_pinned, output_of, tool};

const DOCKERFILE: &str = include_str!("../../deploy/Dockerfile");

#[test]
fn the_dockerfile_passes_its_linter() {
    output_of(tool("hadolint").args(["--failure-threshold", "info", "deploy/Dockerfile"]));
}

#[test]
fn the_image_is_pinned_small_and_unprivileged() {
    let lines =
        |word: &str| -> Vec<&str> { DOCKERFILE.lines().filter_map(|it| it.strip_prefix(word)).collect() };
    let bases = lines("FROM ");
    bases.iter().for_each(|it| assert_pinned(it.split(' ').next().unwrap()));
    assert!(bases.len() == 2 && bases[1].contains("-slim"));
    assert_eq!(lines("USER "), ["10001:10001"]);
    let port = config::load([]).unwrap().server.port.to_string();
    assert_eq!(lines("EXPOSE "), [port.as_str()]);
    let settings = lines("ENV ")[0].split(' ').map(|it| it.split_once('=').unwrap());
    let config = config::load(settings.map(|(name, value)| (name.into(), value.into()))).unwrap();
    assert_eq!((config.server.host.as_str(), config.server.port.to_string()), ("0.0.0.0", port));
    let rust = format!("rust:{}.", env!("CARGO_PKG_RUST_VERSION"));
    assert!(bases[0].starts_with(&rust), "{} is not {rust}", bases[0]);
}

fn sources() -> Vec<(PathBuf, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![ours("src")]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push((path.clone(), std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    found
}

/// The build context has all copied files and no others.
#[test]
fn the_build_context_is_what_the_dockerfile_copies() {
    let ignored = std::fs::read_to_string(ours(".dockerignore")).unwrap();
    let mut sent: Vec<&str> = ignored.lines().filter_map(|it| it.strip_prefix('!')).collect();
    assert!(ignored.lines().any(|it| it == "*"), "all else stays here");
    let copied =
        DOCKERFILE.lines().filter_map(|it| it.strip_prefix("COPY ")).filter(|it| !it.starts_with("--"));
    let mut copied: Vec<&str> = copied.flat_map(|it| it.rsplit_once(' ').unwrap().0.split(' ')).collect();
    sent.sort_unstable();
    copied.sort_unstable();
    assert_eq!(sent, copied);
    // Folders with files that are compiled in.
    for (path, text) in sources() {
        let outside = text.split("\"../../").skip(1).map(|it| it.split('"').next().unwrap());
        for outside in outside.filter(|it| !it.starts_with("tests/")) {
            let there = copied.iter().any(|it| outside.starts_with(&format!("{it}/")));
            assert!(there, "{} needs {outside}, which the builder does not have", path.display());
        }
    }
    // Cargo needs the files of all targets.
    let manifest = include_str!("../../Cargo.toml");
    let targets = manifest.lines().filter_map(|it| it.strip_prefix("path = \"")?.strip_suffix('"'));
    for target in targets.filter(|it| !it.starts_with("src/")) {
        assert!(DOCKERFILE.contains(target), "the builder has no {target}");
    }
}
