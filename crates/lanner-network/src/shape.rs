use std::fmt;

/// Shape of a feature map of one image: channels × height × width, without the batch.
///
/// A vector, such as the scores of the classes, has height and width 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    pub channels: usize,
    /// Height, in pixels.
    pub height: usize,
    /// Width, in pixels.
    pub width: usize,
}

impl Shape {
    pub fn new(channels: usize, height: usize, width: usize) -> Shape {
        Shape { channels, height, width }
    }

    /// A vector of `features` features.
    pub fn vector(features: usize) -> Shape {
        Shape::new(features, 1, 1)
    }

    /// Whether height and width are 1.
    pub fn is_vector(&self) -> bool {
        self.height == 1 && self.width == 1
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.channels.saturating_mul(self.height).saturating_mul(self.width)
    }

    /// Whether there are no values; no layer has such an output.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Size as 32-bit floats, in bytes.
    pub fn bytes(&self) -> u64 {
        (self.len() as u64).saturating_mul(4)
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
