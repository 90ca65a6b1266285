// One connection of each protocol: opened with a ticket, and over when the promise settles.

import { ending } from "./stream.js";

const EVENTS_PATH = "/stock/events";
const SOCKET_PATH = "/stock/socket";
const TOKEN_ENDED = 4001;
const FORBIDDEN = 4003;
const POLICY = 1008;

/** Opens connections for server-sent events; a first request has no header for the last id. */
export function overEvents(access, warehouses, slow) {
  return async (lastId, heard, signal) => {
    const query = new URLSearchParams({
      warehouse: warehouses.join(","),
      slow,
      ticket: await access.ticket(EVENTS_PATH),
    });
    if (lastId !== null) query.set("last_event_id", lastId);
    return new Promise((settle) => {
      const source = new EventSource(`${EVENTS_PATH}?${query}`);
      const over = (reason) => (source.close(), settle(ending(reason)));
      source.addEventListener("open", heard.opened);
      source.addEventListener("stock", (event) => heard.event(JSON.parse(event.data)));
      source.addEventListener("gap", (event) => heard.gap(JSON.parse(event.data)));
      source.addEventListener("error", () => over("the connection ended"));
      onceAborted(signal, () => over("cut here"));
    });
  };
}

/** Opens connections for a WebSocket. */
export function overWebSocket(access, warehouses, slow) {
  return async (lastId, heard, signal) => {
    const query = new URLSearchParams({ slow, ticket: await access.ticket(SOCKET_PATH) });
    return new Promise((settle) => {
      const socket = new WebSocket(`${SOCKET_PATH}?${query}`);
      socket.addEventListener("open", () => {
        const last_id = lastId === null ? null : String(lastId);
        socket.send(JSON.stringify({ type: "resume", warehouses, last_id }));
        heard.opened();
      });
      socket.addEventListener("message", ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === "gap") heard.gap(message);
        else if (message.sku !== undefined) heard.event(message);
      });
      socket.addEventListener("close", ({ code, reason }) => {
        if (code === TOKEN_ENDED) access.expire();
        const said = reason ? `${code}, ${reason}` : `${code}`;
        settle(ending(`closed with ${said}`, code === FORBIDDEN || code === POLICY));
      });
      onceAborted(signal, () => (socket.close(), settle(ending("cut here"))));
    });
  };
}

function onceAborted(signal, act) {
  if (signal.aborted) act();
  else signal.addEventListener("abort", act, { once: true });
}
