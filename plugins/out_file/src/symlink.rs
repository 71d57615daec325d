//! The symbolic link that leads to the newest file.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use sdk::event::Time;

/// A link, and where it leads now.
#[derive(Debug)]
pub(crate) struct Symlink {
    path: PathBuf,
    leads_to: Mutex<Option<(Time, PathBuf)>>,
}

impl Symlink {
    pub(crate) fn new(path: &str) -> Self {
        Self {
            path: path.into(),
            leads_to: Mutex::new(None),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the link lead to `target`, unless it leads to a file with newer events.
    ///
    /// # Errors
    /// What the system says, or that something else than a link stands there.
    pub(crate) fn lead_to(&self, target: &Path, newest: Time) -> io::Result<()> {
        let mut now = self.leads_to.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((time, path)) = now.as_mut()
            && (*time > newest || path == target)
        {
            *time = newest.max(*time);
            return Ok(());
        }
        if fs::symlink_metadata(&self.path).is_ok_and(|there| !there.is_symlink()) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "something else stands there",
            ));
        }
        let mut fresh = self.path.clone().into_os_string();
        fresh.push(".new");
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        symlink(std::path::absolute(target)?, &fresh)?;
        fs::rename(&fresh, &self.path)?;
        *now = Some((newest, target.to_owned()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_leads_to_the_file_with_the_newest_events() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let link = Symlink::new(at("now").to_str().unwrap());
        let leads_to = || fs::read_link(at("now")).unwrap();
        link.lead_to(&at("b"), Time::from_secs(5)).unwrap();
        assert_eq!(leads_to(), at("b"));
        link.lead_to(&at("a"), Time::from_secs(3)).unwrap();
        assert_eq!(leads_to(), at("b"));
        link.lead_to(&at("c"), Time::from_secs(7)).unwrap();
        assert_eq!(leads_to(), at("c"));
    }

    #[test]
    fn a_file_in_its_place_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("now");
        fs::write(&path, "mine").unwrap();
        let link = Symlink::new(path.to_str().unwrap());
        assert!(
            link.lead_to(&folder.path().join("a"), Time::from_secs(5))
                .is_err()
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
