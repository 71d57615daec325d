//! Pods and namespaces, reduced to what a record may be told about them.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ApiResource, DynamicObject, Object, PartialObjectMeta};
use serde::{Deserialize, Serialize};

/// A pod as the API server sends it; other fields are skipped while it is read.
pub(crate) type PodObject = Object<PodSpec, PodStatus>;
/// A namespace as the API server sends it; only its metadata is read.
pub(crate) type NamespaceObject = PartialObjectMeta<DynamicObject>;

/// The wish of a pod.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodSpec {
    node_name: Option<String>,
    containers: Vec<ContainerSpec>,
    init_containers: Vec<ContainerSpec>,
    ephemeral_containers: Vec<ContainerSpec>,
}

/// The wish of a container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ContainerSpec {
    name: String,
    image: Option<String>,
}

/// The state of a pod.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodStatus {
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

/// The state of a container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ContainerStatus {
    name: String,
    image: Option<String>,
    #[serde(rename = "imageID")]
    image_id: Option<String>,
    #[serde(rename = "containerID")]
    container_id: Option<String>,
}

/// Names and values of labels or annotations.
pub(crate) type Words = BTreeMap<String, String>;

/// What is known of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Pod {
    pub(crate) uid: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) node: Option<String>,
    pub(crate) ip: Option<String>,
    pub(crate) labels: Words,
    /// All of them while it is judged whether the pod is excluded; what is written is chosen later.
    pub(crate) annotations: Words,
    /// Kind and name.
    pub(crate) owners: Vec<(String, String)>,
    pub(crate) containers: Vec<Container>,
    /// The uid by which the kubelet names the directory of a static pod.
    pub(crate) config_hash: Option<String>,
}

/// What is known of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: Option<String>,
    pub(crate) image_id: Option<String>,
    /// Without the name of the runtime before it.
    pub(crate) id: Option<String>,
}

/// What is known of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Namespace {
    pub(crate) uid: String,
    pub(crate) labels: Words,
    pub(crate) annotations: Words,
}

/// A pod together with its namespace. A new one is made when either changes, so that the pointer tells whether what was
/// made of it is still right.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) pod: Pod,
    pub(crate) namespace: Option<Arc<Namespace>>,
}

/// How pods are addressed.
pub(crate) fn pods() -> ApiResource {
    core("Pod", "pods")
}

/// How namespaces are addressed.
pub(crate) fn namespaces() -> ApiResource {
    core("Namespace", "namespaces")
}

fn core(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: String::new(),
        version: "v1".to_owned(),
        api_version: "v1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

impl Pod {
    /// Takes what is wanted; `None` for an object without a uid.
    pub(crate) fn of(object: PodObject) -> Option<Self> {
        let ObjectMeta {
            uid,
            name,
            namespace,
            labels,
            annotations,
            owner_references,
            ..
        } = object.metadata;
        let annotations = annotations.unwrap_or_default();
        let status = object.status.unwrap_or_default();
        let PodSpec {
            node_name,
            containers,
            init_containers,
            ephemeral_containers,
        } = object.spec;
        let statuses: Vec<ContainerStatus> = [
            status.container_statuses,
            status.init_container_statuses,
            status.ephemeral_container_statuses,
        ]
        .concat();
        let specs = [containers, init_containers, ephemeral_containers].concat();
        Some(Self {
            uid: uid?,
            name: name?,
            namespace: namespace.unwrap_or_default(),
            node: node_name,
            ip: status.pod_ip,
            labels: labels.unwrap_or_default(),
            config_hash: annotations.get("kubernetes.io/config.hash").cloned(),
            annotations,
            owners: owner_references
                .unwrap_or_default()
                .into_iter()
                .map(|owner| (owner.kind, owner.name))
                .collect(),
            containers: specs
                .into_iter()
                .map(|spec| Container::of(spec, &statuses))
                .collect(),
        })
    }

    /// The container of this name.
    pub(crate) fn container(&self, name: &str) -> Option<&Container> {
        self.containers
            .iter()
            .find(|container| container.name == name)
    }
}

impl Container {
    fn of(spec: ContainerSpec, statuses: &[ContainerStatus]) -> Self {
        let status = statuses.iter().find(|status| status.name == spec.name);
        let id = status.and_then(|status| status.container_id.as_deref());
        let image = status.and_then(|status| status.image.clone());
        Self {
            image: image.filter(|image| !image.is_empty()).or(spec.image),
            image_id: status.and_then(|status| status.image_id.clone()),
            id: id
                .map(|id| id.split_once("://").map_or(id, |(_, bare)| bare))
                .map(str::to_owned),
            name: spec.name,
        }
    }
}

impl Namespace {
    /// Takes what is wanted, with its name.
    pub(crate) fn of(object: NamespaceObject) -> Option<(String, Self)> {
        let meta = object.metadata;
        let namespace = Self {
            uid: meta.uid?,
            labels: meta.labels.unwrap_or_default(),
            annotations: meta.annotations.unwrap_or_default(),
        };
        Some((meta.name?, namespace))
    }
}
