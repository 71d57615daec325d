//! Downloads and unpacks distributions. Each step leaves its result in one piece or not at all.

use super::{Places, account, guard, list::Server, make};
use crate::{packages, process};
use anyhow::{Context as _, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A Maven plugin that fetches a file by its coordinates.
const FETCH: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy";
/// Lines of the Java options that go: a module that this runtime does not have and the servers do without, and a log
/// that would be written into the distribution, where the servers may not write.
const UNWANTED_OPTIONS: [&str; 2] = ["jdk.incubator.vector", "gc.log"];
/// Modules that go: this runtime has no Thai word breaks, and with an analyzer for Thai no index can be made.
const UNWANTED_MODULES: [&str; 1] = ["modules/analysis-common"];

/// The file in an unpacked distribution that says what was done to it.
const RECIPE: &str = "recipe";

/// Makes sure that a server and its Java are there.
pub(super) fn ensure(server: &Server, places: &Places) -> Result<()> {
    packages::ensure_program("curl", "curl")?;
    packages::ensure_program("unzip", "unzip")?;
    packages::ensure_program("mvn", "maven")?;
    packages::ensure_program("javac", "openjdk-17-jdk-headless")?;
    places.java(server.java)?;
    let folder = places.distribution(server);
    let added = guard::added(server);
    let recipe = format!("without {UNWANTED_OPTIONS:?} {UNWANTED_MODULES:?}{added}");
    if fs::read_to_string(folder.join(RECIPE)).is_ok_and(|old| old == recipe) {
        return Ok(());
    }
    let (name, version) = (server.product.name(), server.version);
    let coordinates = format!("{}:{name}", server.product.group());
    let zip = download(&coordinates, version, &places.target.join("download"))?;
    in_one_piece(&folder, |part| {
        let mut unzip = Command::new("unzip");
        process::run(unzip.arg("-q").arg(&zip).arg("-d").arg(part))?;
        let inside = part.join(format!("{name}-{version}"));
        without_unwanted_options(&inside.join("config/jvm.options"))?;
        for module in UNWANTED_MODULES.map(|module| inside.join(module)) {
            if module.exists() {
                fs::remove_dir_all(&module)
                    .with_context(|| format!("remove {}", module.display()))?;
            }
        }
        guard::add(server, &inside, places, account::ensure()?)?;
        fs::write(inside.join(RECIPE), &recipe)?;
        Ok(inside)
    })?;
    // It is unpacked now, and large.
    fs::remove_file(&zip).with_context(|| format!("remove {}", zip.display()))
}

/// Fetches a zip file from the Maven registry.
pub(super) fn download(coordinates: &str, version: &str, folder: &Path) -> Result<PathBuf> {
    let (_, name) = coordinates.split_once(':').context("group and artifact")?;
    println!("downloading {name} {version}");
    make(folder)?;
    let mut command = Command::new("mvn");
    command.args(["-q", "-B", FETCH]);
    command.arg(format!("-Dartifact={coordinates}:{version}:zip"));
    command.arg(format!("-DoutputDirectory={}", folder.display()));
    process::quiet(&mut command)?;
    let file = folder.join(format!("{name}-{version}.zip"));
    ensure!(file.exists(), "the download left no {}", file.display());
    Ok(file)
}

fn without_unwanted_options(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    fs::write(file, without_lines(&text, &UNWANTED_OPTIONS))
        .with_context(|| format!("write {}", file.display()))
}

/// The text without the lines that contain one of the words.
fn without_lines(text: &str, words: &[&str]) -> String {
    text.lines()
        .filter(|line| !words.iter().any(|word| line.contains(word)))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// Lets `work` fill a folder beside `folder` and say what in it is the result, and moves that into place: what an
/// interrupted run leaves is never taken for the whole.
pub(super) fn in_one_piece(
    folder: &Path,
    work: impl FnOnce(&Path) -> Result<PathBuf>,
) -> Result<()> {
    let part = folder.with_extension("part");
    if part.exists() {
        fs::remove_dir_all(&part).with_context(|| format!("remove {}", part.display()))?;
    }
    make(&part)?;
    let result = work(&part)?;
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    fs::rename(&result, folder).with_context(|| format!("put {} into place", folder.display()))?;
    if part.exists() {
        fs::remove_dir_all(&part).with_context(|| format!("remove {}", part.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn lines_are_left_out() {
        let text =
            "-Xms1g\n20-:--add-modules=jdk.incubator.vector\n-Xlog:gc*:file=logs/gc.log\n-Xmx1g\n";
        assert_eq!(without_lines(text, &UNWANTED_OPTIONS), "-Xms1g\n-Xmx1g\n");
    }

    #[test]
    fn a_failure_leaves_no_folder_and_the_next_try_does() {
        let home = std::env::temp_dir().join(format!("weir-install-{}", std::process::id()));
        let folder = home.join("result");
        let failed = in_one_piece(&folder, |part| {
            fs::write(part.join("half"), "")?;
            bail!("interrupted")
        });
        assert!(failed.is_err() && !folder.exists());
        in_one_piece(&folder, |part| {
            assert!(!part.join("half").exists());
            fs::create_dir(part.join("inside"))?;
            fs::write(part.join("inside/whole"), "")?;
            Ok(part.join("inside"))
        })
        .unwrap();
        assert!(folder.join("whole").exists() && !folder.with_extension("part").exists());
        fs::remove_dir_all(&home).unwrap();
    }
}
