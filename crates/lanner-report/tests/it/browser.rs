//! The page in a real browser: Chromium without a window, if there is one.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Stands before everything else in a page: collects errors, then looks and works the page by its
/// events, and tells the page around it.
const PROBE: &str = r#"<script>
const errors = [];
addEventListener("error", e => errors.push(e.message));
addEventListener("securitypolicyviolation", e => errors.push("blocked: " + e.blockedURI));
const wait = ms => new Promise(r => setTimeout(r, ms));
// The least contrast of a text with what is behind it, as WCAG 2 counts it.
const luminance = color => {
  const [r, g, b] = color.match(/[\d.]+/g).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = () => {
  let least = [21, ""];
  const written = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  for (const e of [...document.querySelectorAll("header *, main *, footer *")].filter(written)) {
    const style = getComputedStyle(e);
    let behind = e;
    while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
    const a = luminance(e.closest("svg") ? style.fill : style.color);
    const b = luminance(getComputedStyle(behind).backgroundColor);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least[0]) least = [ratio, e.outerHTML.slice(0, 80)];
  }
  return least;
};
addEventListener("load", async () => {
  const found = { errors };
  try {
    found.dark = matchMedia("(prefers-color-scheme: dark)").matches;
    found.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    // Outside of the table, which scrolls in its box, nothing sticks out; its architectures neither.
    found.out = [...document.querySelectorAll("main *")]
      .filter(e => e.matches(".arch") || !e.closest(".scroll, .plot"))
      .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth)
      .map(e => e.outerHTML.slice(0, 80));
    found.contrast = contrast();
    // A card says more than its heading.
    found.empty = [...document.querySelectorAll("section.card")]
      .filter(s => s.textContent.trim().length < s.querySelector("h2").textContent.length + 12)
      .map(s => s.id);
    // No text of a plot, and no mark, is cut off by the card.
    found.cut = [...document.querySelectorAll(".plot text, .plot .m")].filter(e => {
      const [a, b] = [e.getBoundingClientRect(), e.closest(".card").getBoundingClientRect()];
      return a.left < b.left || a.right > b.right || a.top < b.top || a.bottom > b.bottom;
    }).map(e => e.outerHTML.slice(0, 80));
    // Networks over the limit are shown beyond its line.
    const line = document.querySelector("[id=front] path.limit");
    found.beyond = line && [...document.querySelectorAll("[id=front] .m.over")]
      .some(m => m.getBoundingClientRect().left > line.getBoundingClientRect().right);
    found.moving = document.getAnimations().length;
    const figures = document.querySelector(".figures"), last = figures?.lastElementChild;
    found.hole = figures ? figures.getBoundingClientRect().right - last.getBoundingClientRect().right : 0;
    const marks = [...document.querySelectorAll(".plot .m")];
    found.marks = marks.length;
    found.unnamed = marks.filter(m => !m.getAttribute("aria-label") || m.getAttribute("role") !== "button").length;
    found.stops = [...document.querySelectorAll(".plot")].filter(p => p.querySelector(".m"))
      .map(p => p.querySelectorAll(".m[tabindex='0']").length);
    found.images = await Promise.all([...document.images].map(async i => (await i.decode(), i.naturalWidth)));
    // Text in drawings has 12 pixels at their own size.
    found.drawing = Math.min(99, ...[...document.querySelectorAll("main img")].map(i => 12 * i.width / i.naturalWidth));
    const small = [...document.querySelectorAll(".plot text")].map(t => t.getBoundingClientRect().height);
    found.text = Math.min(99, ...small);
    const dialog = document.getElementById("details");
    const mark = document.querySelector(".plot .m[tabindex='0']");
    if (mark) {
      const key = name => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
      mark.focus();
      key("ArrowRight"); key("ArrowLeft"); key("End");
      found.moved = document.activeElement.classList.contains("m");
      const last = document.activeElement;
      const width = e => parseFloat(getComputedStyle(e).strokeWidth) || 0;
      const others = [...last.closest(".plot").querySelectorAll(".m:not(:focus)")];
      found.focus = others.every(m => width(m) < width(last));
      last.dispatchEvent(new PointerEvent("pointerover", { bubbles: true, clientX: 200, clientY: 100 }));
      found.tip = !document.getElementById("tip").hidden && document.getElementById("tip").textContent;
      key("Enter");
      found.details = dialog.open && dialog.textContent;
      const image = dialog.querySelector("img");
      if (image) { await image.decode(); found.drawn = image.naturalWidth; }
      dialog.close();
      for (let n = 0; n < 40 && document.activeElement !== last; n++) await wait(50);
      found.back = document.activeElement === last;
      // A click on what is on the front.
      const front = document.querySelector("section[id=front] .plot .m.front");
      if (front) {
        front.dispatchEvent(new MouseEvent("click", { bubbles: true }));
        found.clicked = dialog.open && dialog.textContent.startsWith(`CloseTrial ${front.dataset.t} `);
        dialog.close();
      }
    }
    const head = document.querySelectorAll("table.sortable th button")[1];
    if (head) {
      const values = () => [...document.querySelectorAll("table.sortable tbody")].map(b => Number(b.rows[0].cells[1].dataset.v));
      head.click();
      const up = values();
      head.click();
      const down = values();
      found.sorted = up.every((v, i) => i === 0 || up[i - 1] <= v) && down.every((v, i) => i === 0 || down[i - 1] >= v);
    }
  } catch (e) { errors.push(String(e)); }
  parent.postMessage(found, "*");
});
</script>
"#;

/// Shows all pages in frames and lists what their probes tell.
const FRAMES: &str = r#"<!DOCTYPE html><html><body><pre id="found"></pre><script>
const names = NAMES, found = {};
addEventListener("message", e => {
  for (const frame of document.querySelectorAll("iframe"))
    if (frame.contentWindow === e.source) found[frame.name] = e.data;
  document.getElementById("found").textContent = JSON.stringify(found).replaceAll("<", "\\u003c").replaceAll("&", "\\u0026").replaceAll(">", "\\u003e");
  document.title = Object.keys(found).length;
});
for (const [name, width, scheme] of names) {
  const frame = document.createElement("iframe");
  frame.name = [name, width, scheme].join(" ");
  frame.style = `width: ${width}px; height: 800px; border: 0; color-scheme: ${scheme}`;
  frame.src = name + ".html";
  document.body.append(frame);
}
</script></body></html>"#;

fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path).flat_map(|d| names.map(|n| d.join(n))).find(|f| f.is_file())
}

/// Returns what Chromium prints: the page's elements, and its log.
fn dump(chromium: &Path, folder: &Path, page: &Path) -> (String, String) {
    run(
        chromium,
        folder,
        page,
        &["--window-size=1300,900", "--enable-logging=stderr", "--dump-dom"],
    )
}

fn run(chromium: &Path, folder: &Path, page: &Path, more: &[&str]) -> (String, String) {
    let out = Command::new("timeout")
        .arg("120")
        .arg(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--virtual-time-budget=20000"])
        .args(more)
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(out.stdout), text(out.stderr))
}

/// Widths and schemes in which each page is looked at: all of some, the extremes of the others.
fn frames_of<'n>(names: &[&'n str]) -> Vec<(&'n str, u32, &'static str)> {
    let mut all = Vec::new();
    for &name in names {
        for width in [400, 800, 1280] {
            for scheme in ["light", "dark"] {
                let is_extreme =
                    (width, scheme) == (400, "dark") || (width, scheme) == (1280, "light");
                match name {
                    "limited" | "chain" | "cells" | "four" => all.push((name, width, scheme)),
                    // It takes its time.
                    "large" if width == 400 => {}
                    _ if is_extreme => all.push((name, width, scheme)),
                    _ => {}
                }
            }
        }
    }
    all
}

/// Writes screenshots of a page at three widths, light and dark, for people to look at.
fn shoot(chromium: &Path, folder: &Path, name: &str) {
    for scheme in ["light", "dark"] {
        let frame = |width: u32| {
            format!(
                "<iframe src=\"{name}.html\" style=\"width: {width}px; height: 2400px; border: 0; \
                 color-scheme: {scheme}\"></iframe>"
            )
        };
        let frames: String = [400, 800, 1280].map(frame).concat();
        let sheet = folder.join("sheet.html");
        std::fs::write(&sheet, format!("<!DOCTYPE html><body>{frames}</body>")).unwrap();
        let image =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{name}-{scheme}.png"));
        let _ = std::fs::remove_file(&image);
        let shot = format!("--screenshot={}", image.display());
        run(chromium, folder, &sheet, &["--window-size=2540,2440", &shot]);
        let png = std::fs::read(&image).unwrap();
        let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        assert_eq!((side(16), side(20)), (2540, 2440), "{}", image.display());
        // An image of nothing is a few thousand bytes.
        assert!(png.len() > 100_000, "{}", image.display());
    }
}

#[test]
fn pages_work_in_a_browser() {
    let Some(chromium) = chromium() else {
        return lanner_testing::skip("no chromium on the path (apt-get install chromium)");
    };
    let folder = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for (name, report) in crate::common::all() {
        if ["limited", "chain"].contains(&name) {
            let plain = folder.path().join(format!("plain-{name}.html"));
            std::fs::write(plain, report.html()).unwrap();
        }
        let page = report.html().replacen("<head>\n", &format!("<head>\n{PROBE}"), 1);
        std::fs::write(folder.path().join(format!("{name}.html")), page).unwrap();
        names.push(name);
    }
    let frames = folder.path().join("frames.html");
    let frames_of = frames_of(&names);
    // A few at a time, so that each has its share of the browser's time.
    for some in frames_of.chunks(7) {
        let list = serde_json::to_string(some).unwrap();
        std::fs::write(&frames, FRAMES.replace("NAMES", &list)).unwrap();
        let (dom, log) = dump(&chromium, folder.path(), &frames);
        let console: Vec<&str> = log.lines().filter(|l| l.contains("CONSOLE")).collect();
        assert!(console.is_empty(), "{console:#?}");
        let json = dom.split("<pre id=\"found\">").nth(1).and_then(|s| s.split("</pre>").next());
        let found: serde_json::Value =
            serde_json::from_str(json.unwrap_or_else(|| panic!("{log}"))).unwrap();
        for &(name, width, scheme) in some {
            let f = &found[format!("{name} {width} {scheme}")];
            let at = format!("{name} at {width} px, {scheme}: {f}");
            assert!(f["errors"].as_array().is_some_and(Vec::is_empty), "{at}");
            assert_eq!(f["dark"], scheme == "dark", "{at}");
            assert!(f["empty"].as_array().is_some_and(Vec::is_empty), "{at}");
            assert!(f["cut"].as_array().is_some_and(Vec::is_empty), "{at}");
            assert!(f["drawing"].as_f64() >= Some(8.5), "{at}");
            assert!(name != "limited" || f["beyond"] == true, "{at}");
            assert!(f["overflow"].as_f64().unwrap() <= 0.0, "{at}");
            assert!(f["out"].as_array().unwrap().is_empty(), "{at}");
            assert!(f["contrast"][0].as_f64().unwrap() >= 4.5, "{at}");
            assert_eq!(f["moving"], 0, "{at}");
            assert!(f["hole"].as_f64().unwrap().abs() < 1.0, "{at}");
            assert_eq!(f["unnamed"], 0, "{at}");
            assert!(f["text"].as_f64().unwrap() >= 10.9, "{at}");
            assert!(f["stops"].as_array().unwrap().iter().all(|n| n == 1), "{at}");
            assert!(
                f["images"].as_array().unwrap().iter().all(|w| w.as_f64() > Some(20.0)),
                "{at}"
            );
            let works = !["empty", "failed"].contains(&name);
            assert_eq!(f["marks"].as_f64() > Some(0.0), works, "{at}");
            if works {
                assert_eq!((&f["moved"], &f["back"]), (&true.into(), &true.into()), "{at}");
                assert_eq!(f["sorted"], true, "{at}");
                assert_eq!(f["focus"], true, "{at}");
                let has_front = name != "plain";
                assert_eq!(f["clicked"] == true, has_front, "{at}");
                assert!(f["tip"].as_str().is_some_and(|t| t.contains("trial")), "{at}");
                assert!(
                    f["details"].as_str().is_some_and(|t| t.contains("lanner network")),
                    "{at}"
                );
                // The drawings of a large study end where their room does.
                if name != "large" {
                    assert!(f["drawn"].as_f64() > Some(20.0), "{at}");
                }
            }
        }
    }
    shoot(&chromium, folder.path(), "plain-limited");
    shoot(&chromium, folder.path(), "plain-chain");
}
