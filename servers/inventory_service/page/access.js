// What the page may see: a token minted for the chosen warehouses, and one ticket for each connection.
// Browsers cannot give a stream an Authorization header, and a token in an address would end up in logs; a
// ticket there is used up by the time anybody reads them.

const LIFETIME_S = 600;
const RENEW_BEFORE_MS = 5_000;

/** A refusal that asking again will not change. */
export class RefusedError extends Error {}

async function answered(response) {
  if (response.ok) return response.json();
  const text = `${response.url.replace(location.origin, "")} answered ${response.status}`;
  throw response.status < 500 && response.status !== 429 ? new RefusedError(text) : new Error(text);
}

export class Access {
  #scope;
  #token = null;
  #endsAt = 0;

  constructor(scope) {
    this.#scope = scope;
  }

  /** The document at `path`. */
  get(path) {
    return this.#ask(path, { cache: "no-store" });
  }

  /** A ticket that opens one stream at `path`. */
  async ticket(path) {
    return (await this.#ask("/tickets", { method: "POST", body: JSON.stringify({ path }) })).ticket;
  }

  /** Forget the token: the server said that it has ended. */
  expire() {
    this.#token = null;
  }

  /** Ask with the token, and once more with a new one should it have ended. */
  async #ask(path, init) {
    let response = await fetch(path, { ...init, headers: await this.#headers() });
    if (response.status === 401) {
      this.expire();
      response = await fetch(path, { ...init, headers: await this.#headers() });
    }
    return answered(response);
  }

  async #headers() {
    if (this.#token === null || Date.now() > this.#endsAt) {
      this.#endsAt = Date.now() + LIFETIME_S * 1000 - RENEW_BEFORE_MS;
      this.#token = this.#mint(); // the promise: both streams wait for the one token
    }
    try {
      return { Authorization: `Bearer ${await this.#token}`, "Content-Type": "application/json" };
    } catch (error) {
      this.expire();
      throw error;
    }
  }

  async #mint() {
    const wish = { subject: "live-page", scope: this.#scope, ttl_s: LIFETIME_S };
    const request = {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(wish),
    };
    return (await answered(await fetch("/tokens", request))).token;
  }
}
