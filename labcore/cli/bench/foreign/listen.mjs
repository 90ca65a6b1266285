// One stranger of npm, used as its own documentation shows it; prints the id of each stock event.
//
// What it is to do is the first line of its standard input, a JSON object: `client`, `modules` (where the packages
// lie), `events_url`, `socket_url`, `token`, `warehouse`, `last_id`.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const say = (id) => process.stdout.write(`${id}\n`);
const bearer = ({ token }) => ({ Authorization: `Bearer ${token}` });

const CLIENTS = {
  // Comes back by itself and sends the last id.
  eventsource(task, { EventSource }) {
    const own = { ...bearer(task), "Last-Event-ID": task.last_id };
    const source = new EventSource(task.events_url, {
      fetch: (url, init) => fetch(url, { ...init, headers: { ...own, ...init.headers } }),
    });
    source.addEventListener("stock", (event) => say(event.lastEventId));
    source.addEventListener("error", () => source.readyState === EventSource.CLOSED && process.exit(1));
  },

  // Never comes back.
  ws(task, WebSocket) {
    const socket = new WebSocket(task.socket_url, { headers: bearer(task) });
    const { warehouse, last_id } = task;
    socket.on("open", () => socket.send(JSON.stringify({ type: "resume", warehouses: [warehouse], last_id })));
    socket.on("message", (message) => {
      const document = JSON.parse(message);
      if (document.sku !== undefined) say(document.id);
    });
    socket.on("error", () => {}); // a close follows
    socket.on("close", () => process.exit(1));
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const task = JSON.parse(line);
  const require = createRequire(`${task.modules}/`);
  CLIENTS[task.client](task, require(task.client));
  break;
}
