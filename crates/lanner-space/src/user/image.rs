//! Reads the sizes of an image or a signal.

use super::read::Field;

/// Largest height and width of an image, and length of a signal.
const LARGEST: i64 = 1024;
const LONGEST: i64 = 1_000_000;

/// Reads channels, height and width from `[channels, height, width]`, or `[channels, length]` of a signal,
/// whose height is 1.
pub(super) fn image(field: &Field) -> Result<[u32; 3], String> {
    let items = field.items();
    if let [_, height, _] = &items[..]
        && height.integer(1, 1).is_ok()
    {
        return field.fail("a height of 1 is that of a signal: write [channels, length]");
    }
    let most: &[i64] = match items.len() {
        2 => &[4096, LONGEST],
        3 => &[4096, LARGEST, LARGEST],
        _ => {
            return field.expected("[channels, height, width], or [channels, length] of a signal");
        }
    };
    let sizes = items.iter().zip(most).map(|(item, &most)| item.integer(1, most));
    let sizes = sizes.map(|n| n.map(|n| n as u32)).collect::<Result<Vec<u32>, String>>()?;
    Ok(match sizes[..] {
        [channels, length] => [channels, 1, length],
        [channels, height, width] => [channels, height, width],
        _ => [1, 1, 1],
    })
}
