//! Figures, and the page that shows them.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

use super::harness::{Contender, Sample};
use super::stats::Summary;
use crate::run::repository;

/// Where the figures are kept, for programs and for people.
const JSON: &str = "docs/bench/results.json";
const PAGE: &str = "docs/bench/results.md";

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    Seconds,
    Bytes,
}

/// One measured thing of one contender.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Figure {
    /// The circumstances: contenders are compared within them only.
    pub(super) case: String,
    pub(super) contender: String,
    pub(super) unit: Unit,
    pub(super) summary: Summary,
}

/// What a workload found out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) title: String,
    /// When and on what it was measured.
    pub(super) host: String,
    pub(super) figures: Vec<Figure>,
    /// Paragraphs below the table.
    pub(super) notes: Vec<String>,
}

impl Report {
    /// Adds values.
    pub(super) fn add(&mut self, case: &str, contender: &str, unit: Unit, values: &[f64]) {
        self.figures.push(Figure {
            case: case.into(),
            contender: contender.into(),
            unit,
            summary: Summary::of(values),
        });
    }

    /// Adds the times of interleaved runs.
    pub(super) fn add_times(
        &mut self,
        case: &str,
        contenders: &[Contender<'_>],
        samples: &[Vec<Sample>],
    ) {
        for (contender, samples) in contenders.iter().zip(samples) {
            let times: Vec<f64> = samples.iter().map(|sample| sample.wall).collect();
            self.add(case, &contender.name, Unit::Seconds, &times);
        }
    }

    /// Adds the processor times and peaks of interleaved runs.
    pub(super) fn add_costs(
        &mut self,
        case: &str,
        contenders: &[Contender<'_>],
        samples: &[Vec<Sample>],
    ) {
        for (contender, samples) in contenders.iter().zip(samples) {
            let cpu: Vec<f64> = samples.iter().map(|sample| sample.cpu).collect();
            self.add(&format!("{case}: processor time"), &contender.name, Unit::Seconds, &cpu);
            let peak: Vec<f64> = samples.iter().map(|sample| sample.peak as f64).collect();
            let case = format!("{case}: memory of the largest process");
            self.add(&case, &contender.name, Unit::Bytes, &peak);
        }
    }

    /// Writes the report as a section of the page.
    pub(super) fn page(&self) -> String {
        let mut page = format!("## {}\n\n", self.title);
        if !self.figures.is_empty() {
            page += "| case | tool | median | quartiles | runs | × creel |\n|---|---|--:|--:|--:|--:|\n";
        }
        for figure in self.sorted() {
            let Summary { count, median, low_quartile, high_quartile } = figure.summary;
            let unit = figure.unit;
            page += &format!(
                "| {} | {} | {} | {} – {} | {count} | {} |\n",
                figure.case,
                figure.contender,
                shown(unit, median),
                shown(unit, low_quartile),
                shown(unit, high_quartile),
                self.ratio(figure),
            );
        }
        for note in &self.notes {
            page += &format!("\n{note}\n");
        }
        page + &format!("\nMeasured {}.\n", self.host)
    }

    /// The figures with those of one case together, in the order in which the cases came.
    fn sorted(&self) -> Vec<&Figure> {
        let first = |case: &str| self.figures.iter().position(|figure| figure.case == case);
        let mut figures: Vec<&Figure> = self.figures.iter().collect();
        figures.sort_by_key(|figure| first(&figure.case));
        figures
    }

    fn ratio(&self, figure: &Figure) -> String {
        let ours = self.figures.iter().find(|f| f.case == figure.case && f.contender == "creel");
        match ours {
            Some(ours) if ours.summary.median > 0.0 => {
                format!("{:.2}", figure.summary.median / ours.summary.median)
            }
            _ => "–".into(),
        }
    }
}

fn shown(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Seconds if value < 1.0 => format!("{:.2} ms", value * 1e3),
        Unit::Seconds => format!("{value:.2} s"),
        Unit::Bytes if value < 1e6 => format!("{:.1} kB", value / 1e3),
        Unit::Bytes => format!("{:.1} MB", value / 1e6),
    }
}

/// Puts a workload's report in place of its last one and writes the page anew.
pub(super) fn keep(workload: &str, report: Report) -> anyhow::Result<()> {
    let json = repository().join(JSON);
    let mut all: BTreeMap<String, Report> = match fs::read(&json) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) => BTreeMap::new(),
    };
    all.insert(workload.into(), report);
    fs::create_dir_all(repository().join("docs/bench"))?;
    fs::write(json, serde_json::to_string_pretty(&all)? + "\n")?;
    let sections: Vec<String> = all.values().map(Report::page).collect();
    let page = format!("{HEAD}\n{}", sections.join("\n"));
    fs::write(repository().join(PAGE), page)?;
    Ok(())
}

const HEAD: &str = "# Figures

Written by `./x bench`. All tools of a case are measured in turn, in one session, each with its own
default isolation; the first round warms up and is not counted. The last column is the tool's median
divided by creel's.
";
