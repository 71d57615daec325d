//! Tests of tag patterns: the truth table taken from a real Fluentd, and a slow second implementation.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(pattern: &str, takes: &[&str], leaves: &[&str]) {
    let compiled = TagPattern::parse(pattern).unwrap();
    for tag in takes {
        assert!(compiled.matches(tag), "{pattern} takes {tag:?}");
    }
    for tag in leaves {
        assert!(!compiled.matches(tag), "{pattern} leaves {tag:?}");
    }
}

#[test]
fn a_star_is_one_part() {
    check("a.*", &["a.b", "a."], &["a", "a.b.c", "xa.b"]);
    check("*", &["a", ""], &["a.b"]);
    check("a*", &["a", "ab"], &["a.b", "ba"]);
    check("*.b", &["a.b", ".b"], &["b", "x.a.b"]);
}

#[test]
fn two_stars_are_any_number_of_parts() {
    check("a.**", &["a", "a.b", "a.b.c", "a."], &["ab", "b.a"]);
    check("**.a", &["a", "x.a", "x.y.a"], &["xa", "a.b"]);
    check("a.**.b", &["a.b", "a.x.b", "a.x.y.b"], &["a.c", "ab", "a"]);
    check("**", &["", "a", "a.b.c"], &[]);
    check("a**", &["a", "ab", "a.b"], &["ba"]);
    check("a**.b", &["a.b", "ax.y.b"], &["ab", "b"]);
    check("***", &["", "a", "a.b"], &[]);
}

#[test]
fn braces_are_alternatives() {
    check("{a,b}.c", &["a.c", "b.c"], &["c", "a,b.c"]);
    check(
        "a.{b,c.**}",
        &["a.b", "a.c", "a.c.d.e"],
        &["a", "a.b.d", "a.cd"],
    );
    check("{a,{b,c}d}.*", &["a.x", "bd.x", "cd.x"], &["b.x", "ad.x"]);
    check("a.{**,b}", &["a.", "a.b.c"], &["a"]);
    // A brace that is never closed is closed at the end.
    check("{a,b", &["a", "b"], &["{a,b"]);
    check("a}", &["a}"], &["a"]);
    check("a{,b}c", &["ac", "abc"], &["a,c"]);
}

#[test]
fn the_rest_is_literal() {
    check("a,b", &["a,b"], &["a", "b"]);
    check("a.b", &["a.b"], &["axb", "a.b.c", ""]);
    check("a.", &["a"], &["a."]);
    check(r"\*.a\{", &["*.a{"], &["x.a{"]);
    check(r"a\", &["a"], &[r"a\"]);
    check("\u{e9}*", &["\u{e9}t\u{e9}"], &["e"]);
}

#[test]
fn an_expression_is_for_the_whole_tag() {
    check(r"/a\.[bc]+/", &["a.b", "a.cb"], &["xa.b", "a.bx"]);
    check("/a|b/", &["a", "b"], &["ab", "ax"]);
}

#[test]
fn several_patterns_are_alternatives_and_except_subtracts() {
    let set = TagSet::parse(&["a.** b", "c"], &["a.x.** c"]).unwrap();
    let taken = ["a", "a.b", "b", "c", "d", "a.x", "a.x.y", "a.xy"].map(|tag| set.matches(tag));
    assert_eq!(taken, [true, true, true, false, false, false, false, true]);
    assert!(!TagSet::default().matches("a"));
}

#[test]
fn what_is_no_pattern_is_refused() {
    let error = |text: &str| TagPattern::parse_list(text).unwrap_err().to_string();
    assert_eq!(error(" "), "a pattern is empty; write \"**\" for every tag");
    assert!(error("/a b/").starts_with("\"/a\" begins a regular expression that never ends"));
    assert!(error("/(/").starts_with("\"/(/\" is not a regular expression: "));
    let long = "a".repeat(2_000);
    assert!(error(&long).starts_with("a pattern of 2000 bytes is too long"));
}

#[test]
fn a_stray_comma_is_noticed() {
    let has = |text: &str| TagPattern::parse(text).unwrap().has_stray_comma();
    assert!(has("a,b") && has("{a,b},c"));
    assert!(!has("{a,b}.c") && !has("/a,b/"));
}

#[test]
fn covering_and_disjoint_patterns_are_recognized() {
    let pattern = |text: &str| TagPattern::parse(text).unwrap();
    let covers = |one: &str, other: &str| pattern(one).covers(&pattern(other));
    assert!(covers("**", "/x/") && covers("a.**", "a.b.*") && covers("a.**", "a"));
    assert!(covers("a.*", "a.b") && covers("{a,b}.*", "{a,b}.*"));
    assert!(!covers("a.**", "ab.*") && !covers("a.*", "a.b.*") && !covers("a.**", "**"));
    let disjoint = |one: &str, other: &str| pattern(one).is_disjoint(&pattern(other));
    assert!(disjoint("a.**", "b.**") && disjoint("a.*", "a.b.c") && disjoint("x", "/y/"));
    assert!(!disjoint("a.**", "a.b.**") && !disjoint("a.**", "**.b") && !disjoint("/x/", "a.*"));
}

/// Fluentd's way through a pattern, by trying everything: slow, but easily seen to be right.
fn slow(
    pattern: &[char],
    dot: bool,
    tag: &str,
    start: bool,
    done: &dyn Fn(&str, bool) -> bool,
) -> bool {
    let rest_of = |text: &str, taken: usize| text.get(taken..).map(str::to_owned);
    let ends: Vec<usize> = (0..=tag.len()).collect();
    match pattern {
        [] => done(tag, start),
        ['*', '*', after @ ..] => {
            if dot && !tag.is_empty() && !tag.starts_with('.') {
                return false;
            }
            let (after, needs_dot) = match after {
                ['.', after @ ..] => (after, true),
                _ => (after, false),
            };
            let here = needs_dot && start && slow(after, false, tag, start, done);
            here || ends.iter().any(|end| {
                let taken = tag.get(..*end).unwrap();
                (!needs_dot || taken.ends_with('.'))
                    && slow(
                        after,
                        false,
                        &rest_of(tag, *end).unwrap(),
                        start && *end == 0,
                        done,
                    )
            })
        }
        _ if dot => {
            tag.starts_with('.') && slow(pattern, false, &rest_of(tag, 1).unwrap(), false, done)
        }
        ['.', after @ ..] => slow(after, true, tag, start, done),
        ['*', after @ ..] => ends.iter().any(|end| {
            !tag.get(..*end).unwrap().contains('.')
                && slow(
                    after,
                    false,
                    &rest_of(tag, *end).unwrap(),
                    start && *end == 0,
                    done,
                )
        }),
        [c, after @ ..] => {
            tag.starts_with(*c) && slow(after, false, &rest_of(tag, 1).unwrap(), false, done)
        }
    }
}

fn is_taken_slowly(pattern: &str, tag: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    slow(&pattern, false, tag, true, &|rest, _| rest.is_empty())
}

proptest! {
    #[test]
    fn agrees_with_the_slow_way(pattern in "[ab.*]{1,8}", tag in "[ab.]{0,8}") {
        let compiled = TagPattern::parse(&pattern).unwrap();
        prop_assert_eq!(compiled.matches(&tag), is_taken_slowly(&pattern, &tag));
    }

    #[test]
    fn braces_agree_with_each_alternative(
        before in "[ab.]{0,2}[ab]", one in "[ab*]{0,3}", other in "[ab*]{0,3}", after in "[ab*]{0,3}", tag in "[ab.]{0,8}",
    ) {
        let compiled = TagPattern::parse(&format!("{before}{{{one},{other}}}c{after}")).unwrap();
        let tag = tag.replacen('b', "c", 1);
        let either = [one, other].iter().any(|part| is_taken_slowly(&format!("{before}{part}c{after}"), &tag));
        prop_assert_eq!(compiled.matches(&tag), either);
    }

    #[test]
    fn covering_and_disjoint_are_never_claimed_wrongly(one in "[ab.*]{1,6}", other in "[ab.*]{1,6}", tag in "[ab.]{0,6}") {
        let (first, second) = (TagPattern::parse(&one).unwrap(), TagPattern::parse(&other).unwrap());
        let (by_first, by_second) = (first.matches(&tag), second.matches(&tag));
        prop_assert!(!first.covers(&second) || !by_second || by_first, "{one} covers {other}");
        prop_assert!(!(first.is_disjoint(&second) && by_first && by_second), "{one} and {other}");
    }

    #[test]
    fn any_text_is_a_pattern_or_refused(text in "\\PC{0,40}", tag in "\\PC{0,40}") {
        if let Ok(pattern) = TagPattern::parse(&text) {
            pattern.matches(&tag);
        }
    }

    #[test]
    fn a_literal_takes_itself_only(tag in "[a-z]{1,5}(\\.[a-z]{1,5}){0,4}", other in "[a-z.]{0,9}") {
        let pattern = TagPattern::parse(&tag).unwrap();
        prop_assert!(pattern.matches(&tag));
        prop_assert_eq!(pattern.matches(&other), tag == other);
    }
}
