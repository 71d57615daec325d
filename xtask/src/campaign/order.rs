//! What was asked of a campaign: its seed, and options of its own.

use anyhow::{Context as _, Result, bail};

/// The seed when none is given. It is fixed, so that the same command does the same again.
const SEED: u64 = 1;

/// The arguments of a campaign.
#[derive(Debug)]
pub(crate) struct Order {
    name: String,
    args: Vec<String>,
    /// Where every random choice begins.
    pub(crate) seed: u64,
    /// The figures go into the page of results.
    pub(super) records: bool,
}

impl Order {
    /// Reads `[--record] [--OPTION [VALUE]]...`; `options` are those of the campaign itself.
    pub(crate) fn read(name: &str, args: &[&str], options: &[(&str, &str)]) -> Result<Self> {
        let is_known = |arg: &str| {
            matches!(arg, "--seed" | "--record") || options.iter().any(|(option, _)| *option == arg)
        };
        let mut given = args.iter().filter(|arg| arg.starts_with("--"));
        if let Some(option) = given.find(|arg| !is_known(arg)) {
            bail!("`{name}` knows no option {option}");
        }
        let mut order = Self {
            name: name.to_owned(),
            args: args.iter().copied().map(String::from).collect(),
            seed: SEED,
            records: false,
        };
        order.records = order.has("--record");
        order.seed = order.number("--seed", SEED)?;
        Ok(order)
    }

    /// The value of an option.
    pub(crate) fn text(&self, option: &str) -> Result<Option<&str>> {
        let Some(at) = self.args.iter().position(|arg| arg == option) else {
            return Ok(None);
        };
        let value = self.args.get(at + 1).map(String::as_str);
        match value.filter(|value| !value.starts_with("--")) {
            Some(value) => Ok(Some(value)),
            None => bail!("{option} needs a value behind it"),
        }
    }

    /// The value of an option that is a number, or `default` where it is not given.
    pub(crate) fn number(&self, option: &str, default: u64) -> Result<u64> {
        match self.text(option)? {
            None => Ok(default),
            Some(text) => text
                .replace('_', "")
                .parse()
                .with_context(|| format!("{option} {text}: write a whole number")),
        }
    }

    /// Whether an option without a value is given.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.args.iter().any(|arg| arg == option)
    }

    /// The command that does the same again.
    pub(super) fn command(&self) -> String {
        let mut words = vec!["cargo xtask campaign", &self.name];
        words.extend(
            self.args
                .iter()
                .map(String::as_str)
                .filter(|arg| *arg != "--record"),
        );
        let seed = self.seed.to_string();
        if !self.args.iter().any(|arg| arg == "--seed") {
            words.extend(["--seed", &seed]);
        }
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(line: &str) -> Result<Order> {
        let args: Vec<&str> = line.split_whitespace().collect();
        Order::read("fuzz", &args, &[("--runs", "how many")])
    }

    #[test]
    fn options_are_read_and_the_command_is_whole() {
        let read = order("--runs 1_000 --record").unwrap();
        assert!(read.records);
        assert_eq!(read.number("--runs", 5).unwrap(), 1_000);
        assert_eq!(read.number("--seconds", 5).unwrap(), 5);
        assert_eq!(
            read.command(),
            "cargo xtask campaign fuzz --runs 1_000 --seed 1"
        );
        assert_eq!(
            order("--seed 7").unwrap().command(),
            "cargo xtask campaign fuzz --seed 7"
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = order("--seed").unwrap_err().to_string();
        assert_eq!(error, "--seed needs a value behind it");
        let error = order("--seed x").unwrap_err().to_string();
        assert_eq!(error, "--seed x: write a whole number");
        let error = order("--run 3").unwrap_err().to_string();
        assert_eq!(error, "`fuzz` knows no option --run");
    }
}
