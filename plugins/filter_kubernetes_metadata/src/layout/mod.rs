//! What is written about a container: top-level keys and their encoded values.

mod ecs;
mod fluentd;
mod otel;
mod tree;

use crate::{
    config::Fields,
    dedot::dedot,
    pod::{Container, Known, Words},
    settings::Settings,
};

/// Top-level keys with their encoded values.
pub(crate) type Additions = Vec<(String, Vec<u8>)>;

/// Everything that may be written, chosen and renamed as the parameters say.
struct Facts<'a> {
    known: &'a Known,
    /// As the pod names it; empty where the record does not tell.
    container_name: &'a str,
    container: Option<&'a Container>,
    labels: Words,
    annotations: Words,
    namespace_id: Option<&'a str>,
    namespace_labels: Words,
    namespace_annotations: Words,
    owners: &'a [(String, String)],
    master_url: Option<&'a str>,
}

/// What is written into records of this container.
pub(crate) fn additions(settings: &Settings, known: &Known, container_name: &str) -> Additions {
    let pod = &known.pod;
    let labels = |words: &Words| {
        if settings.skip_labels {
            Words::new()
        } else {
            dedot(words, &settings.dedot)
        }
    };
    let annotations = |words: &Words| dedot(&settings.wanted_annotations(words), &settings.dedot);
    let namespace = known
        .namespace
        .as_deref()
        .filter(|_| !settings.skip_namespace);
    let facts = Facts {
        known,
        container_name,
        container: pod
            .container(container_name)
            .filter(|_| !settings.skip_container),
        labels: labels(&pod.labels),
        annotations: annotations(&pod.annotations),
        namespace_id: namespace.map(|namespace| namespace.uid.as_str()),
        namespace_labels: namespace.map_or_else(Words::new, |namespace| labels(&namespace.labels)),
        namespace_annotations: namespace
            .map_or_else(Words::new, |namespace| annotations(&namespace.annotations)),
        owners: if settings.owners { &pod.owners } else { &[] },
        master_url: settings.master_url.as_deref(),
    };
    match settings.fields {
        Fields::Fluentd => fluentd::write(&facts),
        Fields::Ecs => ecs::write(&facts),
        Fields::Otel => otel::write(&facts),
    }
}

/// What runs a pod and its name, as people know it: the deployment rather than its replica set, the cron job rather
/// than the job.
fn workload(owners: &[(String, String)], labels: &Words) -> Option<(&'static str, String)> {
    let (kind, name) = owners.first()?;
    let without_last = || {
        name.rsplit_once('-')
            .map_or_else(|| name.clone(), |(front, _)| front.to_owned())
    };
    Some(match kind.as_str() {
        "ReplicaSet" if labels.contains_key("pod-template-hash") => ("deployment", without_last()),
        "ReplicaSet" => ("replicaset", name.clone()),
        "StatefulSet" => ("statefulset", name.clone()),
        "DaemonSet" => ("daemonset", name.clone()),
        "Job" => ("job", name.clone()),
        "CronJob" => ("cronjob", name.clone()),
        _ => return None,
    })
}
