//! `weir check --connect`: what is at the server, and what would be put there.

use std::fmt::Write as _;

use super::{Names, Setup, step::Step};
use crate::hosts::{Hosts, NoHost};

impl Setup {
    /// What is there and what would be put there, a line each. Changes nothing.
    ///
    /// # Errors
    /// Nobody answers, or a file is no template.
    pub(crate) async fn describe(&self, hosts: &Hosts) -> Result<Vec<String>, NoHost> {
        let mut said = Vec::new();
        let shared = Names::default();
        for names in std::iter::once(&shared).chain(&self.known) {
            for step in self.all_steps(hosts, names).await? {
                let state = match step.is_there(hosts).await? {
                    true if step.overwrites => "is there and would be replaced",
                    true => "is there",
                    false => "would be put there",
                };
                let mut line = format!("{} {state}", step.what);
                if !step.is_optional && state != "is there" {
                    write!(line, ": {}", step.body).ok();
                }
                said.push(line);
            }
        }
        Ok(said)
    }

    async fn all_steps(&self, hosts: &Hosts, names: &Names) -> Result<Vec<Step>, NoHost> {
        if names.target.is_empty() {
            return self.plan.shared_steps().await.map_err(NoHost::here);
        }
        let (is_opensearch, has_cycle) = self.cycle(hosts).await?;
        let mut steps = Vec::new();
        if has_cycle {
            steps = self.plan.policy_steps(names, is_opensearch);
        }
        let more = self
            .plan
            .target_steps(names, has_cycle, is_opensearch)
            .await;
        steps.extend(more.map_err(NoHost::here)?);
        Ok(steps)
    }
}
