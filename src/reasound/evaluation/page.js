"use strict";
// Each clip has one clock: whichever of its sounds plays, it plays from there, so that switching compares the same moment.
let current = null; // the lane that plays, or played last

const cardOf = (lane) => lane.closest(".card");
const soundOf = (lane) => lane.querySelector("audio");
const clockOf = (card) => Number(card.dataset.at || 0);

function show(card, at) {
  card.dataset.at = at;
  card.style.setProperty("--at", Math.min(1, Math.max(0, at / card.dataset.seconds)));
  card.querySelector(".clock").textContent = at.toFixed(2) + " s";
  for (const time of card.querySelectorAll(".sound .time")) time.setAttribute("aria-valuenow", at.toFixed(2));
}

// Safari does not seek in sound that stands in the address itself; a blob works everywhere.
function prepare(audio) {
  if (!audio.src.startsWith("data:")) return;
  const [head, body] = audio.src.split(",");
  const bytes = Uint8Array.from(atob(body), (c) => c.charCodeAt(0));
  audio.src = URL.createObjectURL(new Blob([bytes], { type: head.slice(5).split(";")[0] }));
}

function stop() {
  if (current) soundOf(current).pause();
}

function play(lane, at) {
  const audio = soundOf(lane);
  if (current !== lane) stop();
  current = lane;
  prepare(audio);
  show(cardOf(lane), at);
  const seek = () => { audio.currentTime = Math.min(at, audio.duration || at); };
  if (audio.readyState) seek(); else audio.addEventListener("loadedmetadata", seek, { once: true });
  audio.play().catch((error) => { if (error.name !== "AbortError") lane.querySelector(".trouble").textContent = "cannot be played: " + error.message; });
}

function toggle(lane) {
  if (soundOf(lane).paused) play(lane, clockOf(cardOf(lane))); else stop();
}

function follow() {
  if (!current || soundOf(current).paused) return;
  if (soundOf(current).readyState && !soundOf(current).seeking) show(cardOf(current), soundOf(current).currentTime);
  requestAnimationFrame(follow);
}

function inView() {
  const cards = [...document.querySelectorAll(".card")];
  const card = cards.find((c) => c.getBoundingClientRect().bottom > innerHeight / 3);
  return card && card.querySelector(".sound");
}

for (const lane of document.querySelectorAll(".sound")) {
  const audio = soundOf(lane), time = lane.querySelector(".time"), card = cardOf(lane);
  lane.querySelector(".play").addEventListener("click", () => toggle(lane));
  time.addEventListener("click", (event) => {
    const box = time.getBoundingClientRect();
    play(lane, Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * card.dataset.seconds);
  });
  time.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -0.25, ArrowRight: 0.25 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = Math.min(Number(card.dataset.seconds), Math.max(0, clockOf(card) + step));
    if (current === lane && !audio.paused) play(lane, at); else show(card, at);
  });
  audio.addEventListener("play", () => { lane.classList.add("on"); requestAnimationFrame(follow); });
  audio.addEventListener("pause", () => lane.classList.remove("on"));
  audio.addEventListener("ended", () => { lane.classList.remove("on"); show(card, 0); });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("button, summary, a, input")) return;
  const lane = current || inView();
  if (!lane) return;
  if (event.key === " ") {
    event.preventDefault();
    if (event.repeat) return;
    if (current && !soundOf(current).paused) stop(); else toggle(event.target.closest(".sound") || lane);
  } else if (event.key >= "1" && event.key <= "9") {
    const other = cardOf(lane).querySelectorAll(".sound")[event.key - 1];
    if (other) play(other, clockOf(cardOf(lane)));
  }
});
