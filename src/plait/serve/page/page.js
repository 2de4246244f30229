import { GROUPS, atlas, steer } from "./map.js";

const $ = (id) => document.getElementById(id);
const LETTERS = ["a", "b"];
const STOP = new Set("a about an and are as at be by for from has how in is it of on or that the this to was what when where which who why will with".split(" "));
const LONG = 420;
const state = { indexes: [], chosen: [], filters: {}, fields: {}, maps: new Map(), asked: null };

function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  const { data = {}, aria = {}, ...rest } = properties;
  Object.assign(node, rest);
  Object.assign(node.dataset, data);
  for (const [name, value] of Object.entries(aria)) node.setAttribute(`aria-${name}`, value);
  node.append(...children);
  return node;
}

/* The server ------------------------------------------------------------------------------------------------------ */

async function ask(path, body, signal) {
  const headers = { "content-type": "application/json" };
  const key = sessionStorage.getItem("plait-key");
  if (key) headers.authorization = `Bearer ${key}`;
  let answer;
  try {
    answer = await fetch(path, body ? { method: "POST", headers, body: JSON.stringify(body), signal } : { headers, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer; is it still running?");
  }
  if (answer.status === 401 && (await askForKey(Boolean(key)))) return ask(path, body, signal);
  const given = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(given.error?.message ?? `The server answered ${answer.status}.`);
  return given;
}

let asking = null;
function askForKey(wrong) {
  asking ??= new Promise((resolve) => {
    const dialog = $("keys");
    $("keys-title").textContent = wrong ? "The server does not know this API key" : "This server wants an API key";
    $("secret").value = "";
    $("key").hidden = false;
    dialog.returnValue = "";
    dialog.onclose = () => {
      const given = dialog.returnValue === "ok" && $("secret").value.trim();
      if (given) sessionStorage.setItem("plait-key", given);
      asking = null;
      resolve(Boolean(given));
    };
    dialog.showModal();
  });
  return asking;
}

function complain(error) {
  $("error").textContent = error?.message ?? "";
  $("error").hidden = !error;
}

/* Results --------------------------------------------------------------------------------------------------------- */

const words = (text) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];

function alike(one, other) {
  if (one === other) return true;
  const [short, long] = one.length < other.length ? [one, other] : [other, one];
  let shared = 0;
  while (shared < short.length && short[shared] === long[shared]) shared += 1;
  return shared >= 4 && shared >= 0.7 * long.length;
}

/** The text with the query's words marked; everything is inserted as text. */
function marked(text, query) {
  const wanted = [...new Set(words(query))].filter((word) => !STOP.has(word));
  const parts = document.createDocumentFragment();
  for (const piece of text.split(/([\p{L}\p{N}]+)/u)) {
    const word = piece.toLowerCase();
    parts.append(wanted.some((one) => alike(one, word)) ? el("mark", { textContent: piece }) : piece);
  }
  return parts;
}

function hitCard(hit, rank, top, letter, elsewhere, query) {
  const score = el("span", { className: "score" }, hit.score.toFixed(3));
  if (top > 0) score.prepend(el("meter", { min: 0, max: 1, value: Math.max(0, hit.score / top), aria: { hidden: "true" } }));
  const facts = el("div", { className: "facts" }, el("span", { className: "rank" }, String(rank)), score);
  if (elsewhere !== undefined) {
    const other = letter === "a" ? "B" : "A";
    facts.append(el("span", { className: elsewhere ? "elsewhere" : "elsewhere only" }, elsewhere ? `${other}: ${elsewhere}` : "only here"));
  }
  const text = el("div", { className: hit.text.length > LONG ? "text long" : "text" }, marked(hit.text, query));
  const tags = el("div", { className: "tags" }, el("span", { className: "id" }, hit.id));
  for (const [name, value] of Object.entries(hit.metadata)) {
    tags.append(el("span", {}, `${name} `, el("b", {}, typeof value === "object" ? JSON.stringify(value) : String(value))));
  }
  if (hit.text.length > LONG) {
    const more = el("button", { type: "button", className: "link", textContent: "Show all", aria: { expanded: "false" } });
    more.onclick = () => {
      const open = text.classList.toggle("open");
      more.textContent = open ? "Show less" : "Show all";
      more.setAttribute("aria-expanded", String(open));
    };
    tags.append(more);
  }
  tags.append(el("button", { type: "button", className: "link", textContent: "Similar", aria: { label: `Texts similar to result ${rank}` }, onclick: () => similar(hit.text) }));
  const card = el("li", { className: "hit", data: { id: hit.id } }, facts, text, tags);
  card.onpointerenter = () => atlas.mark(hit.id);
  card.onfocusin = () => atlas.mark(hit.id);
  return card;
}

function column(result, letter, other, query) {
  const ranks = new Map(other?.hits.map((hit, place) => [hit.id, place + 1]));
  const title = el("h2", { id: `title-${letter}` });
  if (state.chosen.length > 1) title.append(el("span", { className: "letter", aria: { hidden: "true" } }, letter.toUpperCase()));
  title.append(state.indexes.length > 2 ? picker(letter) : result.index);
  const top = Math.max(...result.hits.map((hit) => hit.score), 0);
  const cards = result.hits.map((hit, place) =>
    hitCard(hit, place + 1, top, letter, other ? (ranks.get(hit.id) ?? 0) : undefined, query));
  return el("section", { className: `column ${letter}`, aria: { labelledby: title.id } },
    el("header", {}, title, el("code", { className: "recipe" }, result.recipe)),
    cards.length ? el("ol", { className: "hits" }, ...cards) : el("p", { className: "empty" }, "No text fits the filters."));
}

function picker(letter) {
  const place = LETTERS.indexOf(letter);
  const select = el("select", { aria: { label: `Collection ${letter.toUpperCase()}` } }, ...state.indexes.map((index) => el("option", {}, index.name)));
  select.value = state.chosen[place];
  select.onchange = () => {
    state.chosen[place] = select.value;
    search();
  };
  return select;
}

function showResults({ results }, query) {
  $("columns").replaceChildren(...results.map((result, place) => column(result, LETTERS[place], results.length > 1 ? results[1 - place] : null, query)));
  $("columns").classList.toggle("two", results.length > 1);
  const times = results.map((result) => `${Math.max(1, Math.round(1000 * result.seconds))} ms`).join(" and ");
  const counts = [...new Set(results.map((result) => result.hits.length))];
  const found = `${counts.join(" and ")} result${counts.join() === "1" ? "" : "s"}${results.length > counts.length ? " each" : ""}`;
  const both = results.length > 1 ? results[0].hits.filter((hit) => results[1].hits.some((other) => other.id === hit.id)).length : 0;
  $("status").textContent = `${found} in ${times}` + (results.length > 1 ? `, ${both} in both` : "");
  state.results = results;
  showHitsOnMap();
}

function showHitsOnMap() {
  atlas.ranked = new Map(state.results?.find((result) => result.index === $("shown").value)?.hits.map((hit, place) => [hit.id, place + 1]));
  atlas.letter = LETTERS[Math.max(0, state.chosen.indexOf($("shown").value))];
  atlas.draw();
}

async function search() {
  const query = $("query").value.trim();
  state.asked?.abort();
  document.querySelector("main").classList.toggle("asked", Boolean(query));
  history.replaceState(null, "", query ? `#${new URLSearchParams({ q: query })}` : location.pathname);
  if (!query || !state.chosen.length) return showNothing();
  state.asked = new AbortController();
  $("columns").setAttribute("aria-busy", "true");
  try {
    const body = { query, k: Number($("k").value), filters: state.filters, indexes: state.chosen };
    showResults(await ask("search", body, state.asked.signal), query);
    complain(null);
  } catch (error) {
    if (error.name === "AbortError") return;
    complain(error);
  }
  $("columns").removeAttribute("aria-busy");
}

function showNothing() {
  $("columns").replaceChildren();
  $("columns").removeAttribute("aria-busy");
  $("status").textContent = state.indexes.map((index) => `${index.rows.toLocaleString()} texts in ${index.name}`).join(", ");
  state.results = null;
  showHitsOnMap();
}

function similar(text) {
  $("query").value = text.slice(0, 2000);
  search();
  scrollTo({ top: 0 });
}

/* Filters --------------------------------------------------------------------------------------------------------- */

function addFilters() {
  for (const index of state.indexes) {
    for (const [name, values] of Object.entries(index.fields)) {
      state.fields[name] = [...new Set([...(state.fields[name] ?? []), ...values])];
    }
  }
  for (const [name, values] of Object.entries(state.fields)) {
    const select = el("select", { name }, el("option", { value: "" }, "any"), ...values.map((value, place) => el("option", { value: String(place) }, String(value))));
    const label = el("label", {}, `${name} `, select);
    select.onchange = () => {
      label.classList.toggle("set", select.value !== "");
      if (select.value === "") delete state.filters[name];
      else state.filters[name] = values[Number(select.value)];
      search();
    };
    $("filters").append(label);
  }
  $("filters").hidden = false;
}

/* The map -------------------------------------------------------------------------------------------------------- */

function paintGroups() {
  const field = $("colour").value;
  const given = atlas.points.fields[field] ?? [];
  const index = state.indexes.find((one) => one.name === $("shown").value);
  const values = (index.fields[field] ?? []).slice(0, GROUPS - 1);
  atlas.groups = given.map((value) => (values.includes(value) ? values.indexOf(value) : GROUPS - 1));
  const named = values.map(String).concat((index.fields[field] ?? []).length > values.length ? ["others"] : []);
  $("legend").replaceChildren(...named.map((name, number) => {
    const dot = el("i");
    dot.style.background = `var(--g${name === "others" && number === values.length ? GROUPS - 1 : number})`;
    return el("li", {}, dot, name);
  }));
  atlas.draw();
}

async function showMap() {
  const index = state.indexes.find((one) => one.name === $("shown").value);
  if (!state.maps.has(index.name)) state.maps.set(index.name, await ask(`map/${encodeURIComponent(index.name)}`));
  atlas.show(state.maps.get(index.name));
  const shown = atlas.points.x.length;
  const most = shown < index.rows ? `${shown.toLocaleString()} of ${index.rows.toLocaleString()}` : index.rows.toLocaleString();
  atlas.canvas.setAttribute("aria-label", `Map of ${most} texts in ${index.name}`);
  $("atlas-title").textContent = `Map of ${most} texts`;
  const fields = Object.keys(index.fields);
  $("colour").replaceChildren(el("option", { value: "" }, "none"), ...fields.map((name) => el("option", { value: name }, name)));
  $("colour").value = fields[0] ?? "";
  $("colours").hidden = !fields.length;
  paintGroups();
  showHitsOnMap();
}

/* Start ----------------------------------------------------------------------------------------------------------- */

function themeButton() {
  const root = document.documentElement;
  const saved = localStorage.getItem("plait-theme");
  if (saved) root.dataset.theme = saved;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const tell = () => {
    $("theme").setAttribute("aria-pressed", String(dark()));
    atlas.draw();
  };
  $("theme").onclick = () => {
    root.dataset.theme = dark() ? "light" : "dark";
    localStorage.setItem("plait-theme", root.dataset.theme);
    tell();
  };
  system.onchange = tell;
  tell();
}

async function start() {
  themeButton();
  steer(similar);
  $("search").onsubmit = (event) => {
    event.preventDefault();
    search();
  };
  $("k").onchange = search;
  $("shown").onchange = () => showMap().catch(complain);
  $("colour").onchange = paintGroups;
  $("key").onclick = async () => (await askForKey(false)) && location.reload();
  $("cancel").onclick = () => $("keys").close("");
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, select, dialog")) return;
    event.preventDefault();
    $("query").focus();
  });
  try {
    state.indexes = (await ask("indexes")).indexes;
    state.chosen = state.indexes.slice(0, LETTERS.length).map((index) => index.name);
    if (!state.indexes.length) {
      document.querySelector("main").classList.add("alone");
      $("columns").replaceChildren(el("p", { className: "empty" }, "This server has no collection to search: start it with ", el("code", {}, "--index FOLDER"), ". Vectors are at ", el("code", {}, "/v1/embeddings"), "."));
      return;
    }
    addFilters();
    $("shown").replaceChildren(...state.indexes.map((index) => el("option", {}, index.name)));
    $("which").hidden = state.indexes.length < 2;
    $("atlas").hidden = false;
    await showMap();
    showNothing();
    $("query").value ||= new URLSearchParams(location.hash.slice(1)).get("q") ?? "";
    if ($("query").value) await search();
  } catch (error) {
    complain(error);
  }
}

start();
