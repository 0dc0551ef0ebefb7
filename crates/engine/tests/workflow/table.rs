//! A table of how many cases reach each level, by category.

use std::collections::BTreeMap;

/// Levels reached, of those that a case has.
#[derive(Default)]
pub struct Table {
    rows: BTreeMap<String, [(u32, u32); 5]>,
}

impl Table {
    pub fn add(&mut self, category: &str, levels: [Option<bool>; 5]) {
        for name in [category, "~ all"] {
            let row = self.rows.entry(name.to_owned()).or_default();
            for (cell, level) in row.iter_mut().zip(levels) {
                if let Some(reached) = level {
                    cell.0 += u32::from(reached);
                    cell.1 += 1;
                }
            }
        }
    }

    /// Returns the part of all cases that reach a level, 1 to 5, in per cent.
    pub fn part(&self, level: usize) -> f64 {
        let (reached, of) = self.rows.get("~ all").map_or((0, 0), |row| row[level - 1]);
        100.0 * f64::from(reached) / f64::from(of.max(1))
    }

    pub fn print(&self) {
        println!("{:24} {:>11} {:>11} {:>11} {:>11} {:>11}", "category", "L1", "L2", "L3", "L4", "L5");
        for (name, row) in &self.rows {
            let cells: Vec<String> = row.iter().map(|(reached, of)| format!("{reached}/{of}")).collect();
            println!("{name:24} {:>11} {:>11} {:>11} {:>11} {:>11}", cells[0], cells[1], cells[2], cells[3], cells[4]);
        }
    }
}
