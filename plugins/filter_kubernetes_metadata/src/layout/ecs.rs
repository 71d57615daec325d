//! The names of the Elastic Common Schema and of Beats: `kubernetes.pod.name`, `container.image.name`.

use super::{Additions, Facts, tree::Tree, workload};

pub(super) fn write(facts: &Facts<'_>) -> Additions {
    let pod = &facts.known.pod;
    let own = facts.container;
    let named = |name: Option<&str>| {
        let mut tree = Tree::default();
        tree.text("name", name);
        tree
    };
    let mut container = Tree::default();
    container.text("id", own.and_then(|own| own.id.as_deref()));
    container.tree("image", &named(own.and_then(|own| own.image.as_deref())));

    let mut pod_tree = named(Some(&pod.name));
    pod_tree.text("uid", Some(&pod.uid));
    pod_tree.text("ip", pod.ip.as_deref());
    let mut kubernetes = Tree::default();
    kubernetes.tree("pod", &pod_tree);
    kubernetes.text("namespace", Some(&pod.namespace));
    kubernetes.text("namespace_uid", facts.namespace_id);
    kubernetes.tree("container", &named(Some(facts.container_name)));
    kubernetes.tree("node", &named(pod.node.as_deref()));
    if let Some((kind, name)) = workload(&pod.owners, &pod.labels) {
        kubernetes.tree(kind, &named(Some(&name)));
    }
    kubernetes.words("labels", &facts.labels);
    kubernetes.words("annotations", &facts.annotations);
    kubernetes.words("namespace_labels", &facts.namespace_labels);
    kubernetes.words("namespace_annotations", &facts.namespace_annotations);

    let mut additions: Additions = [
        container.addition("container"),
        kubernetes.addition("kubernetes"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some(url) = facts.master_url {
        let mut api = Tree::default();
        api.text("url", Some(url));
        let mut cluster = Tree::default();
        cluster.tree("cluster", &api);
        additions.extend(cluster.addition("orchestrator"));
    }
    additions
}
