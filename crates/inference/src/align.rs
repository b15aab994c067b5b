//! From attention to times: which frames a decoder looked at while it wrote each token.
//!
//! The method is that of openai/whisper, `whisper/timing.py`: normalise each head's weights over the tokens, smooth
//! them over the frames with a median, average the heads, and follow the cheapest monotonic path (dynamic time warping;
//! Sakoe and Chiba, 1978). Nothing here knows a model.

use crate::kernels::vectorized;

/// The width of the median filter, in frames (openai/whisper, `find_alignment`, `medfilt_width`).
const MEDIAN_FRAMES: usize = 7;

/// A matrix of tokens (rows) over frames (columns).
#[derive(Debug, Clone)]
struct Grid {
    values: Vec<f32>,
    frames: usize,
}

impl Grid {
    /// Rows of equal length.
    fn new(values: Vec<f32>, frames: usize) -> Self {
        debug_assert!(frames > 0 && values.len().is_multiple_of(frames));
        Self { values, frames }
    }

    fn tokens(&self) -> usize {
        self.values.len() / self.frames
    }

    /// Each frame's weights to mean 0 and deviation 1 over the tokens.
    fn normalise(&mut self) {
        let tokens = self.tokens() as f32;
        normalise(&mut self.values, &mut vec![0.0; self.frames], &mut vec![0.0; self.frames], tokens);
    }

    /// The median over [`MEDIAN_FRAMES`] frames; beyond the ends the row is mirrored. Rows shorter than the filter's
    /// half stay as they are.
    fn smooth(&mut self) {
        let half = MEDIAN_FRAMES / 2;
        if self.frames <= half {
            return;
        }
        let mut mirrored = Vec::with_capacity(self.frames + 2 * half);
        for row in self.values.chunks_exact_mut(self.frames) {
            let last = row.len() - 1;
            mirrored.clear();
            mirrored.extend((1..=half).rev().map(|i| row[i]));
            mirrored.extend_from_slice(row);
            mirrored.extend((1..=half).map(|i| row[last - i]));
            medians(&mirrored, row);
        }
    }
}

vectorized! {
    /// `values` hold as many rows as `tokens` says, of the length of `mean` and `deviation`, which begin with zeros.
    fn normalise<'a>(values: &'a mut [f32], mean: &'a mut [f32], deviation: &'a mut [f32], tokens: f32) -> () {
        let frames = mean.len();
        for row in values.chunks_exact(frames) {
            mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        for sum in &mut *mean {
            *sum /= tokens;
        }
        for row in values.chunks_exact(frames) {
            for ((sum, x), mean) in deviation.iter_mut().zip(row).zip(&*mean) {
                let off = x - mean;
                *sum += off * off;
            }
        }
        for sum in &mut *deviation {
            *sum = (*sum / tokens).sqrt().max(f32::MIN_POSITIVE);
        }
        for row in values.chunks_exact_mut(frames) {
            for ((x, mean), deviation) in row.iter_mut().zip(&*mean).zip(&*deviation) {
                *x = (*x - mean) / deviation;
            }
        }
    }
}

vectorized! {
    /// The median of each [`MEDIAN_FRAMES`] neighbours of `row`, by a network of comparisons (Devillard, Fast median search,
    /// 1998): no branch, so that a register's worth is done at once.
    fn medians<'a>(row: &'a [f32], out: &'a mut [f32]) -> () {
        const SORTS: [(usize, usize); 13] = [
            (0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4),
        ];
        for (i, median) in out.iter_mut().enumerate() {
            let Some(seen) = row.get(i..i + MEDIAN_FRAMES) else { return };
            let mut seen: [f32; MEDIAN_FRAMES] = std::array::from_fn(|k| seen[k]);
            for (a, b) in SORTS {
                let (x, y) = (seen[a], seen[b]);
                seen[a] = if y < x { y } else { x };
                seen[b] = if y < x { x } else { y };
            }
            *median = seen[MEDIAN_FRAMES / 2];
        }
    }
}

/// Each head's weights as shares of their sum: what they would be, had the frames that were left out never been there.
pub(crate) fn shares(steps: &[Vec<f32>], heads: usize) -> Vec<Vec<f32>> {
    let share = |step: &Vec<f32>| {
        let mut step = step.clone();
        let frames = (step.len() / heads.max(1)).max(1);
        for head in step.chunks_exact_mut(frames) {
            let sum = head.iter().sum::<f32>().max(f32::MIN_POSITIVE);
            for weight in head {
                *weight /= sum;
            }
        }
        step
    };
    steps.iter().map(share).collect()
}

/// The first and last frame of each step after the first `lead`, from each step's weights of some heads over the frames,
/// head by head. The steps before take part in what is normal for a frame.
pub(crate) fn spans(steps: &[Vec<f32>], heads: usize, lead: usize) -> Vec<(usize, usize)> {
    let frames = steps.first().map_or(0, |step| step.len() / heads.max(1));
    if frames == 0 {
        return Vec::new();
    }
    let grid = |head| {
        let rows: Vec<&[f32]> = steps.iter().map(|step| &step[head * frames..(head + 1) * frames]).collect();
        Grid::new(rows.concat(), frames)
    };
    let costs = costs((0..heads).map(grid).collect()).map(|mut costs| {
        costs.values.drain(..lead * frames);
        warp(&costs)
    });
    costs.unwrap_or_default()
}

/// Start and end of each token in seconds, by the frames of each and of what follows the last, where that is known. `start_of`
/// says when a frame begins; all ends at `end_s`. A token without a letter or digit makes no sound: it takes no time, and
/// the pause that it may stand for belongs to no word.
pub(crate) fn times(
    spans: &[(usize, usize)],
    texts: &[String],
    end_s: f32,
    start_of: impl Fn(usize) -> f32,
) -> Vec<(f32, f32)> {
    if spans.len() < texts.len() {
        return vec![(0.0, 0.0); texts.len()];
    }
    let mut before = 0.0;
    let time = |(i, text): (usize, &String)| {
        if text.chars().any(char::is_alphanumeric) {
            let start = start_of(spans[i].0).max(before);
            before = spans.get(i + 1).map_or(end_s, |next| start_of(next.0)).max(start);
            (start, before)
        } else {
            (before, before)
        }
    };
    texts.iter().enumerate().map(time).collect()
}

/// The attention of several heads to one matrix of costs.
fn costs(heads: Vec<Grid>) -> Option<Grid> {
    let count = heads.len() as f32;
    heads
        .into_iter()
        .map(|mut head| {
            head.normalise();
            head.smooth();
            head
        })
        .reduce(|mut sum, head| {
            sum.values.iter_mut().zip(&head.values).for_each(|(a, b)| *a += b);
            sum
        })
        .map(|mut sum| {
            sum.values.iter_mut().for_each(|value| *value /= -count);
            sum
        })
}

/// The cheapest path from the first token's first frame to the last token's last one, as each token's first and last
/// frame. Steps go to the next token, to the next frame, or to both.
fn warp(costs: &Grid) -> Vec<(usize, usize)> {
    const BOTH: u8 = 0;
    const TOKEN: u8 = 1;
    const FRAME: u8 = 2;
    let (tokens, frames) = (costs.tokens(), costs.frames);
    let mut trace = vec![BOTH; costs.values.len()];
    let mut previous = vec![f32::INFINITY; frames];
    let mut current = vec![0.0f32; frames];
    for token in 0..tokens {
        for frame in 0..frames {
            let both = match (token, frame) {
                (0, 0) => 0.0,
                (0, _) | (_, 0) => f32::INFINITY,
                _ => previous[frame - 1],
            };
            let next_token = previous[frame];
            let next_frame = if frame == 0 { f32::INFINITY } else { current[frame - 1] };
            let (cost, step) = if both < next_token && both < next_frame {
                (both, BOTH)
            } else if next_token < both && next_token < next_frame {
                (next_token, TOKEN)
            } else {
                (next_frame, FRAME)
            };
            current[frame] = costs.values[token * frames + frame] + cost;
            trace[token * frames + frame] = step;
        }
        std::mem::swap(&mut previous, &mut current);
    }

    let mut spans = vec![(0, 0); tokens];
    let Some((mut token, mut frame)) = tokens.checked_sub(1).zip(frames.checked_sub(1)) else { return spans };
    spans[token].1 = frame;
    loop {
        spans[token].0 = frame;
        let step = match (token, frame) {
            (0, 0) => return spans,
            (0, _) => FRAME,
            (_, 0) => TOKEN,
            _ => trace[token * frames + frame],
        };
        frame -= usize::from(step != TOKEN);
        if step != FRAME {
            token -= 1;
            spans[token].1 = frame;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cost_of(grid: &Grid, path: &[(usize, usize)]) -> f32 {
        path.iter()
            .enumerate()
            .map(|(token, &(first, last))| grid.values[token * grid.frames..][first..=last].iter().sum::<f32>())
            .sum()
    }

    /// Every path, tried one by one.
    fn cheapest(grid: &Grid, token: usize, frame: usize) -> f32 {
        let here = grid.values[token * grid.frames + frame];
        let before = match (token, frame) {
            (0, 0) => return here,
            (0, _) => cheapest(grid, 0, frame - 1),
            (_, 0) => cheapest(grid, token - 1, 0),
            _ => cheapest(grid, token - 1, frame - 1).min(cheapest(grid, token - 1, frame)).min(cheapest(
                grid,
                token,
                frame - 1,
            )),
        };
        here + before
    }

    #[test]
    fn the_path_follows_the_bright_cells() {
        let grid = Grid::new(vec![-1., -1., 1., 1., 1., 1., 1., -1., 1., 1., 1., 1., 1., -1., -1.], 5);
        assert_eq!(warp(&grid), [(0, 1), (2, 2), (3, 4)]);
    }

    #[test]
    fn more_tokens_than_frames_share_frames() {
        let spans = warp(&Grid::new(vec![0.0; 8], 2));
        assert_eq!(spans.len(), 4);
        assert!(spans.iter().all(|&(first, last)| first <= last && last < 2));
    }

    #[test]
    fn a_frame_on_which_all_tokens_agree_counts_nothing() {
        let mut grid = Grid::new(vec![0.5, 0.75, 0.5, 0.25], 2);
        grid.normalise();
        assert_eq!(grid.values, [0.0, 1.0, 0.0, -1.0]);
    }

    #[test]
    fn the_median_mirrors_at_the_ends() {
        let mut grid = Grid::new((0..9).map(|i| i as f32).collect(), 9);
        grid.smooth();
        assert_eq!(grid.values, [2., 2., 2., 3., 4., 5., 6., 6., 6.]);
    }

    proptest! {
        #[test]
        fn the_median_is_that_of_the_sorted_neighbours(values in proptest::collection::vec(-1.0f32..1.0, 4..60)) {
            let frames = values.len();
            let mut grid = Grid::new(values.clone(), frames);
            grid.smooth();
            for (i, &found) in grid.values.iter().enumerate() {
                let mut seen: Vec<f32> = (i..i + 7).map(|at| {
                    let at = at.abs_diff(3);
                    values[if at < frames { at } else { 2 * (frames - 1) - at }]
                }).collect();
                seen.sort_unstable_by(f32::total_cmp);
                prop_assert_eq!(found, seen[3]);
            }
        }

        #[test]
        fn the_path_is_monotonic_whole_and_cheapest(
            (values, frames) in (1usize..5, 1usize..6).prop_flat_map(|(tokens, frames)| {
                (proptest::collection::vec(-1.0f32..1.0, tokens * frames), Just(frames))
            })
        ) {
            let grid = Grid::new(values, frames);
            let spans = warp(&grid);
            prop_assert_eq!(spans[0].0, 0);
            prop_assert_eq!(spans[spans.len() - 1].1, frames - 1);
            for pair in spans.windows(2) {
                prop_assert!(pair[1].0 == pair[0].1 || pair[1].0 == pair[0].1 + 1);
            }
            let best = cheapest(&grid, grid.tokens() - 1, frames - 1);
            prop_assert!((cost_of(&grid, &spans) - best).abs() < 1e-5);
        }
    }
}
