// What all pages share: a picker beside fields of time, the button that copies, the head that can be small.

const YEAR = 365 * 86400;

for (const button of document.querySelectorAll(".range .pick button")) {
  const picker = button.nextElementSibling;
  const field = button.parentElement.previousElementSibling.querySelector("input");
  button.parentElement.hidden = false;
  button.addEventListener("click", () => {
    const date = field.value.match(/^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2})/);
    if (date) picker.value = `${date[1]}T${date[2]}`;
    picker.showPicker();
  });
  picker.addEventListener("input", () => {
    if (picker.value) field.value = picker.value.slice(0, 16).replace("T", " ");
  });
}

async function copied(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Browsers offer no clipboard to pages that came over plain HTTP.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

const copy = document.querySelector("#copy");
if (copy) {
  const words = copy.textContent;
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    await copied(`${location.href} ${copy.dataset.text}`);
    copy.textContent = copy.dataset.done;
    setTimeout(() => (copy.textContent = words), 2000);
  });
}

const minimise = document.querySelector("#minimise");
if (minimise) {
  minimise.hidden = false;
  minimise.addEventListener("click", () => {
    const small = document.body.classList.toggle("small");
    minimise.setAttribute("aria-pressed", small);
    document.cookie = `small=${small ? 1 : 0}; max-age=${YEAR}; path=/; SameSite=Lax`;
  });
}
