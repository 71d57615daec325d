//! Times against what Ruby reads.

use std::str::FromStr;

use proptest::prelude::*;

use super::*;

fn at(rfc_3339: &str) -> Time {
    Time::from_str(rfc_3339).unwrap()
}

fn clock(now: &str) -> Clock {
    Clock::fixed(at(now)).0
}

fn times(time_type: Option<TimeType>, format: Option<&str>, zone: &str) -> Times {
    let wanted = Wanted {
        time_type,
        format,
        fallbacks: &[],
        zone: zone.parse().unwrap(),
    };
    Times::compile(&wanted, &clock("2026-01-10T12:00:00Z")).unwrap()
}

#[track_caller]
fn check(format: &str, text: &str, expected: &str) {
    let read = times(None, Some(format), "UTC").read(text.as_bytes());
    assert_eq!(read, Some(at(expected)), "{format} of {text}");
}

#[test]
fn directives_are_those_of_strptime() {
    check(
        "%Y-%m-%dT%H:%M:%S.%L%z",
        "2024-02-29T23:59:59.123+0900",
        "2024-02-29T14:59:59.123Z",
    );
    check(
        "%Y-%m-%dT%H:%M:%S.%NZ",
        "2024-02-29T23:59:59.123456789Z",
        "2024-02-29T23:59:59.123456789Z",
    );
    check(
        "%Y-%m-%dT%H:%M:%S.%6N%:z",
        "2024-02-29T23:59:59.123456-03:30",
        "2024-03-01T03:29:59.123456Z",
    );
    check(
        "%d/%b/%Y:%H:%M:%S %z",
        "10/Oct/2000:13:55:36 -0700",
        "2000-10-10T20:55:36Z",
    );
    check(
        "%a %b %e %T %Y",
        "Thu Mar  7 04:05:06 2024",
        "2024-03-07T04:05:06Z",
    );
    check(
        "%B %-d, %Y %l:%M %p",
        "February 3, 2021 12:07 am",
        "2021-02-03T00:07:00Z",
    );
    check("%y%m%d %H%M%S", "991231 010203", "1999-12-31T01:02:03Z");
    check("%j %Y", "366 2024", "2024-12-31T00:00:00Z");
    check("%s.%L", "1700000000.25", "2023-11-14T22:13:20.25Z");
    check("%Q", "1700000000250", "2023-11-14T22:13:20.25Z");
    check("%s", "-1", "1969-12-31T23:59:59Z");
    check(
        "%F %T %Z",
        "2024-07-01 12:00:00 Asia/Seoul",
        "2024-07-01T03:00:00Z",
    );
    check(
        "%F %T %Z",
        "2024-07-01 12:00:00 PDT",
        "2024-07-01T19:00:00Z",
    );
    check(
        "%iso8601",
        "2024-07-01T12:00:00+02:00",
        "2024-07-01T10:00:00Z",
    );
    check("100%% %Y", "100% 2024", "2024-01-01T00:00:00Z");
}

#[test]
fn what_is_no_such_time_is_refused() {
    let refused = [
        ("%Y-%m-%d", "2023-02-29"),
        ("%Y-%m-%d", "2023-13-01"),
        ("%H:%M", "24:00"),
        ("%Y", "2024 and more"),
        ("%Y", ""),
        ("%b", "Foo"),
        ("%j %Y", "366 2023"),
        ("%I %p", "13 pm"),
    ];
    for (format, text) in refused {
        assert_eq!(
            times(None, Some(format), "UTC").read(text.as_bytes()),
            None,
            "{text}"
        );
    }
    assert!(Format::compile("%K").unwrap_err().contains("%K"));
    assert!(Format::compile("%Y %").is_err());
}

#[test]
fn a_date_without_a_year_is_the_latest_that_is_not_far_ahead() {
    check("%b %d %H:%M:%S", "Jan 10 11:00:00", "2026-01-10T11:00:00Z");
    check("%b %d %H:%M:%S", "Dec 31 23:59:59", "2025-12-31T23:59:59Z");
    check("%b %d %H:%M:%S", "Jan 11 01:00:00", "2026-01-11T01:00:00Z");
    check("%b %d %H:%M:%S", "Feb 29 01:00:00", "2024-02-29T01:00:00Z");
    check("%H:%M:%S", "13:00:00", "2026-01-10T13:00:00Z");
}

#[test]
fn the_zone_counts_where_the_text_names_none() {
    let read = |zone: &str, text: &str| times(None, None, zone).read(text.as_bytes());
    assert_eq!(
        read("+09:00", "2024-07-01 12:00:00"),
        Some(at("2024-07-01T03:00:00Z"))
    );
    assert_eq!(
        read("Europe/Berlin", "2024-07-01 12:00:00"),
        Some(at("2024-07-01T10:00:00Z"))
    );
    assert_eq!(
        read("Europe/Berlin", "2024-01-01 12:00:00"),
        Some(at("2024-01-01T11:00:00Z"))
    );
    assert_eq!(
        read("Europe/Berlin", "2024-01-01 12:00:00Z"),
        Some(at("2024-01-01T12:00:00Z"))
    );
}

#[test]
fn numbers_are_seconds() {
    let read = |kind, text: &str| times(Some(kind), None, "UTC").read(text.as_bytes());
    let time = |secs, nanos| Some(Time { secs, nanos });
    assert_eq!(
        read(TimeType::Unixtime, "1700000000"),
        time(1_700_000_000, 0)
    );
    assert_eq!(
        read(TimeType::Unixtime, "1700000000.9"),
        time(1_700_000_000, 0)
    );
    assert_eq!(
        read(TimeType::Float, "1700000000.000000001"),
        time(1_700_000_000, 1)
    );
    assert_eq!(read(TimeType::Float, "-1.25"), time(-2, 750_000_000));
    assert_eq!(read(TimeType::Float, "now"), None);
    assert_eq!(
        times(Some(TimeType::Float), None, "UTC").number(1.5),
        time(1, 500_000_000)
    );
    assert_eq!(times(Some(TimeType::String), None, "UTC").number(1.5), None);
}

#[test]
fn the_size_of_a_number_tells_its_unit_unless_the_type_is_written() {
    let times = times(None, None, "UTC");
    let expected = Some(at("2023-11-14T22:13:20.5Z"));
    assert_eq!(times.number(1_700_000_000.5), expected);
    for number in [
        1_700_000_000_500,
        1_700_000_000_500_000,
        1_700_000_000_500_000_000,
    ] {
        assert_eq!(times.integer(number), expected);
        assert_eq!(times.read(number.to_string().as_bytes()), expected);
    }
    assert_eq!(
        times.integer(i64::MIN),
        Some(Time {
            secs: -9_223_372_037,
            nanos: 145_224_192
        })
    );
}

#[test]
fn fallbacks_are_tried_in_order() {
    let wanted = Wanted {
        time_type: Some(TimeType::Mixed),
        format: Some("%d/%b/%Y"),
        fallbacks: &["%iso8601".to_owned(), "unixtime".to_owned()],
        zone: Zone::UTC,
    };
    let times = Times::compile(&wanted, &Clock::system()).unwrap();
    assert_eq!(times.read(b"01/Jan/2024"), Some(at("2024-01-01T00:00:00Z")));
    assert_eq!(
        times.read(b"2024-01-01T00:00:00Z"),
        Some(at("2024-01-01T00:00:00Z"))
    );
    assert_eq!(times.read(b"1"), Some(Time::from_secs(1)));
    assert_eq!(times.read(b"x"), None);
}

proptest! {
    #[test]
    fn any_second_is_read_back(secs in -30_000_000_000_i64..200_000_000_000, nanos in 0_u32..1_000_000_000) {
        let time = Time { secs, nanos };
        let mut text = Vec::new();
        sdk::json::write_time(&mut text, time);
        prop_assert_eq!(times(None, None, "Asia/Seoul").read(&text), Some(time));
    }

    #[test]
    fn no_text_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..40), format in "(%[a-zA-Z]|[ :]){0,6}") {
        for zone in ["UTC", "Europe/Berlin"] {
            let _any = times(None, None, zone).read(&text);
            if Format::compile(&format).is_ok() {
                let _any = times(None, Some(&format), zone).read(&text);
            }
        }
    }
}
