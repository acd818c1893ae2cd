//! A section of the page with a plot, its heading, its legend and a caption.

use crate::plot::{Mark, Plot};
use crate::text::escape;

/// A section of the page with a plot.
pub(crate) struct Figure {
    pub id: &'static str,
    pub heading: String,
    pub plot: Plot,
    pub keys: Vec<(Key, String)>,
    /// Sentences that tell what the plot shows; a screen reader reads them first.
    pub caption: String,
}

/// Swatch beside a word of the legend.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key {
    Mark(Mark),
    /// A line of this class.
    Line(&'static str),
}

impl Figure {
    pub fn html(self) -> String {
        let Figure { id, heading, plot, keys, caption } = self;
        let mut legend = String::new();
        for (key, words) in keys {
            let swatch = match key {
                Key::Mark(mark) => {
                    format!("{} class=\"m {}\"/>", mark.shape(12.0, 8.0), mark.class())
                }
                Key::Line(class) => format!("<path class=\"line {class}\" d=\"M1 8H23\"/>"),
            };
            legend += &format!(
                "<li><svg class=\"key\" viewBox=\"0 0 24 16\" aria-hidden=\"true\">{swatch}</svg>{}\
                 </li>",
                escape(&words)
            );
        }
        let caption = escape(&caption);
        let image = plot.svg(id, &heading);
        let heading = escape(&heading);
        format!(
            "<section id=\"{id}\" class=\"card figure\" aria-labelledby=\"{id}-h\">\n\
             <h2 id=\"{id}-h\">{heading}</h2>\n<ul class=\"legend\">{legend}</ul>\n{image}\
             <p class=\"caption\">{caption}</p>\n</section>\n"
        )
    }
}
