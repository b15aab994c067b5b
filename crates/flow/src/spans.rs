//! Stretches of time: half-open spans in milliseconds.

/// Start and end.
pub(crate) type Span = (i64, i64);

/// The stretches covered by at least `depth` of the spans, in order and apart from each other.
pub(crate) fn covered(spans: impl IntoIterator<Item = Span>, depth: i32) -> Vec<Span> {
    let mut edges: Vec<(i64, i32)> =
        spans.into_iter().filter(|(start, end)| start < end).flat_map(|(start, end)| [(start, 1), (end, -1)]).collect();
    // At equal times the ends come first, and touching stretches are joined below.
    edges.sort_unstable();
    let (mut found, mut under, mut since): (Vec<Span>, i32, i64) = (Vec::new(), 0, 0);
    for (at, step) in edges {
        let before = under;
        under += step;
        if before < depth && under >= depth {
            since = at;
        } else if before >= depth && under < depth {
            match found.last_mut() {
                Some(last) if last.1 == since => last.1 = at,
                _ => found.push((since, at)),
            }
        }
    }
    found.retain(|(start, end)| start < end);
    found
}

/// Time covered by stretches that lie apart.
pub(crate) fn length(apart: &[Span]) -> i64 {
    apart.iter().map(|(start, end)| end - start).sum()
}

/// Time of the span that stretches, which lie apart, cover.
pub(crate) fn shared(span: Span, apart: &[Span]) -> i64 {
    apart.iter().map(|(start, end)| (span.1.min(*end) - span.0.max(*start)).max(0)).sum()
}

/// Longest time between 0 and `end` that stretches, which are in order, leave open.
pub(crate) fn longest_gap(apart: &[Span], end: i64) -> i64 {
    let starts = apart.iter().map(|s| s.0).chain([end]);
    let ends = [0].into_iter().chain(apart.iter().map(|s| s.1));
    starts.zip(ends).map(|(start, end)| start - end).max().unwrap_or(0).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage() {
        let spans = [(0, 10), (5, 20), (20, 25), (40, 50), (40, 45), (30, 30)];
        assert_eq!(covered(spans, 1), [(0, 25), (40, 50)]);
        assert_eq!(covered(spans, 2), [(5, 10), (40, 45)]);
        assert_eq!(covered(spans, 3), []);
        assert_eq!(length(&covered(spans, 1)), 35);
        assert_eq!(shared((8, 42), &covered(spans, 1)), 19);
        assert_eq!(longest_gap(&covered(spans, 1), 70), 20);
        assert_eq!(longest_gap(&[], 70), 70);
    }
}
