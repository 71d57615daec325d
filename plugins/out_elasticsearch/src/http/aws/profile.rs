//! Files with profiles: `~/.aws/credentials`.

use std::{io::ErrorKind, path::PathBuf};

use sdk::{
    config::Secret,
    output::{Failure, FailureKind},
};

use super::Keys;

/// A profile in a file with keys.
#[derive(Debug)]
pub(crate) struct Profile {
    file: PathBuf,
    name: String,
    /// Whether the environment names the file or the profile, so that it has to be there.
    is_named: bool,
}

impl Profile {
    /// The profile that the environment means; `None` where there is no home to look into.
    pub(crate) fn of(env: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let (file, name) = (env("AWS_SHARED_CREDENTIALS_FILE"), env("AWS_PROFILE"));
        let is_named = file.is_some() || name.is_some();
        let home = || Some(PathBuf::from(env("HOME")?).join(".aws/credentials"));
        Some(Self {
            file: file.map(PathBuf::from).or_else(home)?,
            name: name.unwrap_or_else(|| "default".to_owned()),
            is_named,
        })
    }

    /// The keys in it; `None` when it is not there, and need not be.
    ///
    /// # Errors
    /// The environment names it, and there are no keys in it; or the file cannot be read.
    pub(crate) async fn keys(&self) -> Result<Option<Keys>, Failure> {
        let (name, file) = (&self.name, self.file.display());
        let failed = |what: &str| Err(Failure::new(FailureKind::Auth, what));
        let text = match tokio::fs::read_to_string(&self.file).await {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && !self.is_named => return Ok(None),
            Err(error) => {
                return failed(&format!("the keys in {file} cannot be read: {error}"));
            }
        };
        match keys_of(&text, name) {
            None if self.is_named => failed(&format!("{file} has no keys for the profile {name}")),
            keys => Ok(keys),
        }
    }
}

/// The keys of a profile, as the tools of AWS write them: sections in brackets, a name and a value in each line.
fn keys_of(text: &str, profile: &str) -> Option<Keys> {
    let lines = text.lines().map(str::trim);
    let is_header = |line: &str| line.starts_with('[');
    let is_own = |line: &str| {
        let name = line.trim_matches(['[', ']']).trim();
        is_header(line) && name.strip_prefix("profile ").unwrap_or(name).trim() == profile
    };
    let section = lines.skip_while(|line| !is_own(line)).skip(1);
    let pairs: Vec<(&str, &str)> = section
        .take_while(|line| !is_header(line))
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect();
    let value = |name: &str| {
        let pair = pairs.iter().find(|(key, _)| *key == name);
        pair.map(|(_, value)| *value)
            .filter(|value| !value.is_empty())
    };
    Some(Keys {
        id: value("aws_access_key_id")?.to_owned(),
        secret: Secret::new(value("aws_secret_access_key")?),
        token: value("aws_session_token").map(Secret::new),
        until: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# mine\n[default]\naws_access_key_id = D\naws_secret_access_key=a=b\n\n\
        [profile work]\n; old\naws_access_key_id=W\naws_secret_access_key = c\naws_session_token = t\n[empty]\nregion = x\n";

    #[test]
    fn each_profile_has_its_keys() {
        let check = |profile: &str, expected: Option<(&str, &str, bool)>| {
            let keys = keys_of(FILE, profile);
            let found = keys.as_ref().map(|keys| {
                let has_token = keys.token.is_some();
                (keys.id.as_str(), keys.secret.expose(), has_token)
            });
            assert_eq!(found, expected, "{profile}");
        };
        check("default", Some(("D", "a=b", false)));
        check("work", Some(("W", "c", true)));
        check("empty", None);
        check("none", None);
    }

    #[tokio::test]
    async fn only_what_the_environment_names_has_to_be_there() {
        let home = tempfile::tempdir().unwrap();
        let at = home.path().display().to_string();
        let profile = |more: Option<(&'static str, String)>| {
            let at = at.clone();
            Profile::of(&move |name: &str| match &more {
                Some((key, value)) if *key == name => Some(value.clone()),
                _ => (name == "HOME").then(|| at.clone()),
            })
            .unwrap()
        };
        assert!(Profile::of(&|_: &str| None).is_none());
        assert_eq!(profile(None).keys().await, Ok(None));
        let named = profile(Some(("AWS_PROFILE", "work".into())));
        assert!(
            named
                .keys()
                .await
                .unwrap_err()
                .message
                .contains("cannot be read")
        );
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        std::fs::write(home.path().join(".aws/credentials"), FILE).unwrap();
        let id = |keys: Result<Option<Keys>, Failure>| keys.unwrap().unwrap().id;
        assert_eq!(id(profile(None).keys().await), "D");
        assert_eq!(id(named.keys().await), "W");
        let missing = profile(Some(("AWS_PROFILE", "none".into())));
        let failure = missing.keys().await.unwrap_err();
        assert!(
            failure
                .message
                .ends_with("has no keys for the profile none"),
            "{failure}"
        );
        let elsewhere = home.path().join("other").display().to_string();
        let other = profile(Some(("AWS_SHARED_CREDENTIALS_FILE", elsewhere)));
        assert!(other.keys().await.is_err());
    }
}
