//! Running other programs: their output passes through, and a failure names the command line.

use anyhow::{Context as _, Result, bail};
use std::process::{Command, Stdio};

/// The cargo that runs this program. What it said of this package is not passed on: build scripts watch it, and would run
/// again for every cargo that says otherwise.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// Runs a program and shows what it prints.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("start `{}`", line(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", line(command));
    }
    Ok(())
}

/// Runs a program and returns what it prints on standard output; its errors are shown.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start `{}`", line(command)))?;
    if !output.status.success() {
        bail!("`{}` ended with {}", line(command), output.status);
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` prints something else than text", line(command)))
}

/// Runs a program that talks too much: what it prints on standard output is shown only when it fails.
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start `{}`", line(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        bail!("`{}` ended with {}:\n{said}", line(command), output.status);
    }
    Ok(())
}

/// The command line as one would type it; the program without its folder.
fn line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_line() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c exit 3` ended with exit status: 3"
        );
        let error = run(&mut Command::new("/nowhere/program")).unwrap_err();
        assert_eq!(error.to_string(), "start `program`");
    }

    #[test]
    fn what_a_quiet_program_said_is_in_the_failure() {
        quiet(Command::new("echo").arg("nothing")).unwrap();
        let error = quiet(Command::new("sh").args(["-c", "echo why; exit 1"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c echo why; exit 1` ended with exit status: 1:\nwhy\n"
        );
    }

    #[test]
    fn output_is_what_was_printed() {
        let text = output(Command::new("sh").args(["-c", "echo a; echo b"])).unwrap();
        assert_eq!(text, "a\nb\n");
    }
}
