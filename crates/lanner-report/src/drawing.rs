//! Draws architectures, each once, within the size that a page may have.

use std::collections::HashMap;

use lanner_network::{Diagram, View};
use lanner_space::{Architecture, Space};

/// Largest number of bytes of all drawings together.
const ROOM: usize = 1_800_000;

/// Width of a drawing at which its text is legible on a phone, pixels.
const WIDTH: f64 = 345.0;

pub(crate) struct Drawings {
    space: Space,
    made: HashMap<Architecture, Option<String>>,
    left: usize,
}

impl Drawings {
    pub fn new(space: Space) -> Drawings {
        Drawings { space, made: HashMap::new(), left: ROOM }
    }

    /// Draws the cell as SVG, without operations that are not computed. `None` where there is no cell,
    /// or when earlier drawings took all the room.
    pub fn of(&mut self, arch: &Architecture) -> Option<&str> {
        if !self.made.contains_key(arch) {
            let svg = self.draw(arch).filter(|svg| svg.len() <= self.left);
            self.left -= svg.as_ref().map_or(0, String::len);
            self.made.insert(arch.clone(), svg);
        }
        self.made.get(arch)?.as_deref()
    }

    fn draw(&self, arch: &Architecture) -> Option<String> {
        if self.left < 1000 {
            return None;
        }
        let diagram = Diagram::cell(&self.space, arch, View::Pruned).ok()?;
        Some(diagram.narrow_svg(WIDTH))
    }
}
