//! The numbers that a byte of a weight can be.

/// The evenly spaced numbers that the weights of an output are brought to: `step * (byte - zero)`.
pub(super) struct Grid {
    pub step: f32,
    pub zero: i32,
}

impl Grid {
    /// The grid on which these weights lie, where they lie on one of 256 numbers (a model that was published in 8 bits and
    /// brought back to floating point); else the numbers from the least to the greatest.
    pub fn of(row: &[f32]) -> Self {
        let least = |a: f32, b: &f32| if *b < a { *b } else { a };
        let most = |a: f32, b: &f32| if *b > a { *b } else { a };
        let Some(&first) = row.first() else { return Self { step: 0.0, zero: 0 } };
        let (low, high) = (row.iter().fold(first, least), row.iter().fold(first, most));
        if low == high {
            // One number: byte 1, or 0 for none.
            return Self { step: low, zero: 0 };
        }
        let (low, high) = (f64::from(low), f64::from(high));
        if let Some(mut values) = few_values(row) {
            values.sort_unstable_by(f32::total_cmp);
            let gaps = values.windows(2).map(|pair| f64::from(pair[1]) - f64::from(pair[0]));
            let gap = gaps.filter(|gap| *gap > 0.0).fold(f64::MAX, f64::min);
            // The least gap may be some steps wide.
            for parts in 1..=4 {
                let steps = whole((high - low) / gap * f64::from(parts));
                let step = (high - low) / steps;
                let lies = |w: &f32| {
                    let place = f64::from(*w) / step;
                    // Off by at most a hundredth of what a byte's step would be.
                    place.abs() <= 255.0 && (whole(place) - place).abs() < 0.01 * steps / 255.0
                };
                if steps <= 255.0 && values.iter().all(lies) {
                    return Self { step: step as f32, zero: -whole(low / step) as i32 };
                }
            }
        }
        // Zero is among them, so that no byte stands far from it; a step less than there are keeps both ends inside.
        let (low, high) = (low.min(0.0), high.max(0.0));
        let step = (high - low) / 254.0;
        Self { step: step as f32, zero: -whole(low / step) as i32 }
    }

    pub fn byte(&self, w: f32) -> u8 {
        if self.step == 0.0 {
            0
        } else {
            (whole(f64::from(w) / f64::from(self.step)) as i32 + self.zero).clamp(0, 255) as u8
        }
    }
}

/// The different numbers of a row, where there are at most 256. Most rows have more, and show it soon.
fn few_values(row: &[f32]) -> Option<Vec<f32>> {
    // An open hash table; Fibonacci hashing of the bits.
    let mut seen = [f32::NAN; 1024];
    let mut values = Vec::with_capacity(256);
    for &w in row {
        let mut at = (w.to_bits().wrapping_mul(0x9e37_79b9) >> 22) as usize;
        while !seen[at].is_nan() && seen[at] != w {
            at = (at + 1) % seen.len();
        }
        if seen[at].is_nan() {
            if values.len() == 256 {
                return None;
            }
            seen[at] = w;
            values.push(w);
        }
    }
    Some(values)
}

/// The nearest whole number, of two the even one, without the call that processors without the instruction need.
fn whole(x: f64) -> f64 {
    // Added and taken off again, it leaves no room for a fraction.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    x + ROUND - ROUND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_lie_on_a_grid_keep_their_values() {
        let values = |step: f32, zero: i32| move |i: i32| step * ((i * 37) % 256 - zero) as f32;
        for (step, zero) in [(0.0183, 141), (1.7e-3, 0), (3.0, 255), (2e-5, 128)] {
            let row: Vec<f32> = (0..288).map(values(step, zero)).collect();
            let grid = Grid::of(&row);
            for &w in &row {
                let back = grid.step * (i32::from(grid.byte(w)) - grid.zero) as f32;
                assert!((back - w).abs() <= 1e-4 * step, "{w} comes back as {back}");
            }
        }
    }
}
