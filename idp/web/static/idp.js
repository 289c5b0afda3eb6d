/* Comfort for the sign-in pages. Every page works without it; what needs it has `hidden` in the page and is shown here. */
"use strict";

/* A second submit of the same form within three seconds is ignored; the button stays usable. */
const submitted = new WeakMap();
document.addEventListener("submit", (event) => {
  const before = submitted.get(event.target);
  if (before !== undefined && event.timeStamp - before < 3000) {
    event.preventDefault();
  } else {
    submitted.set(event.target, event.timeStamp);
  }
});
/* A page that the browser kept may be submitted again at once. */
window.addEventListener("pageshow", (event) => {
  if (event.persisted) {
    for (const form of document.forms) submitted.delete(form);
  }
});

for (const button of document.querySelectorAll("button[data-shows]")) {
  const input = document.getElementById(button.dataset.shows);
  const show = (visible) => {
    input.type = visible ? "text" : "password";
    button.textContent = visible ? button.dataset.hideText : button.dataset.showText;
  };
  button.addEventListener("click", () => show(input.type === "password"));
  /* Browsers and password managers keep what was typed in a password field, never what was typed in a text field. */
  input.form.addEventListener("submit", () => show(false));
  button.hidden = false;
}

for (const note of document.querySelectorAll("[data-caps-lock-of]")) {
  const input = document.getElementById(note.dataset.capsLockOf);
  const tell = (on) => {
    const said = on ? note.dataset.text : "";
    if (note.textContent !== said) note.textContent = said;
  };
  for (const kind of ["keydown", "keyup"]) {
    /* Filling in by a password manager sends events of this name that are no key presses. */
    input.addEventListener(kind, (event) => tell(event instanceof KeyboardEvent && event.getModifierState("CapsLock")));
  }
  input.addEventListener("blur", () => tell(false));
}

for (const button of document.querySelectorAll("button[data-copies]")) {
  if (!navigator.clipboard) continue;
  const source = document.getElementById(button.dataset.copies);
  const told = document.querySelector(`[data-copied="${button.dataset.copies}"]`);
  button.addEventListener("click", async () => {
    try {
      const text = source.textContent;
      await navigator.clipboard.writeText("dropsSpaces" in button.dataset ? text.replaceAll(" ", "") : text);
      told.textContent = told.dataset.text;
    } catch {
      getSelection().selectAllChildren(source);
    }
  });
  button.hidden = false;
}

/* Until a new code can be asked for: seconds instead of a clock time, spoken once, when there are none left. */
for (const line of document.querySelectorAll("[data-until]")) {
  const told = document.querySelector(`[data-told-of="${line.id}"]`);
  /* The clock of the device may be wrong: what counts is how long the server says it takes. */
  const ends = performance.now() + Number(line.dataset.seconds) * 1000;
  const tick = () => {
    const seconds = Math.ceil((ends - performance.now()) / 1000);
    if (seconds > 0) {
      line.textContent = line.dataset.text.replace("[seconds]", String(seconds));
      return;
    }
    clearInterval(timer);
    line.textContent = line.dataset.now;
    told.textContent = line.dataset.now;
  };
  const timer = setInterval(tick, 1000);
  tick();
}

/* A mail that is on its way: the page asks once whether it left, unless somebody is typing. */
const [arrival] = performance.getEntriesByType("navigation");
if (document.querySelector('#mail-state[data-state="waiting"]') && arrival.type !== "reload") {
  setTimeout(() => {
    if (!document.getElementById("code").value) location.reload();
  }, 5000);
}

/* The other language is another page: what was typed and chosen goes along, never a password (shown or not). */
const TYPED = "typed";
const fields = () => document.querySelectorAll("input[id]:not([type=hidden], [autocomplete=current-password])");
for (const link of document.querySelectorAll(".lang a")) {
  link.addEventListener("click", () => {
    const values = [...fields()].map((input) => [input.id, input.value, input.checked]);
    try {
      sessionStorage.setItem(TYPED, JSON.stringify([location.pathname, values]));
    } catch {
      /* A browser that stores nothing shows an empty form. */
    }
  });
}
try {
  const [path, values] = JSON.parse(sessionStorage.getItem(TYPED) ?? "[]");
  sessionStorage.removeItem(TYPED);
  for (const input of path === location.pathname ? fields() : []) {
    const [, value, checked] = values.find(([id]) => id === input.id) ?? [];
    if (value === undefined) continue;
    if (input.type === "radio" || input.type === "checkbox") input.checked = checked;
    else input.value = value;
  }
} catch {
  /* Nothing was kept. */
}
