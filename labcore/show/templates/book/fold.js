const button = document.getElementById("fold");
button.addEventListener("click", () => {
  const folded = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(folded));
  for (const code of document.querySelectorAll("details.code")) code.open = !folded;
});
