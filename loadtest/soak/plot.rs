//! The hour as SVG: times to an answer above, memory below.

use std::fmt::Write;

use super::row::Row;

const WIDTH: f64 = 880.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 760.0;
const HEIGHT: f64 = 500.0;

/// A line's name, its colour, and what it shows of a minute.
type Line = (&'static str, &'static str, fn(&Row) -> f64);

const TIMES: [Line; 4] = [
    ("award p99", "#14476f", |it| it.award_p99),
    ("award p50", "#7fb3d9", |it| it.award_p50),
    ("read p99", "#c0562b", |it| it.read_p99),
    ("read p50", "#e8b79f", |it| it.read_p50),
];
const MEMORY: [Line; 3] = [
    ("Postgres", "#14476f", |it| it.postgres),
    ("node", "#3b8f5a", |it| it.node),
    ("Redis", "#c0562b", |it| it.redis),
];

/// Draws it.
pub fn draw(rows: &[Row]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"12\" fill=\"#333\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let title = format!("{} minutes of mixed load", rows.len());
    text(&mut svg, LEFT, 28.0, "start\" font-size=\"16\" font-weight=\"600", &title);
    if rows.len() > 1 {
        panel(&mut svg, rows, (64.0, 236.0), "from due to answered, ms", &TIMES);
        panel(&mut svg, rows, (284.0, 456.0), "resident memory, MiB", &MEMORY);
        text(&mut svg, (LEFT + RIGHT) / 2.0, 490.0, "middle\" fill=\"#777", "minutes");
    }
    svg + "</svg>\n"
}

fn panel(svg: &mut String, rows: &[Row], (top, bottom): (f64, f64), title: &str, lines: &[Line]) {
    text(svg, LEFT, top - 8.0, "start\" fill=\"#777", title);
    let most = lines.iter().flat_map(|(_, _, look)| rows.iter().map(look)).fold(f64::MIN_POSITIVE, f64::max);
    let step = nice(most / 4.0);
    let high = (most / step).ceil() * step;
    let y = |value: f64| bottom - value / high * (bottom - top);
    for mark in 0..=(high / step).round() as u32 {
        let (value, y) = (f64::from(mark) * step, y(f64::from(mark) * step));
        let _ = writeln!(svg, "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#e4e4e4\"/>");
        text(svg, LEFT - 8.0, y + 4.0, "end\" fill=\"#777", &format!("{value}"));
    }
    let x = |place: usize| LEFT + (RIGHT - LEFT) * place as f64 / (rows.len() - 1) as f64;
    let every = nice(rows.len() as f64 / 10.0).max(1.0) as usize;
    for minute in (1..=rows.len()).filter(|it| it % every == 0) {
        text(svg, x(minute - 1), bottom + 16.0, "middle\" fill=\"#777", &minute.to_string());
    }
    // Names stand at the lines' ends, highest first, moved apart where lines are close.
    let mut ends: Vec<(f64, &Line)> = lines.iter().map(|it| (y(it.2(&rows[rows.len() - 1])), it)).collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut highest = top - 14.0;
    for (end, (name, colour, look)) in ends {
        let points = rows.iter().enumerate().map(|(it, row)| (x(it), y(look(row))));
        let path: String = points.map(|(x, y)| format!("{x:.1},{y:.1} ")).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"/>"
        );
        highest = end.max(highest + 14.0);
        text(svg, RIGHT + 8.0, highest + 4.0, &format!("start\" fill=\"{colour}\" font-weight=\"600"), name);
    }
}

/// 1, 2 or 5 times a power of ten, and not less than this.
fn nice(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|it| it * power).into_iter().find(|it| *it >= value * 0.999).unwrap_or(value)
}

/// The anchor, with what else the text's tag has.
fn text(svg: &mut String, x: f64, y: f64, anchor: &str, what: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{what}</text>");
}
