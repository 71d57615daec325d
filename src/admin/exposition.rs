//! The two text formats of metrics: OpenMetrics 1.0 as encoded, and the older Prometheus format 0.0.4.

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Puts more series before the end of an `OpenMetrics` exposition.
pub(super) fn insert(openmetrics: &mut String, series: &str) {
    const END: &str = "# EOF\n";
    let end = openmetrics.ends_with(END);
    if end {
        openmetrics.truncate(openmetrics.len() - END.len());
    }
    openmetrics.push_str(series);
    if end {
        openmetrics.push_str(END);
    }
}

/// Chooses the format that `accept` asks for; returns its content type and the text in it.
pub(super) fn negotiate(accept: &str, openmetrics: String) -> (&'static str, String) {
    if accept.contains("application/openmetrics-text") {
        (OPENMETRICS, openmetrics)
    } else {
        (PROMETHEUS, to_prometheus(&openmetrics))
    }
}

/// In the older format a counter's `TYPE` and `HELP` carry the `_total` of its samples, and there are
/// neither `UNIT` nor `EOF` lines.
fn to_prometheus(openmetrics: &str) -> String {
    let mut out = String::with_capacity(openmetrics.len() + 1024);
    let mut pending_help: Option<(&str, &str)> = None;
    for line in openmetrics.lines() {
        if let Some((name, help)) = line
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '))
        {
            pending_help = Some((name, help));
            continue;
        }
        if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, help)) = pending_help.take().filter(|(of, _)| *of == name) {
                push_line(&mut out, &["# HELP ", name, suffix, " ", help]);
            }
            push_line(&mut out, &["# TYPE ", name, suffix, " ", kind]);
            continue;
        }
        if !line.starts_with("# ") {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

fn push_line(out: &mut String, parts: &[&str]) {
    out.extend(parts.iter().copied().chain(["\n"]));
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP weir_a Things.\n# TYPE weir_a counter\nweir_a_total{x=\"1\"} 2\n\
                        # HELP weir_b Other.\n# TYPE weir_b gauge\nweir_b 3\n# EOF\n";

    #[test]
    fn openmetrics_goes_out_as_it_is() {
        let (content_type, body) = negotiate(
            "application/openmetrics-text;version=1.0.0",
            TEXT.to_owned(),
        );
        assert_eq!((content_type, body.as_str()), (OPENMETRICS, TEXT));
    }

    #[test]
    fn the_older_format_names_counters_with_total() {
        let (content_type, body) = negotiate("*/*", TEXT.to_owned());
        assert_eq!(content_type, PROMETHEUS);
        assert_eq!(
            body,
            "# HELP weir_a_total Things.\n# TYPE weir_a_total counter\nweir_a_total{x=\"1\"} 2\n\
             # HELP weir_b Other.\n# TYPE weir_b gauge\nweir_b 3\n"
        );
    }
}
