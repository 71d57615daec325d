//! The state machine that tells which lines belong to one stack trace.

use regex::bytes::RegexSet;

use super::rules::{END, Language, Rule, START};

/// A place in a trace. It is only known to the machine that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State(usize);

/// What a line is to the trace before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// No part of any trace.
    Outside,
    /// The first line of a trace.
    First(State),
    /// It goes on with the trace.
    Inside(State),
    /// The last line of the trace, which had come to this state.
    Last(State),
}

/// The rules of some languages, by state.
#[derive(Debug)]
pub(super) struct Machine {
    steps: Vec<Steps>,
}

/// Where the lines lead that a state allows. Of several that match, the first counts.
#[derive(Debug)]
struct Steps {
    patterns: RegexSet,
    targets: Vec<Target>,
}

#[derive(Debug, Clone, Copy)]
enum Target {
    To(State),
    End,
}

impl Machine {
    /// A machine that knows these languages. Rules that several of them have count once.
    ///
    /// # Errors
    /// When a rule is not a regular expression.
    pub(super) fn new(languages: &[Language]) -> Result<Self, regex::Error> {
        let mut names = vec![START];
        let mut rules: Vec<&Rule> = Vec::new();
        for rule in Language::rules(languages) {
            if !rules.iter().any(|known| std::ptr::eq(*known, rule)) {
                rules.push(rule);
            }
        }
        for rule in &rules {
            for name in rule.from.iter().chain([&rule.to]) {
                if *name != END && !names.contains(name) {
                    names.push(name);
                }
            }
        }
        let steps = names.iter().map(|name| Steps::new(name, &names, &rules));
        Ok(Self {
            steps: steps.collect::<Result<_, _>>()?,
        })
    }

    /// What a line is, when the trace before it had come to `state`.
    pub(super) fn step(&self, state: Option<State>, line: &[u8]) -> Status {
        let line = trim(line);
        if let Some(state) = state {
            match self.steps.get(state.0).and_then(|steps| steps.next(line)) {
                Some(Target::To(next)) => return Status::Inside(next),
                Some(Target::End) => return Status::Last(state),
                None => {}
            }
        }
        match self.steps.first().and_then(|steps| steps.next(line)) {
            Some(Target::To(state)) => Status::First(state),
            _ => Status::Outside,
        }
    }
}

impl Steps {
    fn new(state: &str, names: &[&str], rules: &[&Rule]) -> Result<Self, regex::Error> {
        let of_state = || rules.iter().filter(|rule| rule.from.contains(&state));
        let target = |rule: &&Rule| {
            let at = names.iter().position(|name| *name == rule.to);
            at.map_or(Target::End, |at| Target::To(State(at)))
        };
        Ok(Self {
            patterns: RegexSet::new(of_state().map(|rule| rule.pattern))?,
            targets: of_state().map(target).collect(),
        })
    }

    fn next(&self, line: &[u8]) -> Option<Target> {
        let first = self.patterns.matches(line).iter().next()?;
        self.targets.get(first).copied()
    }
}

/// The line without its end.
fn trim(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
