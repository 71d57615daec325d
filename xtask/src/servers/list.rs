//! THE list of servers: what each is, and what it is started with.

use super::guard;
use std::ops::Range;

/// A server that the tests need.
#[derive(Debug)]
pub(super) struct Server {
    /// Its name in the state file, and the name of its folders.
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) product: Product,
    pub(super) java: Java,
    /// Ports to choose from: below those that the system hands out, so that no test takes one while a server is away.
    pub(super) ports: Range<u16>,
    pub(super) guard: Guard,
    pub(super) set: Set,
}

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Product {
    Elasticsearch,
    OpenSearch,
}

/// The Java that runs a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Java {
    /// The one of the machine, version 17.
    Machine,
    /// Version 25, from a Python package. It lacks some modules.
    Packaged,
    /// Version 25 with every module, which no package registry has: the machine must bring it.
    Whole,
}

/// Who may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// Everybody, over plain HTTP.
    Open,
    /// Over TLS, with a password or a key; the security that comes with Elasticsearch.
    Builtin,
    /// Over TLS, with a password; OpenSearch with its plugin of this version.
    Plugin(&'static str),
}

/// When a server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Set {
    /// In every run of the tests.
    Daily,
    /// In the campaign `servers` only.
    Campaign,
}

/// Elasticsearch has a long-term release line that runs on Java 17; OpenSearch 3 needs a newer one.
pub(super) const SERVERS: &[Server] = &[
    Server {
        name: "elasticsearch",
        version: "8.19.21",
        product: Product::Elasticsearch,
        java: Java::Machine,
        ports: 29200..29220,
        guard: Guard::Open,
        set: Set::Daily,
    },
    Server {
        name: "opensearch",
        version: "3.8.0",
        product: Product::OpenSearch,
        java: Java::Packaged,
        ports: 29220..29240,
        guard: Guard::Open,
        set: Set::Daily,
    },
    Server {
        name: "elasticsearch-guarded",
        version: "8.19.21",
        product: Product::Elasticsearch,
        java: Java::Machine,
        ports: 29240..29260,
        guard: Guard::Builtin,
        set: Set::Daily,
    },
    Server {
        name: "elasticsearch-9",
        version: "9.5.3",
        product: Product::Elasticsearch,
        java: Java::Whole,
        ports: 29260..29280,
        guard: Guard::Open,
        set: Set::Campaign,
    },
    Server {
        name: "elasticsearch-9-guarded",
        version: "9.5.3",
        product: Product::Elasticsearch,
        java: Java::Whole,
        ports: 29280..29300,
        guard: Guard::Builtin,
        set: Set::Campaign,
    },
    Server {
        name: "opensearch-2",
        version: "2.19.6",
        product: Product::OpenSearch,
        java: Java::Machine,
        ports: 29300..29320,
        guard: Guard::Open,
        set: Set::Campaign,
    },
    // The plugin of a newer version is in no registry.
    Server {
        name: "opensearch-2-guarded",
        version: "2.19.4",
        product: Product::OpenSearch,
        java: Java::Machine,
        ports: 29320..29340,
        guard: Guard::Plugin("2.19.4.0"),
        set: Set::Campaign,
    },
];

impl Server {
    /// Settings besides those that all share.
    pub(super) fn settings(&self) -> Vec<&'static str> {
        match (self.guard, self.product) {
            (Guard::Open, Product::Elasticsearch) => vec!["xpack.security.enabled=false"],
            (Guard::Open, Product::OpenSearch) => Vec::new(),
            (Guard::Builtin | Guard::Plugin(_), _) => guard::settings(self.product),
        }
    }
}

impl Product {
    /// What its distribution is called, and its start script.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Elasticsearch => "elasticsearch",
            Self::OpenSearch => "opensearch",
        }
    }

    /// The group of its distribution in the Maven registry.
    pub(super) fn group(self) -> &'static str {
        match self {
            Self::Elasticsearch => "org.elasticsearch.distribution.integ-test-zip",
            Self::OpenSearch => "org.opensearch.distribution.integ-test-zip",
        }
    }

    /// What its environment variables begin with.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Elasticsearch => "ES",
            Self::OpenSearch => "OPENSEARCH",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_servers_have_a_name_or_a_port_in_common() {
        for (place, one) in SERVERS.iter().enumerate() {
            for other in SERVERS.iter().skip(place + 1) {
                assert_ne!(one.name, other.name);
                assert!(one.ports.end <= other.ports.start, "{}", other.name);
            }
        }
    }
}
