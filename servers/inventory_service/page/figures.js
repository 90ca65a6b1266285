// The figures of one stream, renewed four times a second, and the words for its states.

const RENEW_MS = 250;
const WINDOW_MS = 2_000;
export const WORDS = {
  idle: "not connected",
  connecting: "connecting",
  open: "open",
  waiting: "waiting to reconnect",
  ended: "ended",
};

export class Figures {
  #cells = {};
  #heard = []; // [time, events so far], the last two seconds

  constructor(section) {
    for (const cell of section.querySelectorAll("[data-figure]")) this.#cells[cell.dataset.figure] = cell;
  }

  /** Show the state at once: everything else may wait for the next renewal. */
  state(stream, detail) {
    const cell = this.#cells.state;
    cell.dataset.state = stream.state;
    cell.textContent = detail ? `${WORDS[stream.state]} (${detail})` : WORDS[stream.state];
  }

  /** Keep the figures of this stream until `signal` is aborted. */
  follow(stream, signal) {
    this.#heard = [];
    const timer = setInterval(() => this.#renew(stream), RENEW_MS);
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
    this.#renew(stream);
  }

  #renew(stream) {
    const now = performance.now();
    this.#heard.push([now, stream.events]);
    while (this.#heard.length > 2 && this.#heard[0][0] < now - WINDOW_MS) this.#heard.shift();
    const [since, before] = this.#heard[0];
    const rate = now > since ? ((stream.events - before) * 1000) / (now - since) : 0;
    const values = {
      "last-id": stream.lastId ?? "none",
      reconnects: stream.reconnects,
      rate: rate < 10 ? rate.toFixed(1) : Math.round(rate),
      events: stream.events,
      repeated: stream.repeated,
      gaps: stream.gaps,
    };
    for (const [name, value] of Object.entries(values)) {
      const text = String(value);
      if (this.#cells[name].textContent !== text) this.#cells[name].textContent = text;
    }
  }
}
