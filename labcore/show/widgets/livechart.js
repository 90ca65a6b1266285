// A line chart on a canvas: one message a redraw, the latest value wins.
// Series arrive as one float32 buffer: x values of a series, then its y values, series after series.

const MARGIN = { left: 56, right: 12, top: 8, bottom: 34 };
const LINE_WIDTH = 2;

function floats(view) {
  if (!view || view.byteLength === 0) return new Float32Array(0);
  const copy = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  return new Float32Array(copy);
}

function unpack(series, values) {
  let at = 0;
  return series.map((one) => {
    const x = values.subarray(at, at + one.count);
    const y = values.subarray(at + one.count, at + 2 * one.count);
    at += 2 * one.count;
    return { ...one, x, y };
  });
}

function niceStep(span, ticks) {
  const rough = span / Math.max(1, ticks);
  const power = Math.pow(10, Math.floor(Math.log10(rough)));
  const lead = rough / power;
  return (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10) * power;
}

function linearTicks(low, high, count) {
  const step = niceStep(high - low || 1, count);
  const ticks = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step / 1e6; v += step) ticks.push(v);
  return ticks;
}

function logTicks(low, high) {
  const ticks = [];
  for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++)
    for (const lead of [1, 2, 5]) {
      const v = lead * Math.pow(10, p);
      if (v >= low && v <= high) ticks.push(v);
    }
  return ticks;
}

function label(v) {
  const size = Math.abs(v);
  if (size >= 1000) return (v / 1000).toLocaleString("en", { maximumFractionDigits: 1 }) + "k";
  return v.toLocaleString("en", { maximumFractionDigits: size < 1 ? 2 : size < 10 ? 1 : 0 });
}

function extent(all, pick) {
  let low = Infinity;
  let high = -Infinity;
  for (const one of all)
    for (const v of pick(one))
      if (Number.isFinite(v)) {
        if (v < low) low = v;
        if (v > high) high = v;
      }
  return [low, high];
}

function render({ model, el }) {
  const figure = document.createElement("figure");
  figure.className = "labcore-live";
  const title = document.createElement("div");
  title.className = "labcore-live-title";
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  const legend = document.createElement("div");
  legend.className = "labcore-live-legend";
  const caption = document.createElement("figcaption");
  caption.setAttribute("aria-live", "polite");
  figure.append(title, canvas, legend, caption);
  el.appendChild(figure);

  function draw() {
    const series = unpack(model.get("series"), floats(model.get("frame")));
    const log = model.get("log_y");
    const width = Math.max(240, figure.clientWidth || 420);
    const height = model.get("height_px");
    const ratio = window.devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.height = height + "px";
    const ink = getComputedStyle(figure).color;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = "11px system-ui, sans-serif";

    let [x0, x1] = extent(series, (s) => s.x);
    let [y0, y1] = extent(series, (s) => (log ? s.y.filter((v) => v > 0) : s.y));
    if (!Number.isFinite(x0)) [x0, x1] = [0, 1];
    if (!Number.isFinite(y0)) [y0, y1] = log ? [1, 100] : [0, 1];
    if (x1 <= x0) x1 = x0 + 1;
    if (log) {
      y0 = y0 / 1.3;
      y1 = y1 * 1.3;
    } else {
      y0 = Math.min(0, y0);
      y1 = y1 <= y0 ? y0 + 1 : y1 * 1.08;
    }
    const w = width - MARGIN.left - MARGIN.right;
    const h = height - MARGIN.top - MARGIN.bottom;
    const px = (v) => MARGIN.left + ((v - x0) / (x1 - x0)) * w;
    const share = log
      ? (v) => (Math.log(v) - Math.log(y0)) / (Math.log(y1) - Math.log(y0))
      : (v) => (v - y0) / (y1 - y0);
    const py = (v) => MARGIN.top + (1 - share(v)) * h;

    pen.fillStyle = ink;
    pen.strokeStyle = ink;
    pen.lineWidth = 1;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const v of log ? logTicks(y0, y1) : linearTicks(y0, y1, 4)) {
      pen.globalAlpha = 0.18;
      pen.beginPath();
      pen.moveTo(MARGIN.left, py(v));
      pen.lineTo(MARGIN.left + w, py(v));
      pen.stroke();
      pen.globalAlpha = 0.85;
      pen.fillText(label(v), MARGIN.left - 6, py(v));
    }
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const v of linearTicks(x0, x1, 6)) pen.fillText(label(v), px(v), MARGIN.top + h + 5);
    pen.fillText(model.get("x_label"), MARGIN.left + w / 2, MARGIN.top + h + 19);
    pen.save();
    pen.translate(11, MARGIN.top + h / 2);
    pen.rotate(-Math.PI / 2);
    pen.fillText(model.get("y_label"), 0, -4);
    pen.restore();
    pen.globalAlpha = 1;

    pen.save();
    pen.beginPath();
    pen.rect(MARGIN.left, MARGIN.top, w, h);
    pen.clip();
    for (const one of series) {
      pen.strokeStyle = one.color;
      pen.lineWidth = LINE_WIDTH;
      pen.setLineDash(one.dash.map((length) => length * LINE_WIDTH));
      pen.beginPath();
      let down = false;
      for (let i = 0; i < one.count; i++) {
        const v = one.y[i];
        if (!Number.isFinite(v) || (log && v <= 0)) {
          down = false;
          continue;
        }
        if (down) pen.lineTo(px(one.x[i]), py(v));
        else pen.moveTo(px(one.x[i]), py(v));
        down = true;
      }
      pen.stroke();
    }
    pen.restore();
    canvas.setAttribute("aria-label", model.get("title") + ". " + model.get("summary"));
  }

  function words() {
    title.textContent = model.get("title");
    caption.textContent = model.get("summary");
    legend.replaceChildren(
      ...model.get("series").map((one) => {
        const key = document.createElement("span");
        const line = document.createElement("span");
        line.className = "labcore-live-key";
        line.style.borderTopColor = one.color;
        line.style.borderTopStyle = one.dash.length ? "dashed" : "solid";
        key.append(line, document.createTextNode(one.name));
        return key;
      })
    );
  }

  let waiting = 0;
  function redraw() {
    if (waiting) return;
    waiting = requestAnimationFrame(() => {
      waiting = 0;
      draw();
    });
  }

  model.on("change:frame", redraw);
  model.on("change:series", () => {
    words();
    redraw();
  });
  model.on("change:summary change:title", words);
  const resized = new ResizeObserver(redraw);
  resized.observe(figure);
  words();
  redraw();
  return () => {
    resized.disconnect();
    cancelAnimationFrame(waiting);
  };
}

export default { render };
