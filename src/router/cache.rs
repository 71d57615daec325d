//! Routes already found, by tag, with a limit: a sender that makes up tags must not fill the memory.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use sdk::event::Tag;

use super::Route;

/// Tags of one generation. Two generations are kept, so that a tag in use is never lost at once with the rest.
const GENERATION_TAGS: usize = 1_024;

/// Routes of one label.
#[derive(Debug, Default)]
pub(super) struct RouteCache(RwLock<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Tag, Arc<Route>>,
    old: HashMap<Tag, Arc<Route>>,
}

impl RouteCache {
    /// The route of `tag`, found by `find` when it is not kept.
    pub(super) fn get_or_insert(&self, tag: &Tag, find: impl FnOnce() -> Route) -> Arc<Route> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = kept.young.get(tag) {
            return Arc::clone(route);
        }
        let route = kept.old.get(tag).cloned();
        drop(kept);
        let route = route.unwrap_or_else(|| Arc::new(find()));
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.young.len() >= GENERATION_TAGS {
            kept.old = std::mem::take(&mut kept.young);
        }
        kept.young.insert(tag.clone(), Arc::clone(&route));
        route
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_limited_number_of_tags_and_those_in_use() {
        let cache = RouteCache::default();
        let mut found = 0;
        for number in 0..10 * GENERATION_TAGS {
            let made_up = Tag::new(&format!("made.up.{number}"));
            cache.get_or_insert(&made_up, Route::default);
            cache.get_or_insert(&Tag::new("in.use"), || {
                found += 1;
                Route::default()
            });
        }
        let kept = cache.0.read().unwrap();
        assert!(kept.young.len() + kept.old.len() <= 2 * GENERATION_TAGS);
        assert_eq!(found, 1);
    }
}
