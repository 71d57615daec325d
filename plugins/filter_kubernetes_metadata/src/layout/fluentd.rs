//! The names of Fluentd's filter: `kubernetes.pod_name`, `docker.container_id`.

use sdk::msgpack::write;

use super::{Additions, Facts, tree::Tree};

pub(super) fn write(facts: &Facts<'_>) -> Additions {
    let pod = &facts.known.pod;
    let container = facts.container;
    let mut docker = Tree::default();
    docker.text("container_id", container.and_then(|own| own.id.as_deref()));
    let mut kubernetes = Tree::default();
    kubernetes.text("container_name", Some(facts.container_name));
    kubernetes.text("namespace_name", Some(&pod.namespace));
    kubernetes.text("pod_name", Some(&pod.name));
    kubernetes.text(
        "container_image",
        container.and_then(|own| own.image.as_deref()),
    );
    kubernetes.text(
        "container_image_id",
        container.and_then(|own| own.image_id.as_deref()),
    );
    kubernetes.text("pod_id", Some(&pod.uid));
    kubernetes.text("pod_ip", pod.ip.as_deref());
    kubernetes.text("host", pod.node.as_deref());
    kubernetes.words("labels", &facts.labels);
    kubernetes.words("annotations", &facts.annotations);
    kubernetes.text("master_url", facts.master_url);
    kubernetes.text("namespace_id", facts.namespace_id);
    kubernetes.words("namespace_labels", &facts.namespace_labels);
    kubernetes.words("namespace_annotations", &facts.namespace_annotations);
    if !facts.owners.is_empty() {
        kubernetes.value("ownerrefs", |out| owners(facts.owners, out));
    }
    [docker.addition("docker"), kubernetes.addition("kubernetes")]
        .into_iter()
        .flatten()
        .collect()
}

fn owners(owners: &[(String, String)], out: &mut Vec<u8>) {
    write::array(out, u32::try_from(owners.len()).unwrap_or(u32::MAX));
    for (kind, name) in owners {
        let mut owner = Tree::default();
        owner.text("kind", Some(kind));
        owner.text("name", Some(name));
        owner.write(out);
    }
}
