//! The pods and namespaces that are known now: written by the watches, read by the filter.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    identity::Identity,
    pod::{Known, Namespace, Pod},
};

/// Shared by the watches and the filter.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    inner: Arc<Mutex<Inner>>,
    grace: Duration,
}

#[derive(Debug, Default)]
struct Inner {
    /// By uid.
    pods: HashMap<Box<[u8]>, Entry>,
    /// The uid of the pod that has this namespace and name now.
    by_name: HashMap<Box<[u8]>, Box<[u8]>>,
    /// The uid in the API of a pod whose directory on the node has another one.
    by_hash: HashMap<Box<[u8]>, Box<[u8]>>,
    namespaces: BTreeMap<String, Arc<Namespace>>,
}

#[derive(Debug)]
struct Entry {
    known: Arc<Known>,
    /// When it was seen to be deleted.
    gone: Option<Instant>,
    /// The listing that named it last.
    listing: u64,
}

impl Store {
    /// An empty one that remembers deleted pods for `grace`.
    pub(crate) fn new(grace: Duration) -> Self {
        Self {
            inner: Arc::default(),
            grace,
        }
    }

    /// The pod that a record is of.
    pub(crate) fn find(&self, identity: &Identity<'_>) -> Option<Arc<Known>> {
        let inner = self.lock();
        if let Some(uid) = identity.uid {
            let by_hash = || inner.pods.get(inner.by_hash.get(uid)?);
            let entry = inner.pods.get(uid).or_else(by_hash)?;
            return Some(Arc::clone(&entry.known));
        }
        let name = name_key(identity.namespace?, identity.pod?);
        let entry = inner.pods.get(inner.by_name.get(&name)?)?;
        // Of two pods that had the name one after the other, only the one with this container is meant.
        let containers = &entry.known.pod.containers;
        let is_other = identity.container_id.is_some_and(|id| {
            let mut ids = containers.iter().filter_map(|own| own.id.as_deref());
            let name = identity.container;
            let own = containers
                .iter()
                .find(|own| Some(own.name.as_bytes()) == name);
            own.is_some_and(|own| own.id.is_some()) && !ids.any(|own| own.as_bytes() == id)
        });
        (!is_other).then(|| Arc::clone(&entry.known))
    }

    /// A pod is there, as part of listing number `listing` or of a later change to it.
    pub(crate) fn put_pod(&self, pod: Pod, listing: u64) {
        let mut inner = self.lock();
        let uid: Box<[u8]> = pod.uid.as_bytes().into();
        let same = inner
            .pods
            .get(&uid)
            .filter(|entry| entry.known.pod == pod)
            .map(|entry| Arc::clone(&entry.known));
        let name = name_key(pod.namespace.as_bytes(), pod.name.as_bytes());
        inner.by_name.insert(name, uid.clone());
        if let Some(hash) = &pod.config_hash {
            inner.by_hash.insert(hash.as_bytes().into(), uid.clone());
        }
        let namespace = inner.namespaces.get(&pod.namespace).cloned();
        let known = same.unwrap_or_else(|| Arc::new(Known { pod, namespace }));
        let entry = Entry {
            known,
            gone: None,
            listing,
        };
        inner.pods.insert(uid, entry);
    }

    /// A pod was deleted. Its last lines may still come.
    pub(crate) fn remove_pod(&self, uid: &str, now: Instant) {
        if let Some(entry) = self.lock().pods.get_mut(uid.as_bytes()) {
            entry.gone = Some(now);
        }
    }

    /// A listing is complete: what it did not name is gone.
    pub(crate) fn listed_pods(&self, listing: u64, now: Instant) {
        for entry in self.lock().pods.values_mut() {
            if entry.listing != listing && entry.gone.is_none() {
                entry.gone = Some(now);
            }
        }
    }

    /// A namespace is there, or changed.
    pub(crate) fn put_namespace(&self, name: String, namespace: Namespace) {
        let mut inner = self.lock();
        if inner
            .namespaces
            .get(&name)
            .is_some_and(|old| **old == namespace)
        {
            return;
        }
        let namespace = Arc::new(namespace);
        inner.renew_pods_of(&name, Some(&namespace));
        inner.namespaces.insert(name, namespace);
    }

    /// A namespace was deleted; its pods keep what was known.
    pub(crate) fn remove_namespace(&self, name: &str) {
        self.lock().namespaces.remove(name);
    }

    /// Only these namespaces are left.
    pub(crate) fn listed_namespaces(&self, names: &[String]) {
        self.lock()
            .namespaces
            .retain(|name, _| names.contains(name));
    }

    /// Forgets what has been gone for long enough. Returns the numbers of pods and namespaces that are left.
    pub(crate) fn sweep(&self, now: Instant) -> (usize, usize) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let grace = self.grace;
        let before = inner.pods.len();
        inner.pods.retain(|_, entry| {
            entry
                .gone
                .is_none_or(|gone| now.duration_since(gone) < grace)
        });
        if inner.pods.len() < before {
            let pods = &inner.pods;
            inner.by_name.retain(|_, uid| pods.contains_key(uid));
            inner.by_hash.retain(|_, uid| pods.contains_key(uid));
        }
        (inner.pods.len(), inner.namespaces.len())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn renew_pods_of(&mut self, name: &str, namespace: Option<&Arc<Namespace>>) {
        for entry in self.pods.values_mut() {
            if entry.known.pod.namespace == name {
                entry.known = Arc::new(Known {
                    pod: entry.known.pod.clone(),
                    namespace: namespace.cloned(),
                });
            }
        }
    }
}

fn name_key(namespace: &[u8], pod: &[u8]) -> Box<[u8]> {
    [namespace, b"/", pod].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::Container;

    fn pod(uid: &str, name: &str, container_id: &str) -> Pod {
        Pod {
            uid: uid.into(),
            name: name.into(),
            namespace: "shop".into(),
            containers: vec![Container {
                name: "web".into(),
                id: Some(container_id.into()),
                ..Container::default()
            }],
            ..Pod::default()
        }
    }

    fn named<'a>(name: &'a str, id: Option<&'a str>) -> Identity<'a> {
        Identity {
            pod: Some(name.as_bytes()),
            namespace: Some(b"shop"),
            container: Some(b"web"),
            container_id: id.map(str::as_bytes),
            ..Identity::default()
        }
    }

    #[test]
    fn ten_thousand_pods_come_and_go_without_growth() {
        let store = Store::new(Duration::from_mins(1));
        let mut now = Instant::now();
        for number in 0..10_000 {
            let uid = format!("uid-{number}");
            store.put_pod(pod(&uid, &format!("web-{number}"), "c"), 0);
            store.remove_pod(&uid, now);
            now += Duration::from_secs(1);
            assert!(store.sweep(now).0 <= 61);
        }
        store.sweep(now + Duration::from_mins(1));
        let inner = store.lock();
        let left = (inner.pods.len(), inner.by_name.len(), inner.by_hash.len());
        assert_eq!(left, (0, 0, 0));
    }

    #[test]
    fn a_deleted_pod_is_known_for_its_last_lines_and_the_next_of_its_name_is_another() {
        let store = Store::new(Duration::from_mins(1));
        let now = Instant::now();
        store.put_pod(pod("one", "web-0", "c1"), 0);
        store.remove_pod("one", now);
        store.sweep(now);
        assert!(store.find(&named("web-0", Some("c1"))).is_some());
        store.put_pod(pod("two", "web-0", "c2"), 0);
        let by_name = store.find(&named("web-0", Some("c2"))).unwrap();
        assert_eq!(by_name.pod.uid, "two");
        assert!(store.find(&named("web-0", Some("c1"))).is_none());
        let old = Identity {
            uid: Some(b"one"),
            ..Identity::default()
        };
        assert_eq!(store.find(&old).unwrap().pod.uid, "one");
    }

    #[test]
    fn what_a_new_listing_does_not_name_is_gone() {
        let store = Store::new(Duration::ZERO);
        let now = Instant::now();
        store.put_pod(pod("one", "a", "c"), 1);
        store.put_pod(pod("two", "b", "c"), 1);
        store.put_pod(pod("two", "b", "c"), 2);
        store.listed_pods(2, now);
        assert_eq!(store.sweep(now).0, 1);
    }

    #[test]
    fn a_pod_that_did_not_change_stays_the_same_and_a_namespace_renews_it() {
        let store = Store::new(Duration::ZERO);
        let find = || store.find(&named("a", None)).unwrap();
        store.put_pod(pod("one", "a", "c"), 1);
        let first = find();
        store.put_pod(pod("one", "a", "c"), 2);
        assert!(Arc::ptr_eq(&first, &find()));
        store.put_namespace(
            "shop".into(),
            Namespace {
                uid: "n".into(),
                ..Namespace::default()
            },
        );
        assert_eq!(find().namespace.as_ref().unwrap().uid, "n");
    }

    #[test]
    fn a_static_pod_is_found_by_the_uid_of_its_directory() {
        let store = Store::new(Duration::ZERO);
        let mirror = Pod {
            config_hash: Some("hash".into()),
            ..pod("api", "etcd", "c")
        };
        store.put_pod(mirror, 0);
        let on_disk = Identity {
            uid: Some(b"hash"),
            ..Identity::default()
        };
        assert_eq!(store.find(&on_disk).unwrap().pod.uid, "api");
    }
}
