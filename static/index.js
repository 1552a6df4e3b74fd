// The list of hosts: search as you type, choose hosts to compare, states kept fresh.

const LEAST = 2, MOST = 500;
const AT_ONCE = 50, BETWEEN = 100, EVERY = 30_000;
const STATES = ["ok", "warning", "critical"];

const form = document.querySelector("#hosts");
const search = document.querySelector("#q");
const found = document.querySelector("#found");
const hosts = [];

for (const box of form.querySelectorAll("input[type=checkbox]")) {
  const row = box.closest("tr");
  const rows = [row];
  for (let next = row.nextElementSibling; next?.className === "reason"; next = next.nextElementSibling) rows.push(next);
  const place = [row.closest("section").querySelector("h2"), row.parentElement.querySelector(".label")];
  const words = [...place, ...[...row.cells].slice(1, 5)].map((one) => one?.textContent ?? "");
  hosts.push({ box, rows, icon: row.querySelector(".icon"), text: words.join("\n").toLowerCase() });
}
const shown = () => hosts.filter((host) => !host.rows[0].hidden);
document.documentElement.classList.add("scripted");

// Search

function filter() {
  // The server left out what its own search did not find.
  if (search.defaultValue && !search.value) return search.form.submit();
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const host of hosts) {
    const hidden = !words.every((word) => host.text.includes(word));
    if (host.rows[0].hidden !== hidden) for (const row of host.rows) row.hidden = hidden;
    count += !hidden;
  }
  for (const body of form.querySelectorAll("tbody")) body.hidden = !body.querySelector("tr:not(.label, [hidden])");
  for (const section of form.querySelectorAll("section")) section.hidden = !section.querySelector("tbody:not([hidden])");
  document.querySelector("#nothing").hidden = count > 0;
  found.textContent = words.length
    ? found.dataset.text.replace("{n}", count).replace("{all}", hosts.length) : "";
}

let waiting = 0;
search.addEventListener("input", () => {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(filter);
});
search.form.addEventListener("submit", (event) => {
  event.preventDefault();
  filter();
  const left = shown();
  if (left.length === 1) location.assign(left[0].rows[0].querySelector("a").href);
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    search.focus();
    search.select();
  } else if (event.key === "Escape" && event.target === search) {
    search.value = "";
    filter();
    search.blur();
  }
});

// Choice

const compare = document.querySelector("#compare");
let last = null;

function chosen() {
  const count = hosts.filter((host) => host.box.checked).length;
  document.querySelector("#count").textContent = count || "";
  document.querySelector("#none").disabled = !count;
  compare.disabled = count < LEAST || count > MOST;
}

form.addEventListener("click", (event) => {
  if (event.target.type !== "checkbox") return;
  if (event.shiftKey && last) {
    const boxes = shown().map((host) => host.box);
    const [one, other] = [boxes.indexOf(last), boxes.indexOf(event.target)].sort((a, b) => a - b);
    if (one >= 0) for (const box of boxes.slice(one, other + 1)) box.checked = event.target.checked;
  }
  last = event.target;
  chosen();
});
form.addEventListener("reset", () => setTimeout(chosen));
addEventListener("pageshow", chosen);

// States

const pause = (time) => new Promise((done) => setTimeout(done, time));

function show(host, state) {
  // A host of which nothing is known yet counts as a warning there.
  if (state === undefined || (state === 1 && host.icon.classList.contains("unknown"))) return;
  const word = form.dataset.states.split("|")[state];
  host.icon.className = `icon ${STATES[state]}`;
  host.icon.title = word;
  host.icon.firstElementChild.textContent = word;
}

async function refresh() {
  for (let first = 0; first < hosts.length; first += AT_ONCE) {
    const some = hosts.slice(first, first + AT_ONCE);
    const body = new URLSearchParams(some.map((host) => ["address", host.box.value]));
    const answer = await fetch("/api/host-status", { method: "POST", body });
    if (!answer.ok) return;
    const states = await answer.json();
    for (const host of some) show(host, states[host.box.value]);
    await pause(BETWEEN);
  }
}

async function keep() {
  for (;;) {
    await pause(EVERY);
    if (!document.hidden) await refresh().catch(() => undefined);
  }
}

chosen();
if (search.value) filter();
keep();
