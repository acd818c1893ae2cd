use std::fmt;

/// The shape of one image's feature map: channels × height × width, the batch left out.
///
/// A vector, such as the classes' scores, has height and width 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    pub channels: usize,
    /// Rows, pixels.
    pub height: usize,
    /// Columns, pixels.
    pub width: usize,
}

impl Shape {
    pub fn new(channels: usize, height: usize, width: usize) -> Shape {
        Shape { channels, height, width }
    }

    /// A vector of that many features.
    pub fn vector(features: usize) -> Shape {
        Shape::new(features, 1, 1)
    }

    /// Height and width are 1.
    pub fn is_vector(&self) -> bool {
        self.height == 1 && self.width == 1
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// True without any value; no layer has such an output.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size in memory as 32-bit floats, bytes.
    pub fn bytes(&self) -> u64 {
        4 * self.len() as u64
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_vector() {
            true => write!(f, "{}", self.channels),
            false => write!(f, "{}×{}×{}", self.channels, self.height, self.width),
        }
    }
}
