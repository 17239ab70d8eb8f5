// What a page can do more with JavaScript: it changes by itself, copies, and is driven by keys. All of it works without.
"use strict";

// A choice is sent at once; who has no JavaScript presses the button.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});

// Empty fields do not belong in an address.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "get") return;
  for (const field of event.target.elements) if (field.name && !field.value) field.disabled = true;
  setTimeout(() => { for (const field of event.target.elements) field.disabled = false; }, 0);
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = button.dataset.copyFrom ? document.getElementById(button.dataset.copyFrom) : null;
  const url = button.dataset.copyUrl;
  const text = url ? await (await fetch(url)).text() : source ? source.textContent : button.dataset.copy;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed here";
  }
  setTimeout(() => { button.textContent = label; }, 1500);
});

// What the server leaves out: buttons that copy, and what the parts of a table are whose rows are blocks on a phone.
const ROLES = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", td: "cell" };
const complete = (place) => {
  for (const button of place.querySelectorAll("[data-copy]")) button.hidden = false;
  for (const part of place.querySelectorAll("table.stack, .stack :is(thead, tbody, tr, th, td)")) {
    const head = part.scope === "row" ? "rowheader" : "columnheader";
    part.setAttribute("role", part.localName === "th" ? head : ROLES[part.localName]);
  }
};
complete(document);

// Keys: / to the filter, j and k through rows, Enter opens.
document.addEventListener("keydown", (event) => {
  const inField = event.target.matches("input, textarea, select");
  if (event.key === "Escape" && inField) { event.target.blur(); return; }
  if (inField || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    const filter = document.querySelector("[data-filter]");
    if (filter) { event.preventDefault(); filter.focus(); filter.select(); }
  } else if (event.key === "j" || event.key === "k") {
    const rows = [...document.querySelectorAll("[data-row]")];
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement);
    const next = at < 0 ? (event.key === "j" ? 0 : rows.length - 1) : at + (event.key === "j" ? 1 : -1);
    if (rows[next]) { rows[next].focus(); rows[next].scrollIntoView({ block: "nearest" }); }
  }
});

// What changes is fetched anew and put in place, unless somebody is at work in it.
const places = () => [...document.querySelectorAll("[data-live]")];
if (places().length && window.EventSource) {
  const state = document.querySelector("[data-live-state]");
  let waiting = null;
  let last = 0;
  const isBusy = () => {
    const selection = String(document.getSelection());
    const active = document.activeElement;
    const isWriting = active && active.matches("input, textarea, select");
    return document.hidden || selection || (isWriting && places().some((place) => place.contains(active)));
  };
  // Who reads a place finds it as it was: unfolded, scrolled and focused. What has not changed is left alone.
  const STOPS = "a[href], button, summary, [tabindex]";
  const replace = (place, fresh) => {
    const both = (selector) => {
      const later = [...fresh.querySelectorAll(selector)];
      return [...place.querySelectorAll(selector)].map((each, at) => [each, later[at]]).filter((pair) => pair[1]);
    };
    complete(fresh);
    const title = (fold) => { const found = fold.querySelector("summary"); return found ? found.textContent : ""; };
    for (const [fold, later] of both("details")) if (title(fold) === title(later)) later.open = fold.open;
    if (place.isEqualNode(fresh)) return;
    const scrolled = both("pre, .scroll, .trace-lines").map(([each, later]) => [later, each.scrollTop, each.scrollLeft]);
    const active = place.contains(document.activeElement) ? document.activeElement : null;
    const href = active && active.getAttribute("href");
    const stop = active && (href
      ? [...fresh.querySelectorAll("a[href]")].find((link) => link.getAttribute("href") === href)
      : (both(STOPS).find((pair) => pair[0] === active) || [])[1]);
    place.replaceWith(fresh);
    for (const [each, top, left] of scrolled) if (top || left) { each.scrollTop = top; each.scrollLeft = left; }
    if (stop) stop.focus({ preventScroll: true });
  };
  const renew = async () => {
    waiting = null;
    if (isBusy()) { later(); return; }
    if (document.querySelector('[data-live="reload"]')) { location.reload(); return; }
    last = Date.now();
    let text;
    try {
      // A long page of one trace asks whether that has changed, first.
      if (document.body.dataset.check) {
        const told = await (await fetch(document.body.dataset.check)).json();
        if (told.trace === document.body.dataset.known) { document.body.dataset.version = String(told.version); return; }
      }
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok) return;
      text = await answer.text();
    } catch { return; }
    const page = new DOMParser().parseFromString(text, "text/html");
    const fresh = [...page.querySelectorAll("[data-live]")];
    const there = places();
    if (isBusy() || fresh.length !== there.length) return;
    for (const name of ["version", "known", "check"]) {
      if (page.body.dataset[name] !== undefined) document.body.dataset[name] = page.body.dataset[name];
    }
    there.forEach((place, number) => {
      const known = new Set([...place.querySelectorAll("[data-id]")].map((row) => row.dataset.id));
      replace(place, fresh[number]);
      if (known.size) for (const row of fresh[number].querySelectorAll("[data-id]")) {
        if (!known.has(row.dataset.id)) row.classList.add("fresh");
      }
    });
  };
  const later = () => { if (waiting === null) waiting = setTimeout(renew, Math.max(300, last + 2000 - Date.now())); };
  // A browser has few connections to one server: a page that nobody looks at lets go of its own.
  let events = null;
  const listen = () => {
    events = new EventSource("/events");
    events.addEventListener("open", () => { if (state) state.hidden = false; });
    events.addEventListener("error", () => { if (state) state.hidden = true; });
    events.addEventListener("changed", (event) => { if (event.data !== document.body.dataset.version) later(); });
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { if (events) { events.close(); events = null; } } else if (!events) listen();
  });
  if (!document.hidden) listen();
}

// A drawing is one stop for Tab; the arrows go through its columns.
const columnsOf = (drawing) => [...drawing.querySelectorAll("a")];
const stopOnce = () => {
  for (const drawing of document.querySelectorAll("svg.chart")) {
    const links = columnsOf(drawing);
    if (!links.some((link) => link === document.activeElement)) {
      links.forEach((link, number) => link.setAttribute("tabindex", number === links.length - 1 ? "0" : "-1"));
    }
  }
};
document.addEventListener("keydown", (event) => {
  const drawing = event.target.closest && event.target.closest("svg.chart");
  if (!drawing || event.ctrlKey || event.metaKey || event.altKey) return;
  const links = columnsOf(drawing);
  const at = links.indexOf(document.activeElement);
  const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: links.length - 1 }[event.key];
  if (next === undefined || !links[next]) return;
  event.preventDefault();
  links.forEach((link) => link.setAttribute("tabindex", "-1"));
  links[next].setAttribute("tabindex", "0");
  links[next].focus();
});
new MutationObserver(stopOnce).observe(document.body, { childList: true, subtree: true });
stopOnce();
