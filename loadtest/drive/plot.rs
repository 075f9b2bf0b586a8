//! A run second by second, as SVG: percentiles of the time to an answer above, answers and errors a second below.

use std::fmt::Write;

use super::record::Record;
use super::tally::Second;

const WIDTH: f64 = 880.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 800.0;
/// The panel of times, and that of rates.
const TIMES: (f64, f64) = (84.0, 300.0);
const RATES: (f64, f64) = (348.0, 468.0);
const HEIGHT: f64 = 510.0;

type Look = fn(&Second) -> f64;
/// Name, colour, value.
type Line = (&'static str, &'static str, Look);
const LINES: [Line; 4] = [
    ("p50", "#7fb3d9", |it| it.p50_ms),
    ("p90", "#3b7fb8", |it| it.p90_ms),
    ("p99", "#14476f", |it| it.p99_ms),
    ("p99.9", "#c0562b", |it| it.p999_ms),
];

/// The generator's own part, in the open loop.
const LATE: Line = ("late p99", "#aaa", |it| it.late_p99_ms);

/// Draws it.
pub fn draw(record: &Record) -> String {
    let seconds = &record.seconds;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"12\" fill=\"#333\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let pace = record.rate.map_or("as soon as answered".to_owned(), |it| format!("{it:.0} requests/s due"));
    text(
        &mut svg,
        LEFT,
        28.0,
        "start\" font-size=\"16\" font-weight=\"600",
        &format!("{}: {pace}", record.flow),
    );
    let about = format!("{} connections; {}; commit {}", record.connections, record.machine, record.commit);
    text(&mut svg, LEFT, 46.0, "start\" fill=\"#777", &about);
    if seconds.len() > 1 {
        times(&mut svg, seconds, record.rate.map(|_| LATE));
        rates(&mut svg, seconds);
    }
    svg + "</svg>\n"
}

fn times(svg: &mut String, seconds: &[Second], late: Option<Line>) {
    let lines: Vec<Line> = late.into_iter().chain(LINES).collect();
    let all = || lines.iter().flat_map(|(_, _, look)| seconds.iter().map(look)).filter(|it| *it > 0.0);
    let low = all().fold(f64::MAX, f64::min).log10().floor();
    let high = all().fold(f64::MIN, f64::max).log10().ceil().max(low + 1.0);
    let y = |ms: f64| {
        let part = (ms.log10().max(low) - low) / (high - low);
        TIMES.1 - part * (TIMES.1 - TIMES.0)
    };
    text(svg, LEFT, TIMES.0 - 8.0, "start\" fill=\"#777", "time to an answer, ms (each tenth is a step)");
    for decade in low as i32..=high as i32 {
        let ms = 10f64.powi(decade);
        grid(svg, y(ms), &format!("{ms}"));
    }
    // Labels stand at the lines' ends, moved apart where the lines are close.
    let mut lowest = TIMES.1 + 18.0;
    for (name, colour, look) in lines {
        let points = seconds.iter().enumerate().map(|(it, second)| (x(it, seconds.len()), y(look(second))));
        let points: Vec<(f64, f64)> = points.collect();
        let path: String = points.iter().map(|(x, y)| format!("{x:.1},{y:.1} ")).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"/>"
        );
        lowest = points[points.len() - 1].1.min(lowest - 14.0);
        text(svg, RIGHT + 8.0, lowest + 4.0, &format!("start\" fill=\"{colour}\" font-weight=\"600"), name);
    }
    axis(svg, TIMES.1, seconds.len());
}

fn rates(svg: &mut String, seconds: &[Second]) {
    let most = seconds.iter().map(|it| it.answers + it.errors).max().unwrap_or(1).max(1) as f64;
    let step = nice(most / 3.0);
    let high = (most / step).ceil() * step;
    let y = |count: f64| RATES.1 - count / high * (RATES.1 - RATES.0);
    let errors: u64 = seconds.iter().map(|it| it.errors).sum();
    let title = format!("answers a second; errors in red: {errors}");
    text(svg, LEFT, RATES.0 - 8.0, "start\" fill=\"#777", &title);
    let mut value = 0.0;
    while value <= high {
        grid(svg, y(value), &format!("{value:.0}"));
        value += step;
    }
    let line = |look: Look| -> String {
        let points = seconds.iter().enumerate().map(|(it, second)| (x(it, seconds.len()), y(look(second))));
        points.map(|(x, y)| format!("{x:.1},{y:.1} ")).collect()
    };
    let (answers, errors) = (line(|it| it.answers as f64), line(|it| it.errors as f64));
    let _ = writeln!(
        svg,
        "<polygon points=\"{LEFT},{bottom} {answers}{RIGHT},{bottom}\" fill=\"#14476f\" fill-opacity=\"0.15\"/>\n\
         <polyline points=\"{answers}\" fill=\"none\" stroke=\"#14476f\" stroke-width=\"1.8\"/>\n\
         <polyline points=\"{errors}\" fill=\"none\" stroke=\"#d22\" stroke-width=\"1.8\"/>",
        bottom = RATES.1
    );
    axis(svg, RATES.1, seconds.len());
    text(svg, (LEFT + RIGHT) / 2.0, RATES.1 + 34.0, "middle\" fill=\"#777", "seconds");
}

fn x(place: usize, count: usize) -> f64 {
    LEFT + (RIGHT - LEFT) * place as f64 / (count - 1) as f64
}

/// The seconds under a panel: some ten of them, each where its point is.
fn axis(svg: &mut String, bottom: f64, count: usize) {
    let step = nice(count as f64 / 10.0).max(1.0) as usize;
    for second in (1..=count).filter(|it| it % step == 0 || step == 1) {
        text(svg, x(second - 1, count), bottom + 16.0, "middle\" fill=\"#777", &second.to_string());
    }
}

fn grid(svg: &mut String, y: f64, label: &str) {
    let _ = writeln!(svg, "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#e4e4e4\"/>");
    text(svg, LEFT - 8.0, y + 4.0, "end\" fill=\"#777", label);
}

/// 1, 2 or 5 times a power of ten, and not less than this.
fn nice(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|it| it * power).into_iter().find(|it| *it >= value * 0.999).unwrap_or(value)
}

/// The anchor, with what else the text's tag has.
fn text(svg: &mut String, x: f64, y: f64, anchor: &str, what: &str) {
    let what = what.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{what}</text>");
}
