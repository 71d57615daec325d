//! `[match.secondary]`: an output inside an output.

use sdk::plugin::Kind;

use super::{Place, Reader, Type};
use crate::config::{
    diagnostic::{Code, Diagnostic},
    draft::Head,
    tree::{Content, Entry},
};

impl Reader<'_> {
    /// The secondary of an output; `None` when it is none, which is complained about.
    pub(super) fn secondary(&mut self, entry: Entry, primary: &Head) -> Option<Head> {
        let Entry {
            mut node, key_span, ..
        } = entry;
        if !matches!(node.content, Content::Table(_)) {
            let message = format!("`secondary` is {}; it must be a table", node.kind());
            let finding = Diagnostic::new(Code::WrongType, key_span, message);
            let help =
                "write [match.secondary] with one bracket, and the `type` of an output in it";
            self.findings.push(finding.help(help));
            return None;
        }
        if ["type", "@type"].iter().all(|key| node.get(key).is_none()) {
            let message = "`type` is missing in `secondary`";
            let finding = Diagnostic::new(Code::MissingKey, node.span.clone(), message);
            let help = "add type = \"...\": an output, such as \"file\"";
            self.findings.push(finding.help(help));
            return None;
        }
        let kind = self.type_of(&mut node, Kind::Output);
        if matches!(kind, Type::Copy | Type::Relabel) {
            let span = node.place("type");
            let message = "a secondary is a single output";
            let finding = Diagnostic::new(Code::NotAllowed, span, message);
            let help = "write the type of an output, such as \"file\"";
            self.findings.push(finding.help(help));
            return None;
        }
        let place = Place {
            kind: "secondary",
            derived_id: format!("{}.secondary", primary.id),
        };
        Some(self.head(node, &place, &kind, &[]))
    }
}
