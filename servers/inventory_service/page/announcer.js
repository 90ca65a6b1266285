// What a screen reader is told: at most one sentence a second, the latest of each kind.

const PAUSE_MS = 1_000;

export class Announcer {
  #region;
  #waiting = new Map();
  #timer = null;

  constructor(region) {
    this.#region = region;
  }

  /** Say `text` soon; it takes the place of an earlier text of the same `kind` that was not said yet. */
  say(kind, text) {
    this.#waiting.set(kind, text);
    if (this.#timer === null) this.#speak();
  }

  #speak() {
    this.#timer = null;
    if (this.#waiting.size === 0) return;
    this.#region.textContent = [...this.#waiting.values()].join(". ");
    this.#waiting.clear();
    this.#timer = setTimeout(() => this.#speak(), PAUSE_MS);
  }
}
