//! Detector `stripe_key`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::text::{Text, is_word};

pub(super) const DETECTOR: Detector = Detector {
    name: "stripe_key",
    about: "Secret and restricted keys of Stripe and the secrets of its webhooks: their prefixes and lengths. Keys \
            that may be published (`pk_`) are left alone.",
    by_default: true,
    trigger: Trigger::Words(&["sk_live_", "rk_live_", "sk_test_", "rk_test_", "whsec_"]),
    find,
    same: Same::Exact,
};

/// Longest key behind its prefix, in bytes.
const LONGEST: usize = 256;

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let (prefix, shortest) = if text.at(at) == b'w' {
        (6, 24)
    } else {
        (8, 16)
    };
    let end = text.end_of(at + prefix, LONGEST, |byte| {
        byte.is_ascii_alphanumeric() || (prefix == 6 && matches!(byte, b'+' | b'/' | b'='))
    });
    let fits = end - at - prefix >= shortest && text.begins(at, is_word);
    fits.then_some(at..end)
}
