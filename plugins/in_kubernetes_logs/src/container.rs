//! Which container wrote a file, by its path.

use std::path::Path;

/// What the path of a log file tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Container {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    /// Empty where only a link of `/var/log/containers` is known.
    pub(crate) uid: String,
    pub(crate) name: String,
    pub(crate) restarts: Option<u32>,
    /// The runtime's id, 64 hexadecimal digits.
    pub(crate) id: Option<String>,
}

impl Container {
    /// Reads the path, and where that says less, the places to which its links lead.
    pub(crate) fn of(path: &Path, links: &[&Path]) -> Option<Self> {
        let mut all = std::iter::once(path).chain(links.iter().copied());
        let mut container = all.find_map(of_pods).or_else(|| {
            std::iter::once(path)
                .chain(links.iter().copied())
                .find_map(of_containers)
        })?;
        container.id = std::iter::once(path)
            .chain(links.iter().copied())
            .find_map(id_of);
        Some(container)
    }
}

/// `.../NAMESPACE_POD_UID/CONTAINER/RESTARTS.log`
fn of_pods(path: &Path) -> Option<Container> {
    let restarts = path.file_name()?.to_str()?.strip_suffix(".log")?;
    let restarts = restarts.parse().ok()?;
    let folder = path.parent()?;
    let mut names = folder.parent()?.file_name()?.to_str()?.splitn(3, '_');
    Some(Container {
        namespace: names.next()?.to_owned(),
        pod: names.next()?.to_owned(),
        uid: names.next()?.to_owned(),
        name: folder.file_name()?.to_str()?.to_owned(),
        restarts: Some(restarts),
        id: None,
    })
}

/// `.../POD_NAMESPACE_CONTAINER-ID.log`
fn of_containers(path: &Path) -> Option<Container> {
    let name = path.file_name()?.to_str()?.strip_suffix(".log")?;
    let (names, id) = name.rsplit_once('-')?;
    let mut names = names.splitn(3, '_');
    let (pod, namespace, name) = (names.next()?, names.next()?, names.next()?);
    is_id(id).then(|| Container {
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        name: name.to_owned(),
        id: Some(id.to_owned()),
        ..Container::default()
    })
}

/// The id in the name of a link, or in the folder of Docker's file.
pub(crate) fn id_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_suffix(".log")?;
    let (before, last) = name.rsplit_once('-')?;
    let id = if last == "json" { before } else { last };
    is_id(id).then(|| id.to_owned())
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_every_runtime_are_read() {
        let id = "0123456789abcdef".repeat(4);
        let pods = "/var/log/pods/shop_cart-7d9_1b2c-33/app/2.log";
        let link = format!("/var/log/containers/cart-7d9_shop_app-{id}.log");
        let docker = format!("/var/lib/docker/containers/{id}/{id}-json.log");
        let expected = |id: Option<&String>| Container {
            namespace: "shop".into(),
            pod: "cart-7d9".into(),
            uid: "1b2c-33".into(),
            name: "app".into(),
            restarts: Some(2),
            id: id.cloned(),
        };
        let of = |path: &str, links: &[&str]| {
            let links: Vec<_> = links.iter().map(Path::new).collect();
            Container::of(Path::new(path), &links)
        };
        assert_eq!(of(pods, &[]), Some(expected(None)));
        assert_eq!(of(pods, &[&docker]), Some(expected(Some(&id))));
        assert_eq!(of(&link, &[pods]), Some(expected(Some(&id))));
        let alone = of(&link, &[]).unwrap();
        assert_eq!((alone.pod.as_str(), alone.uid.as_str()), ("cart-7d9", ""));
        assert_eq!((alone.name, alone.id), ("app".into(), Some(id)));
        assert_eq!(of("/var/log/syslog.log", &[]), None);
        assert_eq!(of("/var/log/pods/a_b_c/app/x.log", &[]), None);
    }
}
