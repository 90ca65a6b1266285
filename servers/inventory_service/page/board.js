// The table of stock. Events only mark a row; rows are drawn at most once a frame, so that ten thousand
// events a second cost no more than sixty.

const MOST_ROWS = 200;
const FLASH_MS = 1_200;
const COLUMNS = ["sku", "warehouse", "sse", "websocket", "delta", "id"];
const signed = new Intl.NumberFormat("en", { signDisplay: "exceptZero" });

export class Board {
  #body;
  #note;
  #rows = new Map();
  #marked = new Set();
  #due = false;

  constructor(body, note) {
    this.#body = body;
    this.#note = note;
  }

  clear() {
    this.#rows.clear();
    this.#marked.clear();
    this.#body.replaceChildren();
    this.#tell();
  }

  /** Quantities as the service lists them, up to the event `id`; what came after it stays. */
  state(protocol, levels, id) {
    for (const { sku, warehouse, quantity } of levels) {
      const row = this.#row(sku, warehouse);
      if ((row.ids[protocol] ?? 0) > id) continue;
      row.values[protocol] = quantity;
      this.#mark(row, false);
    }
  }

  /** One change, as one protocol brought it. */
  change(protocol, event) {
    const row = this.#row(event.sku, event.warehouse);
    row.values[protocol] = event.quantity;
    row.ids[protocol] = event.id;
    if (event.id >= (row.values.id ?? 0)) Object.assign(row.values, { id: event.id, delta: event.delta });
    this.#mark(row, true);
  }

  #row(sku, warehouse) {
    const key = `${warehouse}\n${sku}`;
    if (!this.#rows.has(key)) this.#rows.set(key, { key, values: { sku, warehouse }, ids: {}, element: null });
    return this.#rows.get(key);
  }

  #mark(row, flash) {
    row.flash ||= flash;
    this.#marked.add(row);
    if (!this.#due) {
      this.#due = true;
      requestAnimationFrame(() => this.#draw());
    }
  }

  #draw() {
    this.#due = false;
    for (const row of this.#marked) {
      if (row.element === null && this.#body.childElementCount < MOST_ROWS) this.#insert(row);
      if (row.element !== null) this.#fill(row);
    }
    this.#marked.clear();
    this.#tell();
  }

  #insert(row) {
    row.element = document.createElement("tr");
    row.element.dataset.key = row.key;
    row.cells = COLUMNS.map((column) => {
      const cell = document.createElement(column === "sku" ? "th" : "td");
      if (column === "sku") cell.scope = "row";
      if (column !== "sku" && column !== "warehouse") cell.className = "number";
      return row.element.appendChild(cell);
    });
    const next = [...this.#body.children].find((other) => other.dataset.key > row.key);
    this.#body.insertBefore(row.element, next ?? null);
  }

  #fill(row) {
    COLUMNS.forEach((column, place) => {
      const value = row.values[column];
      row.cells[place].textContent = column === "delta" && value !== undefined ? signed.format(value) : value ?? "";
    });
    if (!row.flash) return;
    row.flash = false;
    row.element.classList.remove("changed");
    void row.element.offsetWidth; // without a layout in between the animation would not begin again
    row.element.classList.add("changed");
    clearTimeout(row.timer);
    row.timer = setTimeout(() => row.element.classList.remove("changed"), FLASH_MS);
  }

  #tell() {
    const shown = this.#body.childElementCount;
    const all = this.#rows.size;
    this.#note.textContent =
      all === 0 ? "Nothing yet." : shown < all ? `${shown} of ${all} products.` : `${all} products.`;
  }
}
