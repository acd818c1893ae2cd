//! Drawings of architectures, each made once, within what a page may weigh.

use std::collections::HashMap;

use lanner_network::{Diagram, View};
use lanner_space::Space;

/// Bytes of all drawings.
const ROOM: usize = 1_800_000;

pub(crate) struct Drawings {
    space: Option<Space>,
    made: HashMap<String, Option<String>>,
    left: usize,
}

impl Drawings {
    pub fn new(space: Option<Space>) -> Drawings {
        Drawings { space, made: HashMap::new(), left: ROOM }
    }

    /// The cell as SVG: what is computed only. `None` for what is not of the space, or when the
    /// drawings before took all the room.
    pub fn of(&mut self, arch: &str) -> Option<&str> {
        if !self.made.contains_key(arch) {
            let svg = self.draw(arch).filter(|svg| svg.len() <= self.left);
            self.left -= svg.as_ref().map_or(0, String::len);
            self.made.insert(arch.into(), svg);
        }
        self.made.get(arch)?.as_deref()
    }

    fn draw(&self, text: &str) -> Option<String> {
        if self.left < 1000 {
            return None;
        }
        let space = self.space.as_ref()?;
        let arch = space.parse(text).ok()?;
        let diagram = Diagram::cell(space, &arch, View::Pruned).ok()?;
        Some(Diagram::svg("", &[Diagram { title: String::new(), ..diagram }]))
    }
}
