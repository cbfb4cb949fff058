"use strict";
(() => {
  document.documentElement.classList.add("js");
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const press = (buttons, chosen) => {
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button === chosen));
    }
  };

  // One view of each image, or all four.
  const switches = all("[data-show]");
  for (const button of switches) {
    button.addEventListener("click", () => {
      const view = button.dataset.show;
      press(switches, button);
      for (const cases of all(".cases")) {
        cases.className = view === "all" ? "cases" : `cases single show-${view}`;
      }
    });
  }

  // A picture as large as the window, or larger.
  const dialog = document.querySelector("dialog");
  if (dialog) {
    const picture = dialog.querySelector("img");
    const caption = dialog.querySelector("b");
    const kinds = all("[data-kind]", dialog);
    let figure = null;
    let kind = "image";
    let scale = 1;
    const resize = (factor) => {
      scale = Math.min(16, Math.max(0.25, scale * factor));
      picture.style.width = `${100 * scale}%`;
    };
    const fit = () => {
      const frame = picture.parentElement;
      const width = picture.naturalWidth || 1;
      const height = picture.naturalHeight || 1;
      const factor = Math.min(1, (frame.clientHeight * width) / height / frame.clientWidth);
      scale = 1;
      resize(factor);
    };
    const show = (chosen) => {
      kind = chosen;
      const shown = figure.querySelector(`.view.${kind} img`);
      picture.src = shown.src;
      picture.alt = shown.alt;
      caption.textContent = shown.alt;
      press(kinds, kinds.find((button) => button.dataset.kind === kind));
    };
    for (const view of all(".view")) {
      view.addEventListener("click", () => {
        figure = view.closest("figure");
        show(view.dataset.view);
        dialog.showModal();
        picture.decode().then(fit, fit);
      });
    }
    for (const button of kinds) {
      button.addEventListener("click", () => show(button.dataset.kind));
    }
    for (const button of all("[data-zoom]", dialog)) {
      button.addEventListener("click", () => resize(Number(button.dataset.zoom)));
    }
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
    dialog.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) {
        const names = kinds.map((button) => button.dataset.kind);
        show(names[(names.indexOf(kind) + step + names.length) % names.length]);
        event.preventDefault();
      } else if (event.key === "+" || event.key === "-") {
        resize(event.key === "+" ? 1.5 : 1 / 1.5);
      }
    });
  }

  // The table of images: sorted by a click on a heading, and filtered.
  const table = document.querySelector("#images-table");
  if (table) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const headings = all("thead th", table);
    const valueOf = (row, column) => {
      const text = row.cells[column].textContent.trim();
      return text === "-" || text === "" ? null : Number(text);
    };
    const compare = (column, isText, sign) => (one, other) => {
      if (isText) {
        const texts = [one, other].map((row) => row.cells[column].textContent);
        return sign * texts[0].localeCompare(texts[1], undefined, { numeric: true });
      }
      const [first, second] = [valueOf(one, column), valueOf(other, column)];
      if (first === null || second === null) {
        return (first === null) - (second === null); // rows without the score come last
      }
      return sign * (first - second);
    };
    headings.forEach((heading, column) => {
      heading.querySelector("button").addEventListener("click", () => {
        const order = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
        for (const each of headings) {
          each.removeAttribute("aria-sort");
        }
        heading.setAttribute("aria-sort", order);
        const isText = heading.dataset.text !== undefined;
        rows.sort(compare(column, isText, order === "ascending" ? 1 : -1));
        body.append(...rows);
      });
    });
    const search = document.querySelector("#images-search");
    const below = document.querySelector("#images-below");
    const count = document.querySelector("#images-count");
    const dice = headings.findIndex((heading) => heading.dataset.dice !== undefined);
    const filter = () => {
      const words = search.value.toLowerCase();
      const limit = below.value === "" ? Infinity : Number(below.value);
      let shown = 0;
      for (const row of rows) {
        const names = [...row.cells].slice(0, dice).map((cell) => cell.textContent.toLowerCase());
        const value = valueOf(row, dice);
        const inLimit = limit === Infinity || (value !== null && value < limit);
        row.hidden = !(inLimit && names.some((name) => name.includes(words)));
        shown += !row.hidden;
      }
      count.textContent = `${shown} of ${rows.length} shown`;
    };
    search.addEventListener("input", filter);
    below.addEventListener("input", filter);
    filter();
  }

  window.addEventListener("beforeprint", () => {
    for (const details of all("details")) {
      details.open = true;
    }
  });
})();
