//! How many lines may be read now: buckets that fill with time, and Fluentd's limits for groups of files.

use std::{collections::HashMap, time::Duration};

use sdk::config::Pattern;
use tokio::time::Instant;

/// A bucket of lines or bytes that fills at a rate up to a burst.
#[derive(Debug, Clone)]
pub struct Allowance {
    per_second: f64,
    most: f64,
    left: f64,
    at: Option<Instant>,
}

impl Allowance {
    /// `per_second`, and as much as comes in `burst` at once. Full at first.
    pub fn new(per_second: u64, burst: Duration) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a rate that somebody has written into a file"
        )]
        let per_second = per_second as f64;
        let most = (per_second * burst.as_secs_f64()).max(1.0);
        Self {
            per_second,
            most,
            left: most,
            at: None,
        }
    }

    /// Lets time pass; how much there is now. Negative when more was taken than there was.
    pub fn fill(&mut self, now: Instant) -> f64 {
        if let Some(at) = self.at {
            let elapsed = now.saturating_duration_since(at).as_secs_f64();
            self.left = (self.left + elapsed * self.per_second).min(self.most);
        }
        self.at = Some(now);
        self.left
    }

    /// What was there when it was filled last, less what was taken.
    pub fn left(&self) -> f64 {
        self.left
    }

    /// Takes `amount`, whether it is there or not.
    #[inline]
    pub fn take(&mut self, amount: f64) {
        self.left -= amount;
    }
}

/// One rule of a group: values that the captures of the path must have, and lines per period.
#[derive(Debug, Clone)]
pub struct GroupRule {
    /// Captures by name, and what each must match.
    pub matches: Vec<(String, Pattern)>,
    /// Lines of all files of a group together, in one period. `None`: as many as come.
    pub limit: Option<u64>,
}

/// Fluentd's `<group>`: files whose paths agree in the captures of a pattern share a limit.
#[derive(Debug)]
pub struct GroupLimits {
    pattern: Pattern,
    period: Duration,
    rules: Vec<GroupRule>,
    groups: Vec<Group>,
    by_key: HashMap<(usize, Vec<String>), usize>,
}

#[derive(Debug)]
struct Group {
    limit: u64,
    began: Option<Instant>,
    lines: u64,
}

impl GroupLimits {
    /// Limits that begin anew every `period`.
    pub fn new(pattern: Pattern, period: Duration, rules: Vec<GroupRule>) -> Self {
        Self {
            pattern,
            period,
            rules,
            groups: Vec::new(),
            by_key: HashMap::new(),
        }
    }

    /// The group of a path. `None` when no limit applies. The first rule that matches does.
    pub fn group_of(&mut self, path: &str) -> Option<usize> {
        let captures = self.pattern.regex().captures(path.as_bytes())?;
        let value = |name: &str| {
            captures
                .name(name)
                .map_or(&b""[..], |found| found.as_bytes())
        };
        let (index, rule) = self.rules.iter().enumerate().find(|(_, rule)| {
            rule.matches
                .iter()
                .all(|(name, pattern)| pattern.is_match(value(name)))
        })?;
        let limit = rule.limit?;
        // Those captures that the rule names make the group: with `namespace` alone, a namespace is one.
        let key = rule
            .matches
            .iter()
            .map(|(name, _)| String::from_utf8_lossy(value(name)).into_owned())
            .collect();
        let next = self.groups.len();
        let group = *self.by_key.entry((index, key)).or_insert(next);
        if group == next {
            self.groups.push(Group {
                limit,
                began: None,
                lines: 0,
            });
        }
        Some(group)
    }

    /// How many lines the group may have now.
    pub fn left(&mut self, group: usize, now: Instant) -> usize {
        let period = self.period;
        let Some(group) = self.groups.get_mut(group) else {
            return usize::MAX;
        };
        if group
            .began
            .is_none_or(|began| now.saturating_duration_since(began) >= period)
        {
            group.began = Some(now);
            group.lines = 0;
        }
        usize::try_from(group.limit.saturating_sub(group.lines)).unwrap_or(usize::MAX)
    }

    /// A line was read.
    #[inline]
    pub fn take(&mut self, group: usize) {
        if let Some(group) = self.groups.get_mut(group) {
            group.lines += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_fills_up_to_its_burst() {
        let start = Instant::now();
        let mut lines = Allowance::new(100, Duration::from_secs(2));
        assert_eq!(lines.fill(start).to_string(), "200");
        lines.take(250.0);
        assert_eq!(lines.fill(start).to_string(), "-50");
        assert_eq!(lines.fill(start + Duration::from_secs(1)).to_string(), "50");
        assert_eq!(
            lines.fill(start + Duration::from_hours(1)).to_string(),
            "200"
        );
    }

    #[test]
    fn groups_share_a_limit_and_begin_anew_with_the_period() {
        let start = Instant::now();
        let rule = |name: &str, text: &str, limit| GroupRule {
            matches: vec![(name.into(), text.parse().unwrap())],
            limit,
        };
        let mut groups = GroupLimits::new(
            "/(?<namespace>[^/_]+)_(?<pod>[^/]+)".parse().unwrap(),
            Duration::from_mins(1),
            vec![
                rule("namespace", "^kube", None),
                rule("namespace", "^shop", Some(2)),
            ],
        );
        assert_eq!(groups.group_of("/kube_dns"), None);
        assert_eq!(groups.group_of("/other_x"), None);
        let (a, b) = (groups.group_of("/shop_a"), groups.group_of("/shop_b"));
        assert!(a.is_some() && a == b && a != groups.group_of("/shopping_a"));
        let group = a.unwrap();
        assert_eq!(groups.left(group, start), 2);
        groups.take(group);
        groups.take(group);
        assert_eq!(groups.left(group, start + Duration::from_secs(59)), 0);
        assert_eq!(groups.left(group, start + Duration::from_mins(1)), 2);
    }
}
