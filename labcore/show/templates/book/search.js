const entries = JSON.parse(document.getElementById("entries").textContent);
const wanted = document.getElementById("wanted");
const found = document.getElementById("found");
const count = document.getElementById("count");
const MOST = 40;

function matches(words) {
  return entries.filter((entry) => {
    const text = `${entry.chapter} ${entry.title} ${entry.text}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

function shown(entry) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = entry.href;
  link.textContent = `${entry.chapter}: ${entry.title}`;
  item.append(link);
  return item;
}

wanted.addEventListener("input", () => {
  const words = wanted.value.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = words.length ? matches(words) : [];
  found.replaceChildren(...hits.slice(0, MOST).map(shown));
  count.textContent = words.length ? `${hits.length} found` : "";
});
