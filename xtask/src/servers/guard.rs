//! What keeps strangers out of a server: TLS, one user who may do everything, and what the distributions lack for it.

use super::{
    Places,
    account::Account,
    install::download,
    list::{Guard, Product, Server},
    make,
};
use crate::{certificates, process};
use anyhow::{Context as _, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The security of Elasticsearch keeps its keys and roles in an index with text analysis that is not in the distribution for
/// tests. This plugin has it.
const SHIM: &str = include_str!("shim/ShimPlugin.java");
/// The name of the plugin, and of its folder.
const SHIM_NAME: &str = "analysis-shim";
/// The Maven registry has the plugin of OpenSearch under this name.
const PLUGIN: &str = "org.opensearch.plugin:opensearch-security";

/// What one needs to come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) ca_file: PathBuf,
    pub(super) user: String,
    pub(super) password: String,
}

/// Takes no request above 2 MB, so that tests see how that is answered.
const SMALL: &str = "http.max_content_length=2mb";

/// Settings of a guarded server.
pub(super) fn settings(product: Product) -> Vec<&'static str> {
    match product {
        Product::Elasticsearch => vec![
            SMALL,
            "xpack.security.enabled=true",
            "xpack.security.autoconfiguration.enabled=false",
            "xpack.security.http.ssl.enabled=true",
            "xpack.security.http.ssl.key=server.key",
            "xpack.security.http.ssl.certificate=server.crt",
            "xpack.security.http.ssl.certificate_authorities=ca.crt",
        ],
        Product::OpenSearch => vec![
            SMALL,
            "plugins.security.allow_default_init_securityindex=true",
            "plugins.security.audit.type=noop",
            "plugins.security.authcz.admin_dn=CN=admin",
            "plugins.security.nodes_dn=CN=localhost",
            "plugins.security.restapi.roles_enabled=all_access",
            "plugins.security.ssl.http.clientauth_mode=OPTIONAL",
            "plugins.security.ssl.http.enabled=true",
            "plugins.security.ssl.http.pemcert_filepath=server.crt",
            "plugins.security.ssl.http.pemkey_filepath=server.key",
            "plugins.security.ssl.http.pemtrustedcas_filepath=ca.crt",
            "plugins.security.ssl.transport.enforce_hostname_verification=false",
            "plugins.security.ssl.transport.pemcert_filepath=server.crt",
            "plugins.security.ssl.transport.pemkey_filepath=server.key",
            "plugins.security.ssl.transport.pemtrustedcas_filepath=ca.crt",
        ],
    }
}

/// What is added to a distribution.
pub(super) fn added(server: &Server) -> String {
    match server.guard {
        Guard::Open => String::new(),
        Guard::Builtin => SHIM.to_owned(),
        Guard::Plugin(version) => format!("{PLUGIN} {version}"),
    }
}

/// Adds it to the unpacked distribution in `inside`.
pub(super) fn add(
    server: &Server,
    inside: &Path,
    places: &Places,
    account: Option<Account>,
) -> Result<()> {
    let java = places.java(server.java)?;
    match server.guard {
        Guard::Open => Ok(()),
        Guard::Builtin => add_shim(server, inside, &java),
        Guard::Plugin(version) => {
            let zip = download(PLUGIN, version, &places.target.join("download"))?;
            // The account of the servers need not reach the folder of downloads.
            let near = inside.join("plugin.zip");
            fs::copy(&zip, &near).with_context(|| format!("copy {}", zip.display()))?;
            fs::remove_file(&zip).with_context(|| format!("remove {}", zip.display()))?;
            if let Some(account) = account {
                account.own(inside)?;
            }
            let mut install = Command::new(inside.join("bin/opensearch-plugin"));
            install.args(["install", "--batch"]);
            install.arg(format!("file://{}", near.display()));
            tool(&mut install, server, inside, &java, account)?;
            fs::remove_file(&near).with_context(|| format!("remove {}", near.display()))
        }
    }
}

/// Compiles the plugin against the server's own libraries.
fn add_shim(server: &Server, inside: &Path, java: &Path) -> Result<()> {
    let folder = inside.join("plugins").join(SHIM_NAME);
    let classes = folder.join("classes");
    make(&classes)?;
    let source = folder.join("ShimPlugin.java");
    fs::write(&source, SHIM).with_context(|| format!("write {}", source.display()))?;
    let mut compile = Command::new(java.join("bin/javac"));
    compile.arg("-cp").arg(inside.join("lib/*"));
    compile.arg("-d").arg(&classes).arg(&source);
    process::run(&mut compile).context("compile the plugin of the tests")?;
    let mut pack = Command::new(java.join("bin/jar"));
    pack.arg("cf").arg(folder.join("shim.jar"));
    process::run(pack.arg("-C").arg(&classes).arg("."))?;
    // Anything else than its own files in its folder makes the server refuse the plugin.
    fs::remove_dir_all(&classes)?;
    fs::remove_file(&source)?;
    let version = server.version;
    let descriptor = format!(
        "description=text analysis for tests\nname={SHIM_NAME}\nversion={version}\n\
         elasticsearch.version={version}\njava.version=17\nclassname=ShimPlugin\n"
    );
    fs::write(folder.join("plugin-descriptor.properties"), descriptor)
        .context("describe the plugin of the tests")
}

/// Makes certificates and the user in the configuration of a node; what one needs to come in.
pub(super) fn prepare(
    server: &Server,
    node: &Path,
    places: &Places,
    account: Option<Account>,
) -> Result<Option<Login>> {
    if server.guard == Guard::Open {
        return Ok(None);
    }
    let config = node.join("config");
    certificates::authority(&config, "weir-test")?;
    let names = Some("DNS:localhost,IP:127.0.0.1");
    certificates::issue(&config, "server", "/CN=localhost", names)?;
    // OpenSearch begins with a user of its own.
    let mut login = Login {
        ca_file: config.join("ca.crt"),
        user: "admin".into(),
        password: "admin".into(),
    };
    if server.guard == Guard::Builtin {
        (login.user, login.password) = ("weir".into(), "weirpass".into());
        if let Some(account) = account {
            account.own(node)?;
        }
        let mut add = Command::new(places.distribution(server).join("bin/elasticsearch-users"));
        add.args(["useradd", &login.user, "-p", &login.password]);
        add.args(["-r", "superuser"]);
        tool(&mut add, server, node, &places.java(server.java)?, account)?;
    }
    Ok(Some(login))
}

/// Runs a tool of the distribution with the configuration in `home`, under the account of the servers.
fn tool(
    command: &mut Command,
    server: &Server,
    home: &Path,
    java: &Path,
    account: Option<Account>,
) -> Result<()> {
    command
        .env_clear()
        .envs(super::start::environment(server, home, java))
        .current_dir(home);
    if let Some(account) = account {
        account.run(command);
    }
    process::quiet(command)
}
