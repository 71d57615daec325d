//! Filters: one event in, the same event kept, changed, dropped or complained about.

use crate::event::Edit;

/// Changes events. Shared by all connections, so it holds no state and does no I/O.
///
/// ```
/// use sdk::{event::{Edit, FieldPath}, filter::Filter};
///
/// /// Drops every event that has no `message`.
/// struct NeedsMessage(FieldPath);
///
/// impl Filter for NeedsMessage {
///     fn filter(&self, edit: &mut Edit<'_>) {
///         if edit.get(&self.0).is_none() {
///             edit.drop_event();
///         }
///     }
/// }
/// ```
pub trait Filter: Send + Sync {
    /// Looks at one event. To keep it, do nothing.
    fn filter(&self, edit: &mut Edit<'_>);
}
