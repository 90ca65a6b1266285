// The page: what was chosen becomes two streams, and what they hear becomes figures, rows and words.

import { Access } from "./access.js";
import { Announcer } from "./announcer.js";
import { Board } from "./board.js";
import { overEvents, overWebSocket } from "./connections.js";
import { Figures, WORDS } from "./figures.js";
import { Stream } from "./stream.js";

const element = (id) => document.getElementById(id);
const NAMES = { sse: "Server-sent events", websocket: "WebSocket" };
const OPENERS = { sse: overEvents, websocket: overWebSocket };

const announcer = new Announcer(element("announcements"));
const board = new Board(element("rows"), element("stock-note"));
const figures = Object.fromEntries(Object.keys(NAMES).map((name) => [name, new Figures(element(name))]));
let session = null; // { streams, leaving } while connected

function chosenWarehouses() {
  return [...document.querySelectorAll("#warehouses input:checked")].map((box) => box.value);
}

async function listWarehouses() {
  const { warehouses } = await new Access(["stock:*"]).get("/stock");
  element("no-warehouses").remove();
  for (const name of warehouses) {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", value: name, checked: true });
    label.append(box, ` ${name}`);
    element("warehouses").append(label);
  }
  element("connect").disabled = false;
}

function connect() {
  const warehouses = chosenWarehouses();
  if (warehouses.length === 0) return problem("Choose at least one warehouse.");
  problem("");
  disconnect();
  board.clear();
  const access = new Access(warehouses.map((name) => `stock:${name}`));
  const leaving = new AbortController();
  session = { streams: {}, leaving };
  for (const name of Object.keys(NAMES)) {
    const state = () => showState(access, warehouses, name);
    const stream = new Stream(OPENERS[name](access, warehouses, element("slow").value), listenerOf(name, state));
    session.streams[name] = stream;
    figures[name].follow(stream, leaving.signal);
    stream.start();
  }
  running(true);
}

function disconnect() {
  if (session === null) return;
  for (const stream of Object.values(session.streams)) stream.stop();
  session.leaving.abort();
  session = null;
  running(false);
}

function listenerOf(name, state) {
  let heard = 0;
  return {
    state,
    changed(stream, detail) {
      figures[name].state(stream, detail);
      announcer.say(name, `${NAMES[name]}: ${WORDS[stream.state]}`);
    },
    heard(stream, event) {
      board.change(name, event);
      heard += 1;
      if (element("spoken").checked) {
        announcer.say(`${name} changes`, `${heard} changes, last ${event.sku} in ${event.warehouse}: ${event.quantity}`);
      }
    },
    gap() {
      announcer.say(name, `${NAMES[name]}: some history was lost, the stock is read anew`);
      state().catch((error) => problem(`The stock could not be read: ${error.message}`));
    },
  };
}

/** Shows what the service lists now; the id of the last event in it. */
async function showState(access, warehouses, name) {
  const query = new URLSearchParams({ warehouse: warehouses.join(",") });
  const { stock, id } = await access.get(`/stock?${query}`);
  board.state(name, stock, id);
  return id;
}

function running(on) {
  element("disconnect").disabled = !on;
  for (const button of document.querySelectorAll("[data-cut]")) button.disabled = !on;
}

function problem(text) {
  element("problem").textContent = text;
}

element("access").addEventListener("submit", (event) => (event.preventDefault(), connect()));
element("disconnect").addEventListener("click", disconnect);
for (const button of document.querySelectorAll("[data-cut]")) {
  button.addEventListener("click", () => session?.streams[button.dataset.cut].cut());
}
listWarehouses().catch((error) => problem(`The warehouses could not be listed: ${error.message}`));
