//! Pictures as SVG that takes its colours from the page around it.

use std::sync::Arc;

use kuva::plot::forest::ForestPlot;
use kuva::plot::{BarPlot, ColorMap, Heatmap, LinePlot};
use kuva::render::annotations::TextAnnotation;
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;
use kuva::render::theme::Theme;

use crate::picture::{Bar, Curve, Interval, Line, Picture, Shape};

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 320.0;
/// Of names beside bars.
const NAME: usize = 32;
/// A matrix of more classes shows colours alone.
const NUMBERED: usize = 8;
const FILL: [&str; 4] = ["#2f6fb0", "#c4661f", "#3a8a4d", "#8456a8"];
const BAD: &str = "#c0392b";

/// Text is escaped by the chart library.
pub(super) fn svg(picture: &Picture) -> String {
    let (plots, layout) = match &picture.shape {
        Shape::Curves { x, y, curves } => lines(x, y, curves),
        Shape::Series { x, y, names, lines } => series(x, y, names, lines),
        Shape::Matrix { rows, columns, labels, cells } => matrix(rows, columns, labels, cells),
        Shape::Bars { value, bars, reference } => self::bars(value, bars, *reference),
        Shape::Intervals { value, intervals } => self::intervals(value, intervals),
    };
    let layout = layout.with_width(WIDTH).with_theme(theme()).with_title_size(13).with_tick_size(10).with_label_size(11).with_body_size(10);
    scalable(kuva::render_to_svg(plots, layout))
}

/// Without a box of its own a picture is cut where the page is narrower.
fn scalable(svg: String) -> String {
    let size = |name: &str| svg.split_once(&format!(" {name}=\"")).and_then(|(_, rest)| rest.split('"').next());
    match (size("width"), size("height")) {
        (Some(width), Some(height)) if !svg.contains("viewBox") => svg.replacen("<svg ", &format!("<svg viewBox=\"0 0 {width} {height}\" "), 1),
        _ => svg,
    }
}

fn theme() -> Theme {
    let current = || "currentColor".to_owned();
    Theme {
        background: "none".into(),
        axis_color: current(),
        tick_color: current(),
        text_color: current(),
        grid_color: "#8886".into(),
        legend_bg: "none".into(),
        legend_border: "none".into(),
        colorbar_border: current(),
        font_family: Some("system-ui, sans-serif".into()),
        ..Theme::light()
    }
}

fn lines(x: &str, y: &str, curves: &[Curve]) -> (Vec<Plot>, Layout) {
    let plot = |(i, curve): (usize, &Curve)| {
        let line = LinePlot::new().with_data(curve.points.iter().map(|[x, y]| (*x, *y))).with_legend(short(&curve.name));
        Plot::from(if curve.dashed { line.with_color("#888888").with_dashed() } else { line.with_color(FILL[i % FILL.len()]).with_stroke_width(2.0) })
    };
    let plots: Vec<Plot> = curves.iter().enumerate().map(plot).collect();
    let layout = Layout::auto_from_plots(&plots).with_x_label(x).with_y_label(y).with_height(HEIGHT);
    (plots, layout.with_x_axis_min(0.0).with_x_axis_max(1.0).with_y_axis_min(0.0).with_y_axis_max(1.0))
}

/// A line for every stretch without a gap.
fn series(x: &str, y: &str, names: &[String], lines: &[Line]) -> (Vec<Plot>, Layout) {
    let mut plots = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let points: Vec<Option<(f64, f64)>> =
            line.values.iter().enumerate().map(|(at, value)| value.map(|v| (crate::stats::float(at as u64) + 1.0, v))).collect();
        for (nth, stretch) in points.split(Option::is_none).filter(|stretch| !stretch.is_empty()).enumerate() {
            let plot = LinePlot::new().with_data(stretch.iter().flatten().copied()).with_color(FILL[i % FILL.len()]).with_stroke_width(2.0);
            plots.push(Plot::from(if nth == 0 { plot.with_legend(short(&line.name)) } else { plot }));
        }
    }
    let layout = Layout::auto_from_plots(&plots).with_x_label(x).with_y_label(y).with_height(HEIGHT);
    (plots, layout.with_x_categories(names.iter().map(|n| short(n)).collect()))
}

fn matrix(rows: &str, columns: &str, labels: &[String], cells: &[Vec<f64>]) -> (Vec<Plot>, Layout) {
    let labels: Vec<String> = labels.iter().map(|l| short(l)).collect();
    // Rows stand from the bottom up: the first class comes last, at the top.
    let cells: Vec<Vec<f64>> = cells.iter().rev().cloned().collect();
    let upwards: Vec<String> = labels.iter().rev().cloned().collect();
    let heatmap = Heatmap::new().with_data(cells.clone()).with_labels(upwards.clone(), labels.clone()).with_color_map(blues());
    let plots = vec![Plot::from(heatmap)];
    let mut layout = Layout::auto_from_plots(&plots).with_x_label(columns).with_y_label(rows);
    for (row, counts) in cells.iter().enumerate().filter(|_| labels.len() <= NUMBERED) {
        for (column, n) in counts.iter().enumerate() {
            let [x, y] = [column, row].map(|place| crate::stats::float(place as u64) + 1.0);
            layout = layout.with_annotation(TextAnnotation::new(n.to_string(), x, y).with_color("currentColor").with_font_size(11));
        }
    }
    (plots, layout.with_x_categories(labels.clone()).with_y_categories(upwards).with_height(HEIGHT))
}

/// Over any background, and under any text.
fn blues() -> ColorMap {
    ColorMap::Custom(Arc::new(|share: f64| format!("rgba(47,111,176,{:.2})", 0.08 + 0.6 * share)))
}

fn bars(value: &str, bars: &[Bar], reference: Option<f64>) -> (Vec<Plot>, Layout) {
    let mut plot = BarPlot::new().with_horizontal(true);
    // They stand from the bottom up: the first comes last, at the top.
    if let Some(all) = reference {
        plot = plot.with_colored_bar("all rows", all, "#888888");
    }
    for bar in bars.iter().rev() {
        plot = plot.with_colored_bar(short(&bar.name), bar.value, if bar.out { BAD } else { FILL[0] });
    }
    let plots = vec![Plot::from(plot)];
    let layout = Layout::auto_from_plots(&plots).with_x_label(value);
    (plots, layout.with_height(height(bars.len() + 1)))
}

fn intervals(value: &str, intervals: &[Interval]) -> (Vec<Plot>, Layout) {
    let mut plot = ForestPlot::new().with_null_value(0.0).with_color(FILL[0]);
    for row in intervals {
        plot = plot.with_row(short(&row.name), row.value, row.low, row.high);
    }
    let plots = vec![Plot::from(plot)];
    let layout = Layout::auto_from_plots(&plots).with_x_label(value);
    (plots, layout.with_height(height(intervals.len())))
}

fn height(rows: usize) -> f64 {
    90.0 + 24.0 * crate::stats::float(rows as u64)
}

fn short(name: &str) -> String {
    let short = if name.chars().count() <= NAME { name.to_owned() } else { name.chars().take(NAME - 1).chain(['…']).collect() };
    // Between dollars stands a formula.
    short.replace('$', "\\$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anybodys_text_stays_text() {
        let evil = "</text><script>alert(1)</script>\"'&";
        let shapes = [
            Shape::Curves {
                x: evil.into(),
                y: evil.into(),
                curves: vec![Curve { name: evil.into(), points: vec![[0.0, 0.0], [1.0, 1.0]], dashed: false }],
            },
            Shape::Matrix {
                rows: evil.into(),
                columns: evil.into(),
                labels: vec![evil.into(), "b".into()],
                cells: vec![vec![1.0, 2.0], vec![3.0, 4.0]],
            },
            Shape::Series {
                x: evil.into(),
                y: evil.into(),
                names: vec![evil.into(), "2".into(), "3".into()],
                lines: vec![Line { name: evil.into(), values: vec![Some(0.1), None, Some(0.3)] }],
            },
            Shape::Bars { value: evil.into(), bars: vec![Bar { name: evil.into(), value: 0.5, out: true }], reference: Some(0.4) },
            Shape::Intervals { value: evil.into(), intervals: vec![Interval { name: evil.into(), value: 0.1, low: -0.1, high: 0.3 }] },
        ];
        for shape in shapes {
            let svg = svg(&Picture { title: evil.into(), about: evil.into(), shape });
            assert!(svg.starts_with("<svg") && !svg.contains("<script"), "{svg}");
        }
    }
}
