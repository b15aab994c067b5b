//! How much fits on a device at once.

use candle_core::{Device, Error, Result};
use std::ops::Range;

/// The share of a card's free memory that a batch may plan with; the rest is for what cannot be counted beforehand.
#[cfg(feature = "cuda")]
const SHARE: f64 = 0.7;
/// Rows of a batch where memory tells nothing: on the processor and on devices that do not say what is free.
const ROWS: usize = 8;
/// The most rows: beyond, a card gains nothing.
#[cfg(feature = "cuda")]
const MOST_ROWS: usize = 128;

/// The rows of a batch whose rows take so many bytes each.
pub(crate) fn rows(device: &Device, bytes_a_row: usize) -> usize {
    #[cfg(feature = "cuda")]
    if device.is_cuda() {
        use candle_core::cuda_backend::cudarc::driver::result::mem_get_info;
        if let Ok((free, _)) = mem_get_info() {
            return ((free as f64 * SHARE) as usize / bytes_a_row.max(1)).clamp(1, MOST_ROWS);
        }
    }
    let _ = (device, bytes_a_row);
    ROWS
}

/// Runs `count` rows in batches of at most `rows`; while one runs, `prepare` makes what the next one needs. Where a batch finds
/// no room, it and all after it are halved; a row alone that finds none is an error.
pub(crate) fn in_batches<P: Send, T: Send>(
    count: usize,
    mut rows: usize,
    prepare: impl Fn(Range<usize>) -> P + Sync,
    mut run: impl FnMut(Range<usize>, P) -> Result<Vec<T>> + Send,
) -> Result<Vec<T>> {
    let from = |at: usize, rows: usize| at..(at + rows.max(1)).min(count);
    let mut done = Vec::with_capacity(count);
    let mut batch = from(0, rows);
    let mut prepared = prepare(batch.clone());
    while !batch.is_empty() {
        let next = from(batch.end, rows);
        let (found, ahead) = rayon::join(|| run(batch.clone(), prepared), || prepare(next.clone()));
        match found {
            Ok(results) => {
                done.extend(results);
                (batch, prepared) = (next, ahead);
            }
            Err(error) if is_out_of_memory(&error) && batch.len() > 1 => {
                rows = batch.len() / 2;
                batch = from(batch.start, rows);
                prepared = prepare(batch.clone());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Neither candle nor the drivers below it tell this in any other way.
pub(crate) fn is_out_of_memory(error: &Error) -> bool {
    error.to_string().to_lowercase().replace('_', " ").contains("out of memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_halve_until_they_fit() {
        let mut tried = Vec::new();
        let done = in_batches(10, 8, Range::sum, |batch, sum: usize| {
            assert_eq!(sum, batch.clone().sum::<usize>(), "what was prepared is of another batch");
            tried.push(batch.len());
            if batch.len() > 3 { Err(Error::Msg("CUDA_ERROR_OUT_OF_MEMORY".into())) } else { Ok(batch.collect()) }
        });
        assert_eq!(done.unwrap(), (0..10).collect::<Vec<_>>());
        assert_eq!(tried, [8, 4, 2, 2, 2, 2, 2]);
        assert!(in_batches(1, 8, |_| (), |_, ()| Err::<Vec<()>, _>(Error::Msg("out of memory".into()))).is_err());
        assert!(in_batches(4, 4, |_| (), |_, ()| Err::<Vec<()>, _>(Error::Msg("shape mismatch".into()))).is_err());
    }
}
