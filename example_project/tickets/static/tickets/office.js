"use strict";

/* Keeps the page up to date: polls the site, moves the dots, and sends the forms. */

const WHILE_RUNNING = 200; // milliseconds between two requests
const OTHERWISE = 1000;
const PATIENCE = 3000; // for one answer
const MISSED = 2; // answers in a row, after which the page says so
const MOVE = 450;
const OPTIONAL = ["oversold", "sold_out", "lost", "error"]; // shown when there are some

const still = matchMedia("(prefers-reduced-motion: reduce)");
const one = (selector, within = document) => within.querySelector(selector);
let timer;
let missed = 0;

function setText(element, value) {
  // An unchanged text is left alone, as the reader may have selected it.
  if (element.textContent !== String(value)) element.textContent = value;
}

/* The dots: each is in the zone of its buyer, and moves there from its previous place. */

function moveDots(pane, facts) {
  const stage = one(".stage", pane);
  const dots = new Map([...stage.querySelectorAll(".dot")].map((dot) => [dot.dataset.buyer, dot]));
  const before = new Map();
  for (const dot of dots.values()) before.set(dot, [dot.parentElement, dot.getBoundingClientRect()]);
  place(one(".waiting", stage), facts.waiting.map((number) => [number, ""]), dots);
  place(one(".inside", stage), facts.inside.map((number) => [number, "charging"]), dots);
  place(one(".done", stage), facts.done, dots);
  if (!still.matches) before.forEach(([zone, box], dot) => animate(dot, zone, box, stage));
}

function place(zone, buyers, dots) {
  const wanted = buyers.map(([number, result]) => {
    const dot = dots.get(String(number)) ?? document.createElement("i");
    dot.dataset.buyer = number;
    dot.className = `dot ${result}`;
    return dot;
  });
  const isSame = wanted.length === zone.children.length && wanted.every((dot, at) => dot === zone.children[at]);
  if (!isSame) zone.replaceChildren(...wanted);
}

function animate(dot, zone, from, stage) {
  const done = one(".done", stage);
  // Dots that were done belong to earlier buyers; new ones do not start from there.
  if (!dot.isConnected || (zone === done && dot.parentElement !== done)) return;
  const to = dot.getBoundingClientRect();
  const by = (box) => `translate(${box.left - to.left}px, ${box.top - to.top}px)`;
  if (Math.abs(from.left - to.left) + Math.abs(from.top - to.top) < 1) return;
  const frames = [{ transform: by(from) }, { transform: "none" }];
  const lock = one(".lock", stage);
  if (lock && zone !== dot.parentElement && dot.parentElement === done) {
    // Every dot passes through the lock on its way, however quick that was.
    const gate = lock.getBoundingClientRect();
    const middle = { left: gate.left + (gate.width - to.width) / 2, top: gate.top + (gate.height - to.height) / 2 };
    frames.splice(1, 0, { transform: by(middle) });
  }
  dot.animate(frames, { duration: MOVE, easing: "ease-in-out" });
}

/* The figures and the texts. */

function showPane(facts) {
  const pane = one(`.pane[data-event="${facts.event}"]`);
  if (!pane) return;
  pane.classList.toggle("bad", facts.oversold > 0);
  pane.dataset.state = facts.lock?.state ?? "";
  for (const fact of ["stock", "sold", "oversold"]) setText(one(`[data-fact=${fact}]`, pane), facts[fact]);
  const stock = one(".stock", pane);
  stock.max = facts.tickets;
  stock.value = facts.stock;
  for (const element of pane.querySelectorAll("[data-count]")) {
    const count = facts.counts[element.dataset.count] ?? 0;
    setText(element, count);
    element.parentElement.hidden = !count && OPTIONAL.includes(element.dataset.count);
  }
  moveDots(pane, facts);
  if (facts.guarded) showHolder(facts.lock);
}

function showHolder(lock) {
  one("#who").hidden = !lock;
  one("#nobody").hidden = Boolean(lock);
  one("#holder").dataset.state = lock?.state ?? "";
  one("#lease").value = lock?.share ?? 0;
  for (const element of document.querySelectorAll("[data-lock]")) setText(element, lock?.[element.dataset.lock] ?? "–");
}

function showNews(news) {
  const list = one("#news");
  if (!list) return;
  const latest = Number(list.firstElementChild?.dataset.number ?? 0);
  one("#no-news").hidden = news.length > 0;
  for (const { number, kind, time, text } of news.filter((report) => report.number > latest).reverse()) {
    const item = document.createElement("li");
    item.className = kind;
    item.dataset.number = number;
    const when = document.createElement("time");
    when.textContent = time;
    item.append(when, ` ${text}`);
    list.prepend(item);
  }
  while (list.children.length > news.length) list.lastElementChild.remove();
}

function show(scene) {
  one("#unavailable").hidden = !scene.unavailable;
  setText(one("[data-fact=unavailable]"), scene.unavailable);
  setText(one("[data-fact=held]"), scene.held);
  scene.panes.forEach(showPane);
  showNews(scene.news);
}

/* The requests: one at a time, and none while the page is hidden. */

async function ask() {
  clearTimeout(timer);
  if (document.hidden) return;
  let isRunning = false;
  try {
    const response = await fetch(document.body.dataset.live, { signal: AbortSignal.timeout(PATIENCE) });
    if (!response.ok) throw new Error(response.statusText);
    const scene = await response.json();
    missed = 0;
    show(scene);
    isRunning = scene.panes.some((pane) => pane.running || pane.lock);
  } catch {
    missed += 1;
  }
  one("#silent").hidden = missed < MISSED;
  clearTimeout(timer);
  timer = setTimeout(ask, isRunning ? WHILE_RUNNING : OTHERWISE);
}

/* The forms: sent without leaving the page, which then shows the site's answer. */

function say(text, isGood) {
  const item = document.createElement("p");
  item.className = isGood ? "success" : "warning";
  item.textContent = text;
  one("#messages").replaceChildren(item);
}

async function submit(event) {
  event.preventDefault();
  const form = event.target;
  const body = new URLSearchParams(new FormData(form, event.submitter));
  try {
    const response = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
    const answer = await response.json();
    say(answer.text, response.ok);
  } catch (error) {
    say(String(error), false);
  }
  ask();
}

for (const form of document.forms) form.addEventListener("submit", submit);
document.addEventListener("visibilitychange", ask);
ask();
