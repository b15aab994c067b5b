//! Rows of activations as bytes.

use super::{GROUP, TILE_OF_ROWS, groups};
use crate::kernels::math::{LANES, gather, range};

/// A row whose values range over more than this many times their root mean square gets a second byte: a few of its
/// values are so large that one step of a byte is a good part of the others. In MiniLM that is one row in ten, and without
/// it the cosine of a sentence's vector to full precision falls from 0.996 to 0.990.
const PEAKED: f32 = 16.0;
/// Steps of a row's range: two less than a byte has, since zero and the ends are rounded.
const STEPS: f32 = 253.0;

/// Rows in 8 bits, each padded to whole groups.
pub(super) struct Activations {
    pub bytes: Vec<i8>,
    pub rows: Vec<Row>,
    /// What one byte leaves of the peaked rows.
    pub rest: Option<Box<Self>>,
}

/// An activation is `scale * (byte - zero)`.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// The row's number in the product.
    pub place: usize,
    /// NaN for a row that is not finite, so that what is made of it is NaN too.
    pub scale: f32,
    pub zero: i32,
    /// The sum of the bytes: what a weight's zero counts for.
    pub total: i32,
}

impl Activations {
    /// Rows of `inputs` elements that begin `stride` apart; in `wide` ones all have a second byte.
    pub fn new(x: &[f32], rows: usize, stride: usize, inputs: usize, wide: bool) -> Self {
        let mut these = Self::with_room(rows, inputs);
        let mut peaked = Vec::new();
        for place in 0..rows {
            let x = &x[place * stride..][..inputs];
            if these.push(place, x) || wide {
                peaked.push(place);
            }
        }
        if !peaked.is_empty() {
            let (width, mut left) = (groups(inputs) * GROUP, vec![0.0; inputs]);
            let mut rest = Self::with_room(peaked.len(), inputs);
            for place in peaked {
                let Row { scale, zero, .. } = these.rows[place];
                leave(
                    &x[place * stride..][..inputs],
                    &these.bytes[place * width..][..inputs],
                    (scale, zero),
                    &mut left,
                );
                rest.push(place, &left);
            }
            these.rest = Some(Box::new(rest));
        }
        these
    }

    fn with_room(rows: usize, inputs: usize) -> Self {
        // Tiles of rows read whole ones.
        let bytes = vec![0; rows.next_multiple_of(TILE_OF_ROWS) * groups(inputs) * GROUP];
        Self { bytes, rows: Vec::with_capacity(rows), rest: None }
    }

    /// Says whether the row is peaked.
    fn push(&mut self, place: usize, x: &[f32]) -> bool {
        let width = groups(x.len()) * GROUP;
        let (row, peaked) = quantize(x, &mut self.bytes[self.rows.len() * width..][..x.len()]);
        self.rows.push(Row { place, ..row });
        peaked
    }
}

/// Added, it brings a number's nearest whole one into the low bits of the sum.
const ROUND: f32 = 12_582_912.0;

/// Of a row that is not finite.
const NOT_FINITE: Row = Row { place: 0, scale: f32::NAN, zero: 0, total: 0 };

vectorized! {
    /// A row to bytes, and whether it is peaked.
    fn quantize<'a>(x: &'a [f32], bytes: &'a mut [i8]) -> (Row, bool) {
        let (low, high) = range(x, 0.0);
        if !low.is_finite() || !high.is_finite() {
            return (NOT_FINITE, false);
        }
        // Of halves, since the range may not be finite.
        let half = (0.5 * high - 0.5 * low) / STEPS;
        // The inverse of a tiny number would not be.
        let inverse = if half > 1e-30 { 0.5 / half } else { 0.0 };
        let shift = (-127.0 - low * inverse + ROUND) - ROUND + ROUND;
        let zero = shift - ROUND;
        let (mut totals, mut squares) = ([0i32; LANES], [0.0f32; LANES]);
        let (chunks, rest) = x.as_chunks::<LANES>();
        let (whole, bytes_rest) = bytes.as_chunks_mut::<LANES>();
        let mut put = |i: usize, x: f32| {
            let steps = x * inverse;
            squares[i] += steps * steps;
            let bits = (steps + shift).to_bits();
            totals[i] = totals[i].wrapping_add(bits.wrapping_sub(ROUND.to_bits()) as i32);
            bits as i8
        };
        for (bytes, x) in whole.iter_mut().zip(chunks) {
            for i in 0..LANES {
                bytes[i] = put(i, x[i]);
            }
        }
        for (i, (byte, x)) in bytes_rest.iter_mut().zip(rest).enumerate() {
            *byte = put(i, *x);
        }
        let squares = gather(squares, |a, b| a + b);
        // NaN is neither less nor greater than anything, and shows here.
        if squares.is_nan() {
            return (NOT_FINITE, false);
        }
        let total = gather(totals, i32::wrapping_add);
        let row = Row { place: 0, scale: 2.0 * half, zero: zero as i32, total };
        (row, STEPS * STEPS * x.len() as f32 > PEAKED * PEAKED * squares && inverse > 0.0)
    }
}

vectorized! {
    /// What the bytes leave of a row.
    fn leave<'a>(x: &'a [f32], bytes: &'a [i8], row: (f32, i32), left: &'a mut [f32]) -> () {
        let (scale, zero) = row;
        for ((left, x), byte) in left.iter_mut().zip(x).zip(bytes) {
            *left = x - (i32::from(*byte) - zero) as f32 * scale;
        }
    }
}
