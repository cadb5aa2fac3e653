// What the board does beyond its links and forms: it keeps itself up to date and remembers where the eyes were. All of
// it works without this file, less comfortably.
(() => {
  "use strict";

  const LOST_AFTER = 30_000, AT_LEAST_EVERY = 60_000, TOLD_TOGETHER = 5_000, GIVE_UP = 15_000;
  const find = id => document.getElementById(id);
  const day = () => find("schedule");

  document.documentElement.classList.add("scripted");

  // Reading again. What a person asked for comes first: an answer that is older than their last request is thrown away.
  let asked = 0, reading = false, wanted = false;
  const pending = new Set();
  let heard = Date.now(), read = Date.now(), at = find("live").dataset.at;

  function readAgain() {
    wanted = true;
    if (reading || pending.size) return;
    wanted = false;
    reading = true;
    const number = asked;
    fetch(day().dataset.here, {
      headers: {"HX-Request": "true", "HX-Current-URL": location.href, "X-Automatic": "true", "Accept": "text/html"},
      signal: AbortSignal.timeout(GIVE_UP),
    }).then(async answer => {
      if (answer.status === 401) return location.assign(answer.headers.get("HX-Redirect") || location.href);
      if (!answer.ok) return;
      const text = await answer.text();
      await put(text, number);
      read = Date.now();
    }).catch(() => {}).finally(() => {
      reading = false;
      if (wanted && !pending.size) readAgain();
    });
  }

  async function put(text, number) {
    const before = new Set([...document.querySelectorAll(".column .new")].map(one => one.id));
    const kept = find("rail").dataset.keep;
    for (const id of kept ? ["places", "schedule"] : ["places", "schedule", "rail"]) {
      if (number !== asked) { wanted = true; return; }
      await htmx.swap({text, target: `#${id}`, select: `#${id}`, swap: "outerMorph", sourceElement: find(id)});
    }
    at = new DOMParser().parseFromString(text, "text/html").getElementById("live").dataset.at;
    tell([...document.querySelectorAll(".column .new")].filter(one => !before.has(one.id)));
    show();
  }

  // Hearing of changes.
  // Whatever changed between the page, or the last line, and the first word on this one was heard by nobody.
  let greeted = false, live = false;
  document.addEventListener("htmx:sse:after:connection", () => { greeted = false; });
  document.addEventListener("htmx:sse:error", event => { if (event.detail.status === 401) readAgain(); });
  document.addEventListener("board-beat", event => { hear(); at = event.detail.data; show(); });
  document.addEventListener("board-changed", () => { hear(); readAgain(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) readAgain(); });
  setInterval(() => {
    show();
    if (!document.hidden && Date.now() - read > AT_LEAST_EVERY) { read = Date.now(); readAgain(); }
  }, 1_000);

  function hear() {
    heard = Date.now();
    live = true;
    if (!greeted) readAgain();
    greeted = true;
  }

  function show() {
    const lost = Date.now() - heard > LOST_AFTER, bar = find("not-live");
    find("live").classList.toggle("on", live && !lost);
    const words = lost ? "Not live" : `${live ? "Live," : "As of"} ${at}`;
    if (find("live-words").textContent !== words) find("live-words").textContent = words;
    if (lost === !bar.hidden) return;
    bar.hidden = !lost;
    bar.textContent = "";
    if (lost) {
      const again = Object.assign(document.createElement("a"), {href: location.href, textContent: "Refresh"});
      bar.append(`Not live. Last updated ${at}. `, again);
    }
  }

  // New bookings are said once for some seconds, without moving anything.
  let fresh = 0, telling = 0;
  function tell(cards) {
    fresh += cards.length;
    if (!fresh || telling) return;
    telling = setTimeout(() => {
      find("announce").textContent = fresh === 1 ? "One new visit was booked online." : `${fresh} new visits were booked online.`;
      fresh = telling = 0;
    }, TOLD_TOGETHER);
  }

  // Links and forms of the board answer in place: the scroll stays, and the focus goes where the change is.
  const panel = () => find("floor")?.dataset.panel || "";
  let was = panel(), from = "";
  const boosted = ctx => ctx.request?.headers?.["HX-Boosted"];
  document.addEventListener("htmx:before:request", event => {
    if (!boosted(event.detail.ctx)) return;
    asked++;
    pending.add(event.detail.ctx);
    was = panel();
    const card = document.querySelector(".column [aria-current]");
    from = document.activeElement?.closest?.(".column a, .column button")?.id || card?.id || "";
  });
  // What was pressed may be gone by then, and an event on it reaches nobody: so both are heard.
  for (const name of ["htmx:finally:request", "htmx:after:swap", "htmx:error"]) {
    document.addEventListener(name, event => { if (pending.delete(event.detail.ctx) && wanted) readAgain(); });
  }
  document.addEventListener("htmx:before:swap", event => {
    const ctx = event.detail.ctx;
    if (!boosted(ctx)) return;
    if (!ctx.text.includes('id="floor"')) {
      // Another page answered, such as the one that says what went wrong.
      event.preventDefault();
      if (ctx.response.status < 400) return location.assign(ctx.response.raw.url);
      const alert = Object.assign(document.createElement("div"), {className: "bar-note amber"});
      alert.setAttribute("role", "alert");
      alert.textContent = new DOMParser().parseFromString(ctx.text, "text/html").body.textContent.trim();
      find("said").append(alert);
    }
  });
  document.addEventListener("htmx:after:swap", event => {
    const ctx = event.detail.ctx;
    if (!boosted(ctx) && !ctx.request?.headers?.["HX-History-Restore-Request"]) return;
    read = Date.now();
    at = find("live").dataset.at;
    settle();
  });
  function settle() {
    show();
    const alert = find("alert");
    if (panel() && panel() !== was) find("panel")?.querySelector("h2")?.focus();
    else if (!panel() && was) find(from)?.focus();
    was = panel();
    if (alert) alert.scrollIntoView({block: "nearest"});
  }

  // Patients are found while somebody types. What they typed goes in the body of a request, never into an address.
  const SETTLED = 250;
  let typing = 0, looking = null;
  document.addEventListener("input", event => {
    if (event.target.id !== "find-q") return;
    clearTimeout(typing);
    looking?.abort();
    typing = setTimeout(look, SETTLED);
  });
  function look() {
    const field = find("find-q");
    if (!field.value.trim()) return closeFinds();
    const mine = looking = new AbortController();
    fetch(field.form.action, {
      method: "POST", body: new URLSearchParams(new FormData(field.form)), signal: mine.signal,
      headers: {"HX-Request": "true", "HX-Current-URL": location.href, "Accept": "text/html"},
    }).then(async answer => {
      if (answer.status === 401) return location.assign(answer.headers.get("HX-Redirect") || location.href);
      // Enter leads to the page of patients, whatever is wrong here.
      if (!answer.ok) return closeFinds();
      const found = new DOMParser().parseFromString(await answer.text(), "text/html").body;
      if (mine.signal.aborted) return;
      find("finds").replaceChildren(...found.children);
      find("finds").hidden = false;
      find("announce").textContent = find("finds").querySelector("p").textContent;
    }).catch(() => { if (!mine.signal.aborted) closeFinds(); });
  }
  function closeFinds() {
    clearTimeout(typing);
    looking?.abort();
    const finds = find("finds");
    if (finds) finds.hidden = true;
  }
  for (const name of ["focusin", "pointerdown"]) {
    document.addEventListener(name, event => { if (!event.target.closest?.("#find")) closeFinds(); });
  }
  function searchKey(event) {
    const field = find("find-q"), finds = find("finds");
    if (!event.target.closest("#find")) {
      if (event.key !== "/" || !field?.hasAttribute("aria-keyshortcuts")) return false;
      if (event.target.closest("input, select, textarea")) return false;
      field.focus();
      field.select();
    } else if (event.key === "Escape" && !finds.hidden) {
      closeFinds();
      field.focus();
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && !finds.hidden) {
      const all = [field, ...finds.querySelectorAll("a")];
      all[all.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1)]?.focus();
    } else return false;
    event.preventDefault();
    return true;
  }

  // The keyboard: arrows within the schedule, Esc closes what is open. None of it works outside of the schedule.
  const inColumn = column => [...column.querySelectorAll("a, button")];
  const middle = one => { const box = one.getBoundingClientRect(); return box.top + box.height / 2; };
  document.addEventListener("keydown", event => {
    if (event.altKey || event.ctrlKey || event.metaKey || searchKey(event)) return;
    if (event.key === "Escape" && panel() && !event.target.closest("input, select, textarea")) return find("close")?.click();
    const here = event.target.closest?.(".column a, .column button");
    if (!here) return;
    const column = here.closest(".column"), all = inColumn(column), index = all.indexOf(here);
    let next = null;
    if (event.key === "ArrowDown") next = all[index + 1];
    else if (event.key === "ArrowUp") next = all[index - 1];
    else if (event.key === "Home") next = all[0];
    else if (event.key === "End") next = all.at(-1);
    else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const columns = [...document.querySelectorAll(".column")], step = event.key === "ArrowRight" ? 1 : -1;
      for (let other = columns.indexOf(column) + step; columns[other] && !next; other += step) {
        next = inColumn(columns[other]).sort((a, b) => Math.abs(middle(a) - middle(here)) - Math.abs(middle(b) - middle(here)))[0];
      }
    } else return;
    event.preventDefault();
    next?.focus();
  });

  document.addEventListener("click", event => { if (event.target.closest?.("#print")) print(); });

  function begin() {
    show();
    const now = find("now"), floor = day();
    if (now && !location.hash && !floor.scrollTop) floor.scrollTop = Math.max(0, now.offsetTop + now.parentElement.offsetTop - 160);
  }
  document.addEventListener("DOMContentLoaded", begin);
})();
