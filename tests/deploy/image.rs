//! The Dockerfile and the build context.

use laurel::config;

use super::servers::project_path;
use super::tools::{assert_pinned, output_of, tool};
use crate::tidy::files;

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
    bases.iter().for_each(|base| assert_pinned(base.split(' ').next().unwrap()));
    assert!(bases.len() == 2 && bases[1].contains("-slim"));
    assert_eq!(lines("USER "), ["10001:10001"]);
    let port = config::load([]).unwrap().server.port.to_string();
    assert_eq!(lines("EXPOSE "), [port.as_str()]);
    let settings = lines("ENV ")[0].split(' ').map(|setting| setting.split_once('=').unwrap());
    let config = config::load(settings.map(|(name, value)| (name.into(), value.into()))).unwrap();
    assert_eq!((config.server.host.as_str(), config.server.port.to_string()), ("0.0.0.0", port));
    let rust = format!("rust:{}.", env!("CARGO_PKG_RUST_VERSION"));
    assert!(bases[0].starts_with(&rust), "{} is not {rust}", bases[0]);
}

#[test]
fn the_build_context_has_what_the_dockerfile_copies() {
    let ignored = std::fs::read_to_string(project_path(".dockerignore")).unwrap();
    let mut included: Vec<&str> = ignored.lines().filter_map(|it| it.strip_prefix('!')).collect();
    assert!(ignored.lines().any(|it| it == "*"), "all other files are ignored");
    let copied =
        DOCKERFILE.lines().filter_map(|it| it.strip_prefix("COPY ")).filter(|it| !it.starts_with("--"));
    let mut copied: Vec<&str> = copied.flat_map(|line| line.rsplit_once(' ').unwrap().0.split(' ')).collect();
    included.sort_unstable();
    copied.sort_unstable();
    assert_eq!(included, copied);
    // The builder has the folders of files that are compiled in.
    for (path, text) in files("src", "rs") {
        let included = text.split("\"../../").skip(1).map(|rest| rest.split('"').next().unwrap());
        for file in included.filter(|it| !it.starts_with("tests/")) {
            let is_copied = copied.iter().any(|folder| file.starts_with(&format!("{folder}/")));
            assert!(is_copied, "{} needs {file}, which the builder does not have", path.display());
        }
    }
    // Cargo needs the files of all targets.
    let manifest = include_str!("../../Cargo.toml");
    let targets = manifest.lines().filter_map(|line| line.strip_prefix("path = \"")?.strip_suffix('"'));
    for target in targets.filter(|it| !it.starts_with("src/")) {
        assert!(DOCKERFILE.contains(target), "the builder has no {target}");
    }
}
