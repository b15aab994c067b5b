//! Pages of Ogg (RFC 3533).

use crate::window::Window;
use std::io;

const HEADER: usize = 27;
/// Bytes that are looked through for the next page at once.
const LOOK: usize = 1 << 16;

/// One page.
pub(crate) struct Page {
    /// Whether its first packet began on the page before.
    pub continued: bool,
    /// Whether it is the first, or the last, of its stream.
    pub first: bool,
    pub last: bool,
    /// Where its last packet ends; negative where none ends.
    pub granule: i64,
    pub serial: u32,
    pub sequence: u32,
    /// Lengths of the segments; a packet ends with one below 255.
    pub lacing: Vec<u8>,
    pub body: Vec<u8>,
    /// Bytes before it that are no page.
    pub spoiled: u64,
}

impl Page {
    /// A page from its header and these segments of its body.
    fn of(bytes: &[u8], body: usize, lacing: Vec<u8>, spoiled: u64) -> Self {
        let length = lacing.iter().map(|&b| usize::from(b)).sum::<usize>();
        Self {
            continued: bytes[5] & 1 != 0,
            first: bytes[5] & 2 != 0,
            last: bytes[5] & 4 != 0,
            granule: number(&bytes[6..14]).cast_signed(),
            serial: number(&bytes[14..18]) as u32,
            sequence: number(&bytes[18..22]) as u32,
            lacing,
            body: bytes[body..body + length].to_vec(),
            spoiled,
        }
    }
}

/// A source, page by page.
pub(crate) struct Pages {
    window: Window,
    /// Whether the source ended within a page.
    pub cut: bool,
}

impl Pages {
    pub fn new(window: Window) -> Self {
        Self { window, cut: false }
    }

    /// The next page whose checksum is right, or what there is of one that the source ends within; none at the end.
    pub fn next(&mut self) -> Option<Page> {
        let mut spoiled = 0;
        loop {
            let bytes = self.window.peek(HEADER + 255);
            if bytes.len() < HEADER {
                self.cut |= bytes.starts_with(b"OggS");
                return None;
            }
            if bytes.starts_with(b"OggS") && bytes[4] == 0 {
                let lacing = bytes[HEADER..].iter().take(usize::from(bytes[26])).copied().collect::<Vec<u8>>();
                let body = HEADER + usize::from(bytes[26]);
                let length = body + lacing.iter().map(|&b| usize::from(b)).sum::<usize>();
                let bytes = self.window.peek(length);
                match bytes.get(..length) {
                    Some(bytes) if checksum(bytes) == number(&bytes[22..26]) as u32 => {
                        let page = Page::of(bytes, body, lacing, spoiled);
                        self.window.skip(length as u64);
                        self.cut = false;
                        return Some(page);
                    }
                    Some(_) => {}
                    // If others follow, its lengths are spoiled and not its end.
                    None if bytes[4..].windows(4).any(|bytes| bytes == b"OggS") => {}
                    None => {
                        self.cut = true;
                        // What is whole of it is sound as well; its checksum and its place are of the whole page.
                        let mut end = body;
                        let whole = lacing.iter().take_while(|&&b| {
                            end += usize::from(b);
                            end <= bytes.len()
                        });
                        let lacing: Vec<u8> = whole.copied().collect();
                        if !lacing.is_empty() {
                            let mut page = Page::of(bytes, body, lacing, spoiled);
                            (page.first, page.last, page.granule) = (false, false, -1);
                            let left = bytes.len() as u64;
                            self.window.skip(left);
                            return Some(page);
                        }
                    }
                }
            }
            // A page that is cut off or spoiled may have whole ones after its first bytes.
            let bytes = self.window.peek(LOOK);
            let next = (1..bytes.len())
                .find(|&at| bytes[at] == b'O' && b"OggS".starts_with(&bytes[at..bytes.len().min(at + 4)]));
            let step = next.unwrap_or(bytes.len()) as u64;
            self.window.skip(step);
            spoiled += step;
        }
    }

    pub fn position(&self) -> u64 {
        self.window.position()
    }

    pub fn go_to(&mut self, position: u64) -> io::Result<()> {
        self.cut = false;
        self.window.go_to(position)
    }

    pub fn trouble(&self) -> Option<String> {
        self.window.trouble().map(str::to_owned)
    }

    pub fn into_window(self) -> Window {
        self.window
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))
}

/// The checksum of a page, over all its bytes but for the four that hold it.
fn checksum(page: &[u8]) -> u32 {
    let step = |sum: u32, byte: u8| sum << 8 ^ TABLE[usize::from((sum >> 24) as u8 ^ byte)];
    let sum = page[..22].iter().chain(&[0; 4]).fold(0, |sum, &byte| step(sum, byte));
    page[26..].iter().fold(sum, |sum, &byte| step(sum, byte))
}

/// CRC-32 with the polynomial 0x04c11db7, most significant bit first.
static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let (mut sum, mut bit) = ((i as u32) << 24, 0);
        while bit < 8 {
            sum = if sum & 1 << 31 == 0 { sum << 1 } else { sum << 1 ^ 0x04c1_1db7 };
            bit += 1;
        }
        table[i] = sum;
        i += 1;
    }
    table
};

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Cursor;

    /// A page with these segments.
    pub(crate) fn page(flags: u8, granule: i64, serial: u32, sequence: u32, lacing: &[u8]) -> Vec<u8> {
        let mut page = b"OggS\0".to_vec();
        page.push(flags);
        page.extend(granule.to_le_bytes());
        page.extend(serial.to_le_bytes());
        page.extend(sequence.to_le_bytes());
        page.extend([0; 4]);
        page.push(lacing.len() as u8);
        page.extend(lacing);
        page.extend(lacing.iter().flat_map(|&length| vec![length; usize::from(length)]));
        let sum = checksum(&page);
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        page
    }

    #[test]
    fn spoiled_pages_are_passed_over() {
        let mut file = b"no page".to_vec();
        file.extend(page(2, 0, 7, 0, &[19]));
        let mut spoiled = page(0, 960, 7, 1, &[200, 100]);
        spoiled[100] ^= 1;
        file.extend(&spoiled);
        file.extend(page(0, 1920, 7, 2, &[255, 3]));
        file.extend(&page(4, 2880, 7, 3, &[9, 7])[..40]);
        let mut pages = Pages::new(Window::new(Box::new(Cursor::new(file))));
        let first = pages.next().unwrap();
        assert_eq!((first.first, first.serial, first.spoiled, first.body.len()), (true, 7, 7, 19));
        let second = pages.next().unwrap();
        assert_eq!((second.sequence, second.granule, second.spoiled), (2, 1920, spoiled.len() as u64));
        assert_eq!(second.lacing, [255, 3]);
        let cut = pages.next().unwrap();
        assert_eq!((cut.lacing, cut.body.len(), cut.granule, cut.last), (vec![9], 9, -1, false));
        assert!(pages.next().is_none());
        assert!(pages.cut);
    }
}
