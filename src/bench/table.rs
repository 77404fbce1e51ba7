//! Formats a report as text: one label and one value per line.

use std::fmt::Write as _;

use super::report::{ArrivalsReport, BenchReport};
use crate::numbers::float;

#[must_use]
pub fn table(report: &BenchReport) -> String {
    let mut rows = vec![("Load", load(report)), ("Texts", texts(report))];
    let throughput = &report.throughput;
    rows.push((
        "Throughput",
        format!("{} requests/s", number(throughput.requests_per_second)),
    ));
    let tokens = number(throughput.tokens_per_second);
    rows.push(("", format!("{tokens} tokens/s, padding not counted")));
    let gflops = number(throughput.gflops);
    rows.push((
        "",
        format!("{gflops} GFLOPS in the matrix products of these tokens"),
    ));
    rows.push(("Answered", answered(report)));
    rows.push(("Failed", failed(report)));
    let latencies = latency(report);
    let label = if report.via == "engine" {
        "Batch time"
    } else {
        "Latency"
    };
    rows.extend(
        latencies
            .into_iter()
            .enumerate()
            .map(|(line, text)| (if line == 0 { label } else { "" }, text)),
    );
    if let Some(shares) = &report.time_shares {
        let parts = [
            ("in the queue", shares.queue),
            ("in the tokenizer", shares.tokenizer),
            ("in the graph", shares.graph),
            ("elsewhere (transport, encoding, answers)", shares.rest),
        ];
        let parts = parts.map(|(name, share)| format!("{} {name}", percent(share)));
        rows.push(("Time spent", parts.join(", ")));
    }
    if let Some(batch) = &report.batches {
        let (sequences, tokens) = (number(batch.sequences), number(batch.tokens));
        rows.push((
            "Batch",
            format!("{sequences} sequences, {tokens} tokens on average"),
        ));
    }
    if let Some(padding) = report.padding {
        rows.push((
            "Padding",
            format!("{} of the real tokens", percent(padding)),
        ));
    }
    rows.extend(limit(report));
    aligned(&heading(report), &rows)
}

fn heading(report: &BenchReport) -> String {
    let models = report.models.join(", ");
    let place = match (report.via, &report.url) {
        (_, Some(url)) => format!("at {url}"),
        ("engine", None) => "in the engine's own loop, without a server".to_owned(),
        ("service", None) => "through the service, without a transport".to_owned(),
        ("grpc", None) => "over gRPC".to_owned(),
        (_, None) => "over HTTP".to_owned(),
    };
    let settings = match (report.workers, report.batch_tokens) {
        (Some(workers), Some(tokens)) => {
            format!(", {}, {tokens} tokens per batch", count(workers, "worker"))
        }
        (Some(workers), None) => format!(", {}", count(workers, "worker")),
        (None, _) => String::new(),
    };
    format!("{models} {place}{settings}")
}

fn load(report: &BenchReport) -> String {
    let load = &report.load;
    let arrivals = match load.arrivals {
        ArrivalsReport::None => "one batch after another on each worker".to_owned(),
        ArrivalsReport::Closed { concurrency } => {
            format!("closed loop, {} in flight", count(concurrency, "request"))
        }
        ArrivalsReport::Open {
            rate,
            closed_loop_requests_per_second,
        } => {
            let mut text = format!("open loop, {} requests/s at random times", number(rate));
            if let Some(reached) = closed_loop_requests_per_second {
                let share = percent(rate / reached);
                let _ = write!(text, " ({share} of the closed loop's {})", number(reached));
            }
            text
        }
    };
    let (seconds, warm_up) = (load.seconds, load.warm_up_seconds);
    format!("{arrivals}, {seconds} s after {warm_up} s of warm-up")
}

fn texts(report: &BenchReport) -> String {
    format!("{}, seed {}", report.load.texts, report.load.seed)
}

fn answered(report: &BenchReport) -> String {
    let mut text = count(report.requests, "request");
    if report.requests > 0 {
        let mean = float(report.tokens) / float(report.requests);
        let _ = write!(text, " of {} tokens on average", number(mean));
    }
    text
}

fn failed(report: &BenchReport) -> String {
    if report.failures.is_empty() {
        return "none".to_owned();
    }
    let failures = report.failures.iter();
    let lines = failures.map(|(kind, failed)| {
        format!(
            "{} with {kind}, the first: {}",
            count(failed.requests, "request"),
            failed.reason
        )
    });
    lines.collect::<Vec<_>>().join("; ")
}

fn latency(report: &BenchReport) -> Vec<String> {
    let Some(latency) = &report.latency else {
        return Vec::new();
    };
    let rows = [
        ("mean", latency.mean),
        ("p50", latency.p50),
        ("p90", latency.p90),
        ("p99", latency.p99),
        ("p99.9", latency.p999),
        ("max", latency.max),
    ];
    rows.map(|(name, milliseconds)| format!("{name:<5} {milliseconds:>9.2} ms"))
        .to_vec()
}

fn limit(report: &BenchReport) -> Vec<(&'static str, String)> {
    let Some(limit) = &report.limit else {
        return Vec::new();
    };
    let (linear, attention) = (number(limit.linear_gflops), number(limit.attention_gflops));
    let mut rows = vec![
        (
            "Limit",
            format!(
                "{} GFLOPS for these matrix products alone",
                number(limit.gflops)
            ),
        ),
        (
            "",
            format!("(linear layers {linear}, attention {attention} GFLOPS)"),
        ),
        (
            "Reached",
            format!("{} of the limit", percent(limit.share_reached)),
        ),
    ];
    if let Some(share) = limit.products_share_of_graph {
        rows.push((
            "",
            format!("{} of the graph's time is matrix products", percent(share)),
        ));
    }
    rows
}

fn aligned(heading: &str, rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    let mut text = format!("{heading}\n\n");
    for (label, value) in rows {
        let _ = writeln!(text, "{label:width$}  {value}");
    }
    text
}

fn count(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Formats with at least three digits, so that numbers of any size can be compared.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}
