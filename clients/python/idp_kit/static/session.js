// @ts-check
/* Warns before a sign-in ends, and leaves the page when it has ended. For every page that signed-in people see:

     <script src="/session/session.js" defer data-status="/session/status" data-activity="/session/activity"
             data-logout="/logout" data-signed-out="/signed-out" data-lang="nl" data-logout-form="logout"
             data-mark="..."></script>

   data-mark says whose page it is: something else for each session, which answers repeat as `mark`. The page is left when
   they differ, because somebody else has signed in. Without it the script cannot tell.
   data-logout-form (optional) is the id of a form that logs out; without it, data-logout is opened.

   What counts as somebody being here: a pointer or key that was really pressed, and the wheel. The browser marks those
   `isTrusted`; a script cannot make one. Nothing else counts: mousemove (a cable, a desk that shakes), the repeats of a
   key that something lies on, `scroll`, `focus`, `submit` and a dialog's `cancel` (trusted, but scripts cause them),
   timers, and seeing or not seeing the page. Asking how long the sign-in lasts extends nothing.

   The server decides. All that is known here is when to ask it, and this errs towards too early. */
"use strict";

(() => {
  const script = document.currentScript;
  if (!(script instanceof HTMLScriptElement)) return;
  const settings = script.dataset;
  const statusUrl = settings.status ?? "/session/status";
  const activityUrl = settings.activity ?? "/session/activity";
  const lookUrl = new URL("session.css", script.src).href;

  const SECOND = 1000;
  const TELL_EVERY = 60 * SECOND;
  const ASK_WITHIN = 5 * SECOND;
  const GONE_WITHIN = 10 * SECOND;
  const HIDDEN_WAITS = 2 * SECOND; /* So that of several tabs the one that is seen asks for all. */
  const JUST_NOW = SECOND / 10;
  const SPOKEN = [120, 60, 30]; /* Seconds left at which screen readers hear it. */
  const OVER = "session-kit-over";

  const TEXTS = {
    nl: {
      heading: "U wordt bijna uitgelogd",
      spoken: (/** @type {string} */ time) => `U wordt over ${time} uitgelogd`,
      idle: "U heeft een tijd niets gedaan. ",
      left: (/** @type {string} */ clock) => `Nog ${clock}.`,
      minutes: ["minuut", "minuten"],
      seconds: ["seconde", "seconden"],
      and: "en",
      stay: "Ingelogd blijven",
      leave: "Nu uitloggen",
      goOn: "Verder werken",
      limit: "Langer ingelogd blijven kan niet. Sla uw werk nu op.",
      offline: "Het lukt nu niet. Controleer uw internet en probeer het opnieuw.",
      trouble: "Het lukt nu niet. Probeer het opnieuw.",
    },
    en: {
      heading: "You will soon be signed out",
      spoken: (/** @type {string} */ time) => `You will be signed out in ${time}`,
      idle: "You have not done anything for a while. ",
      left: (/** @type {string} */ clock) => `${clock} left.`,
      minutes: ["minute", "minutes"],
      seconds: ["second", "seconds"],
      and: "and",
      stay: "Stay signed in",
      leave: "Sign out now",
      goOn: "Continue working",
      limit: "You cannot stay signed in any longer. Save your work now.",
      offline: "That did not work. Check your internet connection and try again.",
      trouble: "That did not work. Please try again.",
    },
  };
  const language = (settings.lang || document.documentElement.lang).startsWith("en") ? "en" : "nl";
  const text = TEXTS[language];

  /* ---- Time: milliseconds that never run backwards ---- */

  let lastTick = performance.now();
  let lastWall = Date.now();
  let slept = 0;

  /** Goes on while the machine sleeps, although `performance.now` may not, and although the clock may be set back. */
  function now() {
    const tick = performance.now();
    const wall = Date.now();
    const missed = wall - lastWall - (tick - lastTick);
    if (missed > SECOND) slept += missed;
    [lastTick, lastWall] = [tick, wall];
    return tick + slept;
  }

  /** When it was, by `now`, of what happened at a time by the clock: other tabs know no other time. */
  function when(/** @type {number} */ wall) {
    return now() - Math.max(0, Date.now() - wall);
  }

  /* ---- What is known; moments by `now` ---- */

  /* Until the first answer: what is usual. A page that never gets one does not stay for ever. */
  let deadline = now() + 30 * 60 * SECOND;
  let warnBefore = 120 * SECOND;
  let atLimit = false; /* No activity moves the deadline. */
  let asked = -Infinity; /* when the server was last asked, */
  let settled = -Infinity; /* when that was of the newest question that is answered or failed, */
  let answered = -Infinity; /* and of the newest that is answered. */
  let active = -Infinity; /* when somebody was last here, in any tab, */
  let told = -Infinity; /* and how much of that the server knows. */
  let sent = -Infinity;
  let shared = -Infinity;
  let activeHere = true;
  let leaving = false;
  let shownAgain = false; /* The browser had kept the page; nobody has said since that it is still theirs. */
  let going = -Infinity; /* when the page was last being left for another, by whoever is here. */

  /* ---- The server ---- */

  /** `reported` is false when the provider did not hear of this activity; `at_limit` is true when none moves the end.
      @typedef {{ signed_in: boolean, expires_in: number, warn_before: number, mark?: string, reported?: boolean, at_limit?: boolean }} Answer */

  /** Asks how long the sign-in lasts, and says when somebody was last here if it does not know yet. */
  function look() {
    return ask(isUntold());
  }

  /** The machine may have slept, the network been away. Scripts can cause this too: it is not done often. */
  function lookAgain() {
    tick();
    if (now() - asked > SECOND && !leaving) void ask(false);
  }

  /** What the server answered; null without an answer that makes sense. */
  async function ask(/** @type {boolean} */ report) {
    const at = (asked = now());
    const wall = Date.now();
    const moment = active;
    /** @type {RequestInit} */
    const request = { cache: "no-store", redirect: "error", signal: AbortSignal.timeout(ASK_WITHIN) };
    if (report) {
      rememberSent();
      request.method = "POST";
      request.headers = { "Content-Type": "application/json", "X-Session-Kit": "1" };
      request.body = JSON.stringify({ idle_seconds: Math.max(0, Math.ceil((at - moment - JUST_NOW) / SECOND)) });
    }
    let answer;
    try {
      answer = checked(await (await fetch(report ? activityUrl : statusUrl, request)).json());
    } catch {
      /* No answer, or none that makes sense. Until the deadline the page stays as it is, seen or unseen. */
      settled = Math.max(settled, at);
      if (at >= deadline) leave();
      else reveal();
      tick();
      return null;
    }
    if (report) told = Math.max(told, moment);
    share({ answer, at: wall, told: report ? wall - (at - moment) : null });
    learn(answer, at);
    return answer;
  }

  /** @returns {Answer} */
  function checked(/** @type {any} */ answer) {
    if (answer.signed_in !== false && !(answer.signed_in === true && answer.expires_in >= 0 && answer.warn_before >= 0)) {
      throw new TypeError("not an answer about a sign-in");
    }
    return answer;
  }

  function learn(/** @type {Answer} */ answer, /** @type {number} */ at) {
    asked = Math.max(asked, at);
    settled = Math.max(settled, at);
    if (at < answered || leaving) return;
    answered = at;
    if (!answer.signed_in || isOfAnother(answer)) return leave();
    shownAgain = false;
    /* Counted from the question, not from the answer: never later than the truth. */
    deadline = at + answer.expires_in * SECOND;
    warnBefore = answer.warn_before * SECOND;
    atLimit = answer.at_limit === true;
    if (now() < deadline) reveal();
    if (now() < deadline - warnBefore) {
      dismissed = false;
      close();
    }
    tick();
  }

  /** Somebody else has signed in since the page was made. */
  function isOfAnother(/** @type {Answer} */ answer) {
    return Boolean(settings.mark && answer.mark && answer.mark !== settings.mark);
  }

  let departure = 0;

  /** The page is left for the one that says so. What it showed is gone at once, and Back does not bring it again. */
  function leave() {
    if (leaving) return;
    leaving = true;
    conceal();
    share({ look: true });
    depart();
  }

  function depart() {
    /* Who presses "log out" hears here of the end of their own making, while the browser is still on its way to the
       provider: cutting that short would leave them signed in there. */
    const onTheWay = going + GONE_WITHIN - now();
    clearTimeout(departure);
    if (onTheWay > 0) {
      departure = setTimeout(depart, onTheWay);
      return;
    }
    window.onbeforeunload = null;
    const address = new URL(settings.signedOut ?? "/", location.href);
    if (!address.searchParams.has("next")) address.searchParams.set("next", location.pathname + location.search);
    location.replace(address);
  }

  function conceal() {
    document.documentElement.classList.add(OVER);
  }

  function reveal() {
    if (!leaving && !shownAgain) document.documentElement.classList.remove(OVER);
  }

  /* ---- Somebody is here ---- */

  function act(/** @type {Event} */ event) {
    if (!event.isTrusted || (event instanceof KeyboardEvent && event.repeat)) return;
    /* Under the warning only its buttons count: going through it with Tab is no answer. */
    if (warning || leaving) return;
    active = now();
    activeHere = true;
    if (active - shared >= SECOND) {
      shared = active;
      share({ active: Date.now() });
    }
    tell();
  }

  function isUntold() {
    /* What other tabs say is whole milliseconds. */
    return active - told > JUST_NOW;
  }

  /** At most once a minute, in all tabs together; what came too early is told at the minute's end. */
  function tell() {
    if (isUntold() && now() >= lastSent() + pause() + (activeHere ? 0 : HIDDEN_WAITS)) void ask(true);
  }

  /** A minute; less when the warning is near, which nobody may see who was just here. */
  function pause() {
    const left = deadline - warnBefore - now();
    return left > 0 ? Math.min(TELL_EVERY, Math.max(SECOND, left / 2)) : pollEvery();
  }

  function pollEvery() {
    return Math.min(15 * SECOND, Math.max(SECOND, warnBefore / 8));
  }

  /** Somebody may have signed out in another application: a page that is seen does not wait for the end to hear it. */
  function lookEvery() {
    if (shownAgain) return ASK_WITHIN;
    return Math.min(TELL_EVERY, Math.max(ASK_WITHIN, warnBefore / 2));
  }

  const SENT = `session-kit ${activityUrl}`;

  function rememberSent() {
    sent = now();
    try {
      localStorage.setItem(SENT, String(Date.now()));
    } catch {
      /* A browser that stores nothing: each page counts its own minute. */
    }
  }

  function lastSent() {
    try {
      const wall = Number(localStorage.getItem(SENT));
      /* In the future: the clock was set back. */
      if (wall <= Date.now()) return Math.max(sent, when(wall));
    } catch {
      /* As above. */
    }
    return sent;
  }

  /* ---- Other tabs ---- */

  /** @type {BroadcastChannel | null} */
  let channel = null;

  function share(/** @type {object} */ message) {
    channel?.postMessage(message);
  }

  function connect() {
    channel = new BroadcastChannel(`session-kit ${statusUrl}`);
    channel.onmessage = ({ data }) => {
      if (data.answer && isOfAnother(data.answer)) {
        /* Of these two pages one is somebody else's, and only the server says which. */
        if (!leaving) void ask(false);
      } else if (data.answer) {
        if (data.told !== null) told = Math.max(told, when(data.told));
        learn(data.answer, when(data.at));
      } else if (data.active) {
        const moment = when(data.active);
        if (moment > active) [active, activeHere] = [moment, false];
      } else if (data.look && !leaving) {
        void ask(false);
      }
    };
  }

  /* ---- The warning ---- */

  /** @type {HTMLDialogElement | null} */
  let warning = null;
  /* True when somebody has read that the sign-in cannot last longer. */
  let dismissed = false;
  let titleBefore = "";
  let titleGiven = "";
  let spoken = Infinity;
  const heading = make("h2", "heading");
  const clock = make("p", "clock");
  const status = make("p", "spoken");
  const note = make("p", "note");
  const stayButton = make("button", "stay");
  const leaveButton = make("button", "leave");

  /** @template {keyof HTMLElementTagNameMap} T */
  function make(/** @type {T} */ tag, /** @type {string} */ name) {
    const element = document.createElement(tag);
    element.className = `session-kit-${name}`;
    return element;
  }

  function build() {
    const dialog = make("dialog", "dialog");
    const buttons = make("div", "buttons");
    heading.id = "session-kit-heading";
    dialog.lang = language;
    dialog.setAttribute("role", "alertdialog");
    dialog.setAttribute("aria-labelledby", heading.id);
    status.id = "session-kit-spoken";
    dialog.setAttribute("aria-describedby", status.id);
    clock.setAttribute("role", "timer");
    status.setAttribute("role", "status");
    note.setAttribute("role", "alert");
    leaveButton.textContent = text.leave;
    stayButton.type = leaveButton.type = "button";
    stayButton.autofocus = true;
    stayButton.onclick = (event) => {
      if (event.isTrusted) void stay();
    };
    leaveButton.onclick = logOut;
    /* Esc is seen as a key below. Scripts can ask a dialog to close too, and that is nobody's choice. */
    dialog.oncancel = (event) => event.preventDefault();
    buttons.append(stayButton, leaveButton);
    dialog.append(heading, clock, note, buttons, status);
    return dialog;
  }

  function open(/** @type {number} */ seconds) {
    warning = build();
    note.textContent = "";
    stayButton.textContent = text.stay;
    heading.textContent = text.heading;
    status.textContent = text.spoken(inWords(seconds));
    spoken = seconds; /* The dialog's name and description are read when it opens. */
    titleBefore = document.title;
    document.title = titleGiven = heading.textContent;
  }

  function close() {
    if (!warning) return;
    const dialog = warning;
    warning = null;
    dialog.close(); /* Gives the focus back. */
    dialog.remove();
    if (document.title === titleGiven) document.title = titleBefore;
  }

  function show(/** @type {number} */ seconds) {
    if (!warning) return;
    /* At the limit it ends for busy people too. */
    clock.textContent = (atLimit ? "" : text.idle) + text.left(`${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`);
    const mark = SPOKEN.findLast((least) => seconds <= least);
    if (mark !== undefined && mark < spoken) {
      spoken = mark;
      status.textContent = text.spoken(inWords(seconds));
    }
    /* A page that replaces its contents, or closes all its dialogs, does not take this one along. */
    if (!warning.isConnected || !warning.open) {
      document.body.append(warning);
      if (!warning.open) warning.showModal();
    }
  }

  function inWords(/** @type {number} */ seconds) {
    const count = (/** @type {number} */ n, /** @type {string[]} */ [one, many]) => `${n} ${n === 1 ? one : many}`;
    const minutes = Math.floor(seconds / 60);
    const rest = seconds % 60;
    if (minutes === 0) return count(rest, text.seconds);
    return count(minutes, text.minutes) + (rest ? ` ${text.and} ${count(rest, text.seconds)}` : "");
  }

  async function stay() {
    if (stayButton.textContent === text.goOn) {
      dismissed = true;
      return close();
    }
    active = now();
    const answer = await ask(true);
    /* An answer with enough time has closed it. */
    if (!warning) return;
    note.textContent = atLimit ? text.limit : answer ? text.trouble : text.offline;
    if (atLimit) stayButton.textContent = text.goOn;
  }

  function logOut() {
    const form = settings.logoutForm && document.getElementById(settings.logoutForm);
    if (form instanceof HTMLFormElement) form.requestSubmit();
    else location.assign(settings.logout ?? "/");
  }

  function onKey(/** @type {KeyboardEvent} */ event) {
    if (!warning || !event.isTrusted) return;
    /* A key that is held down presses a button again and again. */
    if (event.repeat) event.preventDefault();
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!event.repeat) void stay();
  }

  /* ---- Each second ---- */

  let timer = 0;

  function tick() {
    clearTimeout(timer);
    if (leaving) return;
    const time = now();
    const left = deadline - time;
    const seconds = Math.max(0, Math.ceil(left / SECOND));
    const warnFrom = deadline - warnBefore;
    if (left <= 0) {
      /* Whole seconds came; the last one may not be quite over. */
      if (asked < deadline || time - asked >= SECOND) void look();
      if (left < -SECOND) conceal();
    } else if (warning) {
      if (time - asked >= pollEvery() + (document.hidden ? HIDDEN_WAITS : 0)) void look();
    } else if (time >= warnFrom && !dismissed) {
      /* Somebody may be busy in another application: first ask, then warn. */
      if (settled >= warnFrom) open(seconds);
      else if (asked < warnFrom) void look();
    } else if ((answered === -Infinity || !document.hidden) && time - asked >= lookEvery()) {
      void ask(false);
    }
    tell();
    show(seconds);
    /* On the whole second; a timer that sleeps or is held back is late, and `now` knows. */
    timer = setTimeout(tick, left > 0 ? (left % SECOND) + 5 : SECOND / 4);
  }

  function start() {
    if (![...document.querySelectorAll("link")].some((link) => link.href === lookUrl)) {
      document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: lookUrl }));
    }
    addEventListener("keydown", onKey, { capture: true });
    for (const kind of ["pointerdown", "keydown", "wheel"]) {
      addEventListener(kind, act, { capture: true, passive: true });
    }
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) lookAgain();
    });
    /* An application that asks whether to leave a half-filled form would keep it on the screen after the end. */
    addEventListener("beforeunload", (event) => {
      if (leaving) event.stopImmediatePropagation();
      else going = now();
    });
    addEventListener("online", lookAgain);
    /* The browser may keep the page and show it again, perhaps after the end: unseen until the server has answered. */
    addEventListener("pagehide", () => {
      clearTimeout(timer);
      clearTimeout(departure);
      channel?.close();
      channel = null;
      conceal();
    });
    addEventListener("pageshow", ({ persisted }) => {
      if (!persisted) return;
      leaving = false;
      shownAgain = true;
      connect();
      void look();
      tick();
    });
    connect();
    void look();
    tick();
  }

  /* A page that the browser prepares in advance is nobody's yet. */
  if ("prerendering" in document && document.prerendering) {
    document.addEventListener("prerenderingchange", start, { once: true });
  } else {
    start();
  }
})();
