//! Arithmetic with powers of ten on decimal digits as text.

/// `text` times a power of ten if it is a decimal number and the product a whole one.
pub(super) fn scaled(text: &str, zeros: u8) -> Option<String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !(whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = usize::from(zeros).checked_sub(fraction.len())?;
    Some(canonical(&format!("{whole}{fraction}{}", "0".repeat(missing))).to_owned())
}

/// Digits without leading zeros.
pub(super) fn canonical(digits: &str) -> &str {
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { "0" } else { digits }
}

/// A whole number whose part below a thousand is multiplied: "two thousand five" "hundred".
pub(super) fn multiplied(digits: &str, zeros: u8) -> String {
    let (above, below) = digits.split_at(digits.len().saturating_sub(3));
    add(&format!("{above}000"), &format!("{below}{}", "0".repeat(zeros.into())))
}

/// The sum of two whole numbers in decimal digits.
fn add(a: &str, b: &str) -> String {
    let (mut a, mut b) = (a.bytes().rev(), b.bytes().rev());
    let (mut sum, mut carry) = (Vec::new(), 0);
    loop {
        let (x, y) = (a.next(), b.next());
        if x.is_none() && y.is_none() && carry == 0 {
            break;
        }
        let digit = x.map_or(0, |d| d - b'0') + y.map_or(0, |d| d - b'0') + carry;
        sum.push(char::from(b'0' + digit % 10));
        carry = digit / 10;
    }
    canonical(&sum.into_iter().rev().collect::<String>()).to_owned()
}

/// Whether a word is a number in digits.
pub(super) fn numeric(word: &str) -> bool {
    let (whole, fraction) = word.split_once('.').unwrap_or((word, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    digits(whole) && digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_exact() {
        assert_eq!(scaled("12.50", 2).as_deref(), Some("1250"));
        assert_eq!(scaled("0.125", 2), None);
        assert_eq!(scaled(".", 2), None);
        assert_eq!(multiplied("2005", 2), "2500");
        assert_eq!(add("999", "1"), "1000");
    }
}
