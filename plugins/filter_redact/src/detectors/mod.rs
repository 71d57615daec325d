//! The detectors: one file each. A detector looks at a place that a trigger points at, and says what value stands
//! there; what it cannot validate it leaves alone.

mod assignment;
mod authorization;
mod aws_access_key;
mod aws_secret_key;
mod basic_auth;
mod bearer_token;
mod credit_card;
mod email;
mod github_token;
mod google_key;
mod iban;
mod ipv4;
mod ipv6;
mod jwt;
mod kr_business;
mod kr_driver_licence;
mod kr_passport;
mod kr_rrn;
mod phone;
mod private_key;
mod slack_token;
mod stripe_key;
mod url_credentials;
mod us_ssn;

use std::ops::Range;

use crate::text::Text;

pub(crate) use assignment::{follows as assignment_follows, is_placeholder};
pub(crate) use credit_card::is_card;

/// A kind of value and how it is found.
#[derive(Debug)]
pub(crate) struct Detector {
    /// Its name in `detect`, in the metric and in what stands for a value.
    pub(crate) name: &'static str,
    /// What it finds and what it validates, as one sentence.
    pub(crate) about: &'static str,
    /// Whether `default` includes it.
    pub(crate) by_default: bool,
    /// What points at a place where it looks.
    pub(crate) trigger: Trigger,
    /// The value at the place, if there is one.
    pub(crate) find: fn(Text<'_>, usize) -> Option<Range<usize>>,
    /// Which spellings are the same value to a hash or a token.
    pub(crate) same: Same,
}

/// What points at a place where a detector looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// One of these, written exactly so.
    Words(&'static [&'static str]),
    /// One of the words in front of a name and a value.
    Names(&'static [&'static str]),
    /// `@`.
    At,
    /// The first digit of a group; the default detectors look for long numbers.
    Digits,
    /// A group of digits in a number that may be short.
    FewDigits,
    /// `:`, of which texts have many.
    Colon,
}

/// Which spellings are one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Same {
    /// Every byte counts.
    Exact,
    /// Upper and lower case are the same.
    AnyCase,
    /// Only letters and digits count.
    Alphanumeric,
}

/// All of them. Where two claim the same place, the first has it.
pub(crate) static DETECTORS: &[Detector] = &[
    private_key::DETECTOR,
    jwt::DETECTOR,
    aws_access_key::DETECTOR,
    aws_secret_key::DETECTOR,
    github_token::DETECTOR,
    slack_token::DETECTOR,
    google_key::DETECTOR,
    stripe_key::DETECTOR,
    bearer_token::DETECTOR,
    basic_auth::DETECTOR,
    authorization::DETECTOR,
    url_credentials::DETECTOR,
    assignment::DETECTOR,
    email::DETECTOR,
    credit_card::DETECTOR,
    iban::DETECTOR,
    kr_rrn::DETECTOR,
    kr_business::DETECTOR,
    kr_driver_licence::DETECTOR,
    us_ssn::DETECTOR,
    phone::DETECTOR,
    kr_passport::DETECTOR,
    ipv4::DETECTOR,
    ipv6::DETECTOR,
];
