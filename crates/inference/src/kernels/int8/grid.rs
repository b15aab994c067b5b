//! The numbers that a byte of a weight can be.

use crate::kernels::math::range;

/// The evenly spaced numbers that the weights of an output are brought to: `step * (byte - zero)`.
pub(super) struct Grid {
    pub step: f32,
    pub zero: i32,
}

impl Grid {
    /// The grid on which these weights lie, where they lie on one of 256 numbers (a model that was published in 8 bits and
    /// brought back to floating point); else the numbers from the least to the greatest.
    pub fn of(row: &[f32]) -> Self {
        let (low, high) = ends(row);
        if low == high {
            // One number: byte 1, or 0 for none.
            return Self { step: low, zero: 0 };
        }
        let values = few_values(row, low, high);
        let (low, high) = (f64::from(low), f64::from(high));
        if let Some(values) = values {
            let gaps = values.windows(2).map(|pair| f64::from(pair[1]) - f64::from(pair[0]));
            let gap = gaps.fold(f64::MAX, f64::min);
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

    /// The byte of each weight; what they add up to less their zeros.
    pub fn bytes(&self, row: &[f32], bytes: &mut [u8]) -> i32 {
        if self.step == 0.0 {
            bytes.fill(0);
        } else {
            rounded(row, (f64::from(self.step), self.zero), bytes);
        }
        bytes.iter().map(|byte| i32::from(*byte) - self.zero).sum()
    }
}

vectorized! {
    fn rounded<'a>(row: &'a [f32], grid: (f64, i32), bytes: &'a mut [u8]) -> () {
        let (step, zero) = grid;
        for (byte, w) in bytes.iter_mut().zip(row) {
            *byte = (whole(f64::from(*w) / step) as i32 + zero).clamp(0, 255) as u8;
        }
    }
}

vectorized! {
    /// The least and the greatest; 0 and 0 of none.
    fn ends<'a>(row: &'a [f32]) -> (f32, f32) {
        range(row, row.first().copied().unwrap_or_default())
    }
}

/// Numbers of a grid of 256 are at least two of these apart.
const PLACES: usize = 2 * 255 + 1;

/// The different numbers of a row from the least to the greatest, where they can lie on a grid of 256. Most rows have more
/// numbers, and show it soon.
fn few_values(row: &[f32], low: f32, high: f32) -> Option<Vec<f32>> {
    let mut seen = [f32::NAN; PLACES];
    let mut places = [0; 256];
    for row in row.chunks(places.len()) {
        find_places(row, (low, (PLACES - 1) as f32 / (high - low)), &mut places);
        for (&w, &place) in row.iter().zip(&places) {
            let known = &mut seen[usize::from(place)];
            if known.is_nan() {
                *known = w;
            } else if *known != w {
                return None;
            }
        }
    }
    Some(seen.into_iter().filter(|known| !known.is_nan()).collect())
}

vectorized! {
    fn find_places<'a>(row: &'a [f32], of: (f32, f32), places: &'a mut [u16]) -> () {
        let (low, each) = of;
        for (place, w) in places.iter_mut().zip(row) {
            *place = (((w - low) * each) as i32).clamp(0, PLACES as i32 - 1) as u16;
        }
    }
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
            let mut bytes = vec![0; row.len()];
            let total = grid.bytes(&row, &mut bytes);
            assert_eq!(total, bytes.iter().map(|&byte| i32::from(byte) - grid.zero).sum::<i32>());
            for (&w, &byte) in row.iter().zip(&bytes) {
                let back = grid.step * (i32::from(byte) - grid.zero) as f32;
                assert!((back - w).abs() <= 1e-4 * step, "{w} comes back as {back}");
            }
        }
    }
}
