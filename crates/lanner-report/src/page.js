"use strict";
(() => {
  const tip = document.getElementById("tip");
  const dialog = document.getElementById("details");
  let data = JSON.parse(document.getElementById("data").textContent);
  let opener = null;

  const element = (name, attributes, ...children) => {
    const e = document.createElement(name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    e.append(...children.filter(c => c !== null));
    return e;
  };
  const drawing = trial => trial.drawing === null ? null : element("img", {
    class: "drawing", alt: "drawing of the architecture",
    src: "data:image/svg+xml," + encodeURIComponent(data.drawings[trial.drawing]),
  });

  // Marks: one stop of the Tab key a plot, the arrow keys go from mark to mark, by x.
  const marks = plot => [...plot.querySelectorAll(".m")];
  const prepare = () => {
    for (const plot of document.querySelectorAll(".plot")) {
      const all = marks(plot).filter(m => data.trials[m.dataset.t]);
      for (const m of all) {
        m.setAttribute("role", "button");
        m.setAttribute("aria-label", data.trials[m.dataset.t].short);
        m.setAttribute("tabindex", "-1");
      }
      const first = all.find(m => m.classList.contains("front")) || all[0];
      if (first) first.setAttribute("tabindex", "0");
    }
    for (const table of document.querySelectorAll("table.sortable")) {
      for (const th of table.tHead.rows[0].cells) {
        if (th.firstElementChild) continue;
        th.replaceChildren(element("button", { type: "button" }, th.textContent));
      }
    }
  };
  const middle = m => {
    const box = m.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const move = (mark, step) => {
    const plot = mark.closest(".plot");
    const all = marks(plot).map(m => [...middle(m), m])
      .sort((a, b) => a[0] - b[0] || b[1] - a[1]).map(a => a[2]);
    const at = all.indexOf(mark);
    const to = { first: 0, last: all.length - 1 }[step] ?? Math.max(0, Math.min(all.length - 1, at + step));
    mark.setAttribute("tabindex", "-1");
    all[to].setAttribute("tabindex", "0");
    all[to].focus();
  };

  // What is pointed at, in every plot where it is.
  const point = (mark, x, y) => {
    leave();
    const trial = data.trials[mark.dataset.t];
    if (!trial) return;
    for (const m of document.querySelectorAll(`.plot .m[data-t="${mark.dataset.t}"]`)) m.classList.add("same");
    tip.replaceChildren(element("strong", {}, trial.short), element("code", {}, trial.arch), ...[drawing(trial)].filter(Boolean));
    tip.hidden = false;
    place(x, y);
  };
  const place = (x, y) => {
    const { width, height } = tip.getBoundingClientRect();
    const fits = y + 16 + height < innerHeight;
    tip.style.left = Math.max(8, Math.min(x + 14, innerWidth - width - 8)) + "px";
    tip.style.top = (fits ? y + 16 : Math.max(8, y - height - 14)) + "px";
  };
  const leave = () => {
    tip.hidden = true;
    for (const m of document.querySelectorAll(".m.same")) m.classList.remove("same");
  };

  const show = (id, from) => {
    const trial = data.trials[id];
    if (!trial) return;
    leave();
    opener = from;
    const quoted = "'" + trial.arch.replaceAll("'", "'\\''") + "'";
    const space = /^[\w.-]+$/.test(data.space) ? data.space : "'" + data.space.replaceAll("'", "'\\''") + "'";
    const rows = trial.rows.map(([name, value]) => element("tr", {},
      element("th", { scope: "row" }, name), element("td", {}, value)));
    dialog.replaceChildren(
      element("button", { type: "button", class: "close" }, "Close"),
      element("h2", { id: "details-h" }, `Trial ${id} (${trial.state})`),
      element("p", { class: "code" }, trial.arch),
      drawing(trial),
      element("table", {}, element("tbody", {}, ...rows)),
      ...(trial.note ? [element("pre", {}, trial.note)] : []),
      element("h3", {}, "The network"),
      element("pre", { class: "command" }, `lanner network ${quoted} --space ${space} --onnx network.onnx`),
    );
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  };
  dialog.addEventListener("close", () => {
    // A live page may have replaced what was clicked.
    const same = opener && (opener.isConnected ? opener : again(opener));
    if (same) same.focus({ preventScroll: true });
    leave();
  });

  const sort = (th, descending) => {
    const table = th.closest("table");
    const column = th.cellIndex;
    const key = body => Number(body.rows[0].cells[column].dataset.v ?? NaN);
    const order = (a, b) => {
      const [x, y] = [key(a), key(b)];
      return Number.isNaN(x) ? (Number.isNaN(y) ? 0 : Infinity) : Number.isNaN(y) ? -Infinity : x - y;
    };
    const bodies = [...table.tBodies].sort((a, b) => {
      const o = order(a, b);
      // What is not known comes last in both directions.
      return Math.abs(o) === Infinity ? o : descending ? -o : o;
    });
    table.append(...bodies);
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    th.setAttribute("aria-sort", descending ? "descending" : "ascending");
  };

  document.addEventListener("pointerover", e => {
    const mark = e.target.closest?.(".plot .m");
    if (mark && e.pointerType !== "touch") point(mark, e.clientX, e.clientY);
  });
  document.addEventListener("pointerout", e => { if (e.target.closest?.(".plot .m")) leave(); });
  document.addEventListener("focusin", e => {
    const mark = e.target.closest?.(".plot .m");
    if (mark && mark.matches(":focus-visible")) point(mark, ...middle(mark)); else leave();
  });
  document.addEventListener("scroll", leave, { passive: true });
  document.addEventListener("click", e => {
    const chosen = e.target.closest?.(".plot .m, .arch");
    if (chosen) return show(chosen.dataset.t, chosen);
    const head = e.target.closest?.("table.sortable th");
    if (head) return sort(head, head.getAttribute("aria-sort") === "ascending");
    if (e.target.closest?.(".close") || e.target === dialog) dialog.close();
  });
  document.addEventListener("keydown", e => {
    if (e.key === "Escape") leave();
    const mark = e.target.closest?.(".plot .m");
    if (!mark) return;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 1, ArrowDown: -1, Home: "first", End: "last" }[e.key];
    if (step !== undefined) move(mark, step);
    else if (e.key === "Enter" || e.key === " ") show(mark.dataset.t, mark);
    else return;
    e.preventDefault();
  });

  // The element of the page as it is now that stands where an old one stood.
  const again = old => {
    const section = old.dataset.section;
    if (old.id) return document.getElementById(old.id);
    if (old.dataset.t && section) return document.querySelector(`#${section} [data-t="${old.dataset.t}"]`);
    return null;
  };
  // Puts the sections of a newer page in place of those that differ; what is open, sorted or in
  // focus stays so.
  const renew = text => {
    const newer = new DOMParser().parseFromString(text, "text/html");
    const json = newer.getElementById("data").textContent;
    const before = [scrollX, scrollY];
    const focus = document.activeElement;
    const section = focus?.closest?.("main section")?.id;
    if (section) focus.dataset.section = section;
    if (opener?.isConnected) opener.dataset.section = opener.closest("section")?.id ?? "";
    const open = [...document.querySelectorAll("details[open]")].map(d => d.id);
    const sorted = [...document.querySelectorAll("th[aria-sort]")]
      .map(th => [th.closest("table").id, th.cellIndex, th.getAttribute("aria-sort") === "descending"]);
    const sideways = [...document.querySelectorAll("main section .scroll")].map(s => [s.closest("section").id, s.scrollLeft]);
    data = JSON.parse(json);
    document.querySelector("main").replaceWith(document.adoptNode(newer.querySelector("main")));
    document.getElementById("progress").textContent = newer.getElementById("progress").textContent;
    prepare();
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    for (const [table, column, descending] of sorted) {
      const th = document.getElementById(table)?.tHead.rows[0].cells[column];
      if (th) sort(th, descending);
    }
    for (const [id, left] of sideways) {
      const box = document.querySelector(`#${id} .scroll`);
      if (box) box.scrollLeft = left;
    }
    scrollTo(...before);
    if (section) again(focus)?.focus({ preventScroll: true });
    leave();
  };
  const watch = async () => {
    const status = document.getElementById("status");
    let version = document.documentElement.dataset.version ?? "";
    for (;;) {
      await new Promise(r => setTimeout(r, document.hidden ? 10000 : 2000));
      try {
        const now = await (await fetch("/version")).text();
        if (now !== version) {
          const page = await fetch("/");
          if (!page.ok) throw new Error(page.statusText);
          renew(await page.text());
          version = now;
        }
        status.className = "";
        status.textContent = "live";
      } catch {
        status.className = "lost";
        status.textContent = "no longer served";
      }
    }
  };

  prepare();
  if (document.documentElement.dataset.live) watch();
})();
