//! Prometheus' text format, converted from the OpenMetrics output of `prometheus-client`, because tools such as
//! `promtool` read only the former. Must never change a value.

use prometheus_client::registry::Registry;

/// The media type of the output.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes all metrics of the registry.
pub(super) fn encode(registry: &Registry) -> String {
    let mut text = String::new();
    // This fails only if a string can't grow.
    let _ = prometheus_client::encoding::text::encode(&mut text, registry);
    from_open_metrics(&text)
}

/// Converts OpenMetrics. There, a counter has a name without `_total`, and its one sample a name with it, while here
/// both have it. Units and the end mark are left out.
fn from_open_metrics(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let is_counter = |line: &str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        let belongs_to_counter = is_counter(line)
            || (line.starts_with("# HELP ") && lines.peek().is_some_and(|next| is_counter(next)));
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some(mark), Some(what), Some(name), Some(rest)) if belongs_to_counter => {
                out.push_str(&format!("{mark} {what} {name}_total {rest}"));
            }
            // Without labels there are no braces.
            _ => out.push_str(&line.replacen("{} ", " ", 1)),
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_has_one_name_everywhere() {
        let open = "# HELP a_b Some counter.\n# TYPE a_b counter\na_b_total{c=\"d counter\"} 1\n# HELP g Some gauge.\n\
                    # TYPE g gauge\n# UNIT g seconds\ng{} 2\n# EOF\n";
        let plain = "# HELP a_b_total Some counter.\n# TYPE a_b_total counter\na_b_total{c=\"d counter\"} 1\n\
                     # HELP g Some gauge.\n# TYPE g gauge\ng 2\n";
        assert_eq!(from_open_metrics(open), plain);
    }
}
