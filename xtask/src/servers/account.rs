//! The account under which the servers run: they refuse root, so root gives them one of their own.

use crate::process;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
};

/// The account that root makes. It has no home and no shell.
const NAME: &str = "weirtest";

/// The numbers of an account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    user: u32,
    group: u32,
}

/// The account for the servers; `None` when the caller is not root and runs them itself.
pub(super) fn ensure() -> Result<Option<Account>> {
    if !is_root()? {
        return Ok(None);
    }
    if number("--user", NAME).is_none() {
        let mut command = Command::new("useradd");
        process::run(command.args(["--system", "--no-create-home", "--user-group", NAME]))?;
    }
    let user = number("--user", NAME).context("the new account has no number")?;
    let group = number("--group", NAME).context("the new account has no group")?;
    Ok(Some(Account { user, group }))
}

fn is_root() -> Result<bool> {
    Ok(process::output(Command::new("id").arg("--user"))?.trim() == "0")
}

fn number(of: &str, name: &str) -> Option<u32> {
    let output = Command::new("id").args([of, name]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

impl Account {
    /// Runs the command under this account, without root's other groups.
    pub(super) fn run(self, command: &mut Command) {
        command.uid(self.user).gid(self.group);
    }

    /// Its numbers, for whoever wants to start something under it.
    pub(super) fn to_json(self) -> Value {
        json!({ "user": self.user, "group": self.group })
    }

    /// Gives a folder and what is in it to this account.
    pub(super) fn own(self, folder: &Path) -> Result<()> {
        let owner = format!("{}:{}", self.user, self.group);
        process::run(Command::new("chown").args(["-R", &owner]).arg(folder))
    }
}

/// A folder that the account can reach: the wanted one, or one in the system's place for temporary files when
/// the checkout lies in a folder that others may not enter.
pub(super) fn reachable_home(wanted: &Path) -> Result<PathBuf> {
    if !is_root()? || wanted.ancestors().all(may_be_entered) {
        return Ok(wanted.to_path_buf());
    }
    let checkout = wanted.display().to_string().replace('/', "-");
    let home = std::env::temp_dir().join(format!("weir{checkout}"));
    super::make(&home)?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755))?;
    Ok(home)
}

fn may_be_entered(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|folder| folder.permissions().mode() & 0o001 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_folder_is_seen() {
        let folder = std::env::temp_dir().join(format!("weir-account-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (mode, expected) in [(0o755, true), (0o711, true), (0o700, false), (0o770, false)] {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(may_be_entered(&folder), expected, "{mode:o}");
        }
        fs::remove_dir(&folder).unwrap();
        assert!(!may_be_entered(&folder));
    }
}
