// A stream that comes back: where it broke off, after a wait that doubles, until it is told to stop.
//
// A browser's own EventSource comes back too, but to the same address, and the ticket in it is spent. So each
// connection is opened anew, with a new ticket and the last id; how one connection is opened is the
// business of `connections.js`.

import { RefusedError } from "./access.js";

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;

/** How a connection ended: `final` when there is no use in coming back. */
export const ending = (reason, final = false) => ({ reason, final });

export class Stream {
  events = 0;
  gaps = 0;
  lastId = null;
  reconnects = 0;
  repeated = 0;
  state = "idle";
  #failures = 0;
  #listener;
  #open;
  #leaving = null;
  #cutting = null;

  /**
   * @param open opens one connection: `(lastId, heard, signal) => Promise<ending>`; settles when it is over.
   * @param listener is told `changed(stream, detail)`, `heard(stream, event)`, `gap(stream)`, and asked for
   *   `state()`: shows what there is before the first event, and tells the id it includes.
   */
  constructor(open, listener) {
    this.#open = open;
    this.#listener = listener;
  }

  start() {
    this.#leaving = new AbortController();
    this.#run(this.#leaving.signal);
  }

  stop() {
    this.#leaving?.abort();
    this.#cutting?.abort();
  }

  /** End the connection as a lost network would; the stream comes back by itself. */
  cut() {
    this.#cutting?.abort();
  }

  async #run(leaving) {
    while (!leaving.aborted) {
      this.#enter("connecting");
      this.#failures += 1; // until an event says otherwise
      const end = await this.#once();
      if (leaving.aborted) break;
      if (end.final) return this.#enter("ended", end.reason);
      this.#enter("waiting", end.reason);
      await pause(this.#waitMs(), leaving);
      this.reconnects += 1;
    }
    this.#enter("idle");
  }

  async #once() {
    this.#cutting = new AbortController();
    const heard = {
      opened: () => this.#enter("open"),
      event: (event) => this.#take(event),
      gap: (gap) => this.#lose(gap),
    };
    try {
      this.lastId ??= await this.#listener.state();
      return await this.#open(this.lastId, heard, this.#cutting.signal);
    } catch (error) {
      return ending(error.message, error instanceof RefusedError);
    }
  }

  #take(event) {
    this.#failures = 0;
    if (this.lastId !== null && event.id <= this.lastId) {
      this.repeated += 1;
      return;
    }
    this.lastId = event.id;
    this.events += 1;
    this.#listener.heard(this, event);
  }

  #lose(gap) {
    this.gaps += 1;
    if (this.lastId === null || gap.to > this.lastId) this.lastId = gap.to;
    this.#listener.gap(this);
  }

  /** Between one and two times the base, so that those who were cut together do not come back together. */
  #waitMs() {
    const base = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(this.#failures, 10));
    return base * (1 + Math.random()) / 2;
  }

  #enter(state, detail = "") {
    this.state = state;
    this.#listener.changed(this, detail);
  }
}

function pause(ms, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), done()), { once: true });
  });
}
