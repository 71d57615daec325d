//! The route of a tag: which filters of a label run, in file order, and which match takes the batch.
//!
//! Finding a route walks all patterns of the label, so routes are kept per label and tag (`cache.rs`).

mod cache;

use std::sync::Arc;

use sdk::event::Tag;

use self::cache::RouteCache;
use crate::config::TagSet;

/// The patterns of one label, in file order.
#[derive(Debug, Clone, Default)]
pub struct LabelRules {
    /// One entry per filter.
    pub filters: Vec<TagSet>,
    /// One entry per match.
    pub matches: Vec<TagSet>,
}

/// What happens to a tag in a label. The numbers are places in [`LabelRules`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Route {
    /// The filters that run, in file order. Where a filter stands relative to a match does not matter.
    pub filters: Vec<usize>,
    /// The first match that takes the tag.
    pub target: Option<usize>,
}

/// The routes of every label. Shared by all connections.
#[derive(Debug)]
pub struct Router {
    labels: Vec<(LabelRules, RouteCache)>,
}

impl Router {
    /// A router over these labels; a label is named by its place.
    pub fn new(labels: Vec<LabelRules>) -> Self {
        let labels = labels
            .into_iter()
            .map(|rules| (rules, RouteCache::default()));
        Self {
            labels: labels.collect(),
        }
    }

    /// The route of `tag` in the label at place `label`; an empty route when there is no such label.
    pub fn route(&self, label: usize, tag: &Tag) -> Arc<Route> {
        self.labels
            .get(label)
            .map(|(rules, cache)| cache.get_or_insert(tag, || rules.route(tag.as_str())))
            .unwrap_or_default()
    }
}

impl LabelRules {
    fn route(&self, tag: &str) -> Route {
        let takes = |set: &TagSet| set.matches(tag);
        let filters = (0..).zip(&self.filters).filter(|(_, set)| takes(set));
        Route {
            filters: filters.map(|(place, _)| place).collect(),
            target: self.matches.iter().position(takes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(include: &str) -> TagSet {
        TagSet::parse(&[include], &[]).unwrap()
    }

    #[test]
    fn every_matching_filter_and_the_first_match() {
        let rules = LabelRules {
            filters: vec![set("app.**"), set("sys.*"), set("**")],
            matches: vec![set("app.web"), set("app.**"), set("sys.*")],
        };
        let router = Router::new(vec![rules]);
        let route = |tag: &str| (*router.route(0, &Tag::new(tag))).clone();
        let expected = |filters: &[usize], target| Route {
            filters: filters.to_vec(),
            target,
        };
        assert_eq!(route("app.web"), expected(&[0, 2], Some(0)));
        assert_eq!(route("app.db"), expected(&[0, 2], Some(1)));
        assert_eq!(route("sys.log"), expected(&[1, 2], Some(2)));
        assert_eq!(route("other"), expected(&[2], None));
        // A second look comes from the cache and says the same.
        assert_eq!(route("app.web"), expected(&[0, 2], Some(0)));
        assert_eq!(*router.route(7, &Tag::new("app.web")), Route::default());
    }
}
