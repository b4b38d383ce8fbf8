// What the page of `mofore explore` does. `explore.py` writes the data. Videos and clusters are known by their numbers.
// All texts reach the page as text, never as HTML.
"use strict";

const byId = id => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const jpegs = byId("jpegs").textContent.split("\n");
byId("data").remove();
byId("jpegs").remove();

const COUNT = data.name.length, PAGE = 60, STRIP = 6, REACH = 16;  // REACH: pixels from a click to a dot
const NEAREST = data.near[0].length;
const lower = data.name.map(name => name.toLowerCase());
const clusterOf = new Uint16Array(COUNT);
data.clusters.forEach((cluster, number) => cluster.videos.forEach(video => { clusterOf[video] = number; }));

const state = {
  query: "", cluster: -1, finding: -1,  // what is asked for; -1: any
  matches: [], shown: new Uint8Array(COUNT).fill(1), filtered: false,
  chosen: -1, opener: null, listed: 0,  // opener: what had the focus before the details did
  zoom: 1, x: .5, y: .5, pictures: true,  // x, y: the centre of the view
};

// ---------------------------------------------------------------- texts and elements

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const counted = (number, one) => `${number.toLocaleString("en")} ${one}${number === 1 ? "" : "s"}`;
const baseName = name => name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1);
const folderName = name => name.slice(0, Math.max(0, Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\"))));
// The text with places where a long name may be broken.
const breakable = name => name.split(/(?<=.{3}[_\-\/\\])/).flatMap(part => [part, make("wbr")]);
const picture = video => jpegs[video] ? `data:image/jpeg;base64,${jpegs[video]}` : "";
const title = number => `Cluster ${number + 1}`;

function duration(seconds) {
  const whole = Math.floor(seconds), two = number => String(number).padStart(2, "0");
  const clock = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : whole < 3600 ? clock : `${Math.floor(whole / 3600)}:${clock}`;
}

function fileAddress(video) {
  const path = (data.folder ? `${data.folder}/${data.name[video]}` : data.name[video]).replaceAll("\\", "/");
  return "file://" + (path.startsWith("/") ? "" : "/") + path.split("/").map(encodeURIComponent).join("/");
}

const dark = matchMedia("(prefers-color-scheme: dark)");
// Colours of equal lightness; the golden angle keeps those of successive clusters far apart.
const colour = number => `oklch(${dark.matches ? [72, 82, 62][number % 3] : [60, 48, 70][number % 3]}% .15 ${number * 137.5 % 360})`;

function tile(video, words) {
  const name = baseName(data.name[video]), image = picture(video);
  const label = words && words !== name ? `${name}, similarity ${words}` : name;
  const attributes = { type: "button", "data-video": video, title: data.name[video], "aria-label": label };
  if (video === state.chosen) attributes["aria-current"] = "true";
  const shown = image ? make("img", { src: image, alt: "", decoding: "async" }) : make("div", { class: "no" });
  return make("li", {}, make("button", attributes, shown, ...(words ? [make("span", {}, ...breakable(words))] : [])));
}

// ---------------------------------------------------------------- filter

function filter(changes, announce = true) {
  Object.assign(state, changes);
  byId("query").value = state.query;
  byId("cluster").value = state.cluster < 0 ? "" : state.cluster;
  const words = state.query.toLowerCase().split(/\s+/).filter(Boolean);
  const candidates = state.finding >= 0 ? data.findings[state.finding].videos
    : state.cluster >= 0 ? data.clusters[state.cluster].videos : data.name.keys();
  state.matches = [...candidates].filter(video => words.every(word => lower[video].includes(word))
    && (state.cluster < 0 || clusterOf[video] === state.cluster));
  state.shown.fill(0);
  for (const video of state.matches) state.shown[video] = 1;
  state.filtered = words.length > 0 || state.cluster >= 0 || state.finding >= 0;
  for (const button of byId("findings").querySelectorAll("button"))
    button.setAttribute("aria-pressed", Number(button.dataset.finding) === state.finding);
  list();
  if (announce) say(state.filtered ? byId("heading").textContent : "All videos");
  redraw();
}

const showAll = () => filter({ query: "", cluster: -1, finding: -1 });

function list() {
  const { cluster, finding, matches, filtered } = state;
  byId("back").hidden = !filtered;
  const what = finding >= 0 ? `${data.findings[finding].what} video` : "video";
  const where = cluster >= 0 ? `${title(cluster)}: ` : "";
  byId("heading").textContent = filtered ? where + counted(matches.length, what) : "Clusters";
  byId("about").textContent = !filtered
    ? "The most central videos of each. Homogeneity: mean similarity of two videos of a cluster; 0: no more alike than any two of the collection, 1: the same."
    : cluster >= 0 ? `${aboutCluster(cluster)}. The most central first.`
      : finding >= 0 ? data.findings[finding].means : matches.length ? "" : "No file name has all of these words.";
  const content = byId("content");
  if (filtered) {
    content.replaceChildren(make("ul", { class: "tiles" }));
    state.listed = 0;
    listMore();
  } else {
    content.replaceChildren(make("ul", { class: "cards" }, ...data.clusters.map((_, number) => card(number))));
    byId("more").hidden = true;
  }
}

function listMore() {
  const next = state.matches.slice(state.listed, state.listed + PAGE);
  byId("content").firstChild.append(...next.map(video => tile(video, baseName(data.name[video]))));
  state.listed += next.length;
  const left = state.matches.length - state.listed;
  byId("more").hidden = left === 0;
  byId("more").textContent = `Show ${Math.min(PAGE, left)} more of ${left.toLocaleString("en")}`;
}

function card(number) {
  const swatch = make("span", { class: "swatch" });
  swatch.style.background = colour(number);
  const open = make("button", { type: "button", onclick: () => { filter({ cluster: number }); byId("heading").focus(); } }, swatch, title(number));
  return make("li", {}, make("h3", {}, open), make("small", {}, aboutCluster(number)),
    make("ul", { class: "tiles" }, ...data.clusters[number].videos.slice(0, STRIP).map(video => tile(video))));
}

function aboutCluster(number) {
  const { videos, homogeneity } = data.clusters[number], folders = new Map();
  for (const video of videos) {
    const folder = folderName(data.name[video]).split(/[\/\\]/)[0];
    folders.set(folder, (folders.get(folder) || 0) + 1);
  }
  const [folder, most] = [...folders].sort((a, b) => b[1] - a[1])[0];
  const share = most / videos.length;
  const where = folder && share >= .25 ? `, ${Math.round(100 * share)} % in ${folder}` : "";
  return `${counted(videos.length, "video")}, homogeneity ${homogeneity.toFixed(2)}${where}`;
}

// ---------------------------------------------------------------- details of a video

function choose(video, opener) {
  state.chosen = video;
  if (opener) state.opener = opener;
  for (const button of document.querySelectorAll("[aria-current]")) button.removeAttribute("aria-current");
  for (const button of document.querySelectorAll(`[data-video="${video}"]`)) button.setAttribute("aria-current", "true");
  const details = byId("details");
  const had = details.contains(document.activeElement);
  details.classList.toggle("none", video < 0);
  document.body.classList.toggle("open", video >= 0);
  details.replaceChildren(...(video < 0
    ? [make("p", { class: "soft" }, "Choose a dot or a picture to see the video and those most like it.")] : describe(video)));
  details.scrollTop = 0;
  if (had && video >= 0) details.querySelector("h2").focus();
  if (video >= 0) {
    say(`${baseName(data.name[video])}, ${title(clusterOf[video])}`);
    bringIntoView(video);
  }
  redraw();
}

function describe(video) {
  const cluster = clusterOf[video];
  const swatch = make("span", { class: "swatch" });
  swatch.style.background = colour(cluster);
  const toCluster = make("a", { href: "#heading", onclick: event => {
    event.preventDefault();
    filter({ cluster, finding: -1, query: "" });
    byId("heading").scrollIntoView();
    byId("heading").focus();
  } }, title(cluster));
  const facts = [
    ["Cluster", [swatch, toCluster]],
    ["Length", [duration(data.seconds[video])]],
    ["Picture", [`${data.size[video]}, ${data.fps[video]} frames/s`]],
    ["Motion", [`${data.motion[video].toFixed(2)} gray levels`]],
    ["Contrast", [`${data.contrast[video].toFixed(1)} gray levels`]],
    ["Folder", breakable([data.folder, folderName(data.name[video])].filter(Boolean).join("/"))],
  ];
  if (data.reason[video]) facts.push(["Note", [data.reason[video]]]);
  const found = data.findings.filter(finding => finding.videos.includes(video)).map(finding => finding.what);
  if (found.length) facts.push(["Found", [found.join(", ")]]);
  const copies = data.copies.filter(pair => pair.includes(video)).map(([a, b]) => a === video ? b : a);
  const nearest = data.near[video].map((other, rank) => tile(other, data.similarity[video][rank].toFixed(2)));
  const image = picture(video);
  return [
    make("div", { class: "top" }, make("h2", { tabindex: "-1" }, ...breakable(baseName(data.name[video]))),
      make("button", { type: "button", class: "close", "aria-label": "Close", onclick: leave }, "×")),
    make("div", { class: "row" },
      image ? make("img", { class: "main", src: image, alt: "Middle frame" }) : "",
      make("div", {}, make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, ...value)])),
        make("a", { href: fileAddress(video), target: "_blank", rel: "noopener" }, "Open the file"))),
    ...(copies.length ? [make("h3", {}, "Near-duplicates"), make("ul", { class: "tiles" }, ...copies.map(other => tile(other, baseName(data.name[other]))))] : []),
    make("h3", {}, "Most like it, with similarity"),
    make("ol", { class: "tiles" }, ...nearest),
  ];
}

function leave() {
  const opener = state.opener;
  const had = byId("details").contains(document.activeElement);
  state.opener = null;
  choose(-1);
  if (had) (opener && opener.isConnected ? opener : canvas).focus();
}

function say(text) { byId("announce").textContent = text; }

// ---------------------------------------------------------------- map

const canvas = byId("map"), paper = canvas.getContext("2d");
const images = new Map();  // of videos whose pictures were drawn on the map
let width = 1, height = 1, waiting = false, boxes = [];  // boxes: pictures on the map, [left, top, video]
const pictureWidth = () => width < 500 ? 42 : 60;
const side = () => pictureWidth() / 2 + 6, above = () => pictureWidth() * .75 + 16, below = 54;  // room for pictures and buttons
const spanX = () => width - 2 * side(), spanY = () => height - above() - below;
const acrossX = video => side() + spanX() * ((data.x[video] - state.x) * state.zoom + .5);
const acrossY = video => above() + spanY() * ((data.y[video] - state.y) * state.zoom + .5);
const inside = (x, y, by = 0) => x > -by && y > -by && x < width + by && y < height + by;

function redraw() {
  if (!waiting) requestAnimationFrame(() => { waiting = false; draw(); });
  waiting = true;
}

function dots(videos, radius, fill) {
  paper.beginPath();
  for (const video of videos) {
    const x = acrossX(video), y = acrossY(video);
    if (!inside(x, y, radius)) continue;
    paper.moveTo(x + radius, y);
    paper.arc(x, y, radius, 0, 7);
  }
  paper.fillStyle = fill;
  paper.fill();
  if (radius > 4.5) paper.stroke();  // keeps dots apart
}

function draw() {
  const style = getComputedStyle(document.documentElement), named = name => style.getPropertyValue(name);
  const density = devicePixelRatio || 1;
  [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * density) || canvas.height !== Math.round(height * density)) {
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
  }
  paper.setTransform(density, 0, 0, density, 0, 0);
  paper.clearRect(0, 0, width, height);
  const small = Math.max(1.4, Math.min(5, 90 / Math.sqrt(COUNT) + .8)) * (width < 500 ? .75 : 1);
  const radius = small * Math.min(2, Math.sqrt(state.zoom));
  paper.strokeStyle = named("--page");
  paper.lineWidth = .8;
  for (const { videos } of data.clusters) dots(videos.filter(video => !state.shown[video]), radius * .8, named("--faint"));
  data.clusters.forEach(({ videos }, number) => dots(videos.filter(video => state.shown[video]), radius, colour(number)));
  drawChosen(radius, named);
  boxes = [];
  if (state.pictures) drawPictures(named);
}

function drawChosen(radius, named) {
  if (state.chosen < 0) return;
  const x = acrossX(state.chosen), y = acrossY(state.chosen);
  paper.strokeStyle = named("--ink");
  paper.lineWidth = 1.2;
  paper.beginPath();
  for (const other of data.near[state.chosen]) {
    paper.moveTo(x, y);
    paper.lineTo(acrossX(other), acrossY(other));
  }
  paper.stroke();
  dots([state.chosen], radius + 2, colour(clusterOf[state.chosen]));
  paper.lineWidth = 2.5;
  paper.beginPath();
  paper.arc(x, y, radius + 5, 0, 7);
  paper.stroke();
}

// The picture of the chosen video and those of the most central videos; if few are in view, those of all. None covers
// another.
function drawPictures(named) {
  const w = pictureWidth(), h = w * .75;
  const visible = state.matches.filter(video => inside(acrossX(video), acrossY(video)));
  const central = data.clusters.map(({ videos }) => videos.find(video => state.shown[video])).filter(video => video !== undefined);
  const wanted = [...(state.chosen >= 0 ? [state.chosen] : []), ...central, ...(visible.length <= 150 ? visible : [])];
  for (const video of new Set(wanted)) {
    const left = acrossX(video) - w / 2, top = acrossY(video) - h - 9;
    if (!inside(left + w / 2, top + h / 2, w)) continue;
    if (boxes.some(([x, y]) => Math.abs(x - left) < w + 4 && Math.abs(y - top) < h + 6)) continue;
    const image = imageOf(video);
    if (!image) continue;
    boxes.push([left, top, video]);
    paper.fillStyle = video === state.chosen ? named("--ink") : colour(clusterOf[video]);
    paper.fillRect(left - 2, top - 2, w + 4, h + 4);
    paper.beginPath();
    paper.moveTo(left + w / 2 - 5, top + h + 2);
    paper.lineTo(left + w / 2 + 5, top + h + 2);
    paper.lineTo(left + w / 2, top + h + 8);
    paper.fill();
    if (!image.naturalWidth) continue;
    const scale = Math.max(w / image.naturalWidth, h / image.naturalHeight);  // cut to the box
    const [cutW, cutH] = [w / scale, h / scale];
    paper.drawImage(image, (image.naturalWidth - cutW) / 2, (image.naturalHeight - cutH) / 2, cutW, cutH, left, top, w, h);
  }
}

function imageOf(video) {
  if (!jpegs[video]) return null;
  if (!images.has(video)) {
    const image = new Image();
    image.onload = redraw;
    image.src = picture(video);
    images.set(video, image);
  }
  return images.get(video);
}

function at(x, y) {  // the video whose picture or dot is there, or -1
  const w = pictureWidth();
  const box = boxes.find(([left, top]) => x >= left && x <= left + w && y >= top && y <= top + w * .75 + 8);
  if (box) return box[2];
  let best = -1, least = REACH ** 2;
  for (const video of state.matches) {
    const away = (acrossX(video) - x) ** 2 + (acrossY(video) - y) ** 2;
    if (away < least) [best, least] = [video, away];
  }
  return best;
}

function towards(key) {  // the nearest video in the direction of an arrow key
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  const [x, y] = state.chosen >= 0 ? [acrossX(state.chosen), acrossY(state.chosen)] : [width / 2, height / 2];
  let best = -1, least = Infinity;
  for (const video of state.matches) {
    if (video === state.chosen) continue;
    const along = (acrossX(video) - x) * dx + (acrossY(video) - y) * dy;
    const beside = Math.abs((acrossX(video) - x) * dy) + Math.abs((acrossY(video) - y) * dx);
    if (along > 0 && beside <= along && along + 2 * beside < least) [best, least] = [video, along + 2 * beside];
  }
  return best;
}

function zoomTo(zoom, x = width / 2, y = height / 2) {  // the point below x, y stays where it is
  const atX = (x - side()) / spanX() - .5, atY = (y - above()) / spanY() - .5;
  const next = Math.min(40, Math.max(1, zoom));
  state.x += atX / state.zoom - atX / next;
  state.y += atY / state.zoom - atY / next;
  state.zoom = next;
  keepInside();
}

function keepInside() {
  const room = .5 - .5 / state.zoom;
  state.x = Math.min(.5 + room, Math.max(.5 - room, state.x));
  state.y = Math.min(.5 + room, Math.max(.5 - room, state.y));
  canvas.style.touchAction = state.zoom > 1 ? "none" : "pan-x pan-y";  // one finger scrolls the page, unless zoomed in
  canvas.style.cursor = state.zoom > 1 ? "grab" : "";
  redraw();
}

function bringIntoView(video) {
  if (inside(acrossX(video), acrossY(video), -8)) return;
  [state.x, state.y] = [data.x[video], data.y[video]];
  keepInside();
}

function hover(video, x, y) {
  const box = byId("hover");
  box.hidden = video < 0;
  if (video < 0) return;
  const image = picture(video);
  box.replaceChildren(...(image ? [make("img", { src: image, alt: "" })] : []), baseName(data.name[video]));
  const left = x + 16 + box.offsetWidth > width ? x - 12 - box.offsetWidth : x + 16;
  const top = y + 16 + box.offsetHeight > height ? y - 12 - box.offsetHeight : y + 16;
  box.style.transform = `translate(${Math.max(0, left)}px, ${Math.max(0, top)}px)`;
}

const fingers = new Map();
let moved = 0;

const place = event => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
const spread = () => {
  const [[ax, ay], [bx, by]] = [...fingers.values()];
  return [Math.hypot(ax - bx, ay - by), (ax + bx) / 2, (ay + by) / 2];
};

canvas.addEventListener("pointerdown", event => {
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, place(event));
  if (fingers.size === 1) moved = 0;
});
canvas.addEventListener("pointermove", event => {
  const [x, y] = place(event), before = fingers.get(event.pointerId);
  if (!before) {
    if (event.pointerType === "mouse") hover(at(x, y), x, y);
    return;
  }
  moved += Math.hypot(x - before[0], y - before[1]);
  const apart = fingers.size === 2 ? spread()[0] : 0;
  fingers.set(event.pointerId, [x, y]);
  if (fingers.size === 2) {
    const [now, middleX, middleY] = spread();
    zoomTo(state.zoom * now / Math.max(1, apart), middleX, middleY);
  } else if (state.zoom > 1 && moved > 4) {
    state.x -= (x - before[0]) / spanX() / state.zoom;
    state.y -= (y - before[1]) / spanY() / state.zoom;
    hover(-1);
    keepInside();
  }
});
canvas.addEventListener("pointerup", event => {
  const video = fingers.size === 1 && moved < 8 ? at(...place(event)) : -1;
  if (video >= 0) choose(video, canvas);
});
for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, event => fingers.delete(event.pointerId));
canvas.addEventListener("pointerleave", () => hover(-1));
canvas.addEventListener("dblclick", event => zoomTo(state.zoom * 2, ...place(event)));
canvas.addEventListener("wheel", event => {
  if (!event.ctrlKey && !event.metaKey && state.zoom === 1) return;  // the wheel alone scrolls the page
  event.preventDefault();
  zoomTo(state.zoom * Math.exp(-event.deltaY / 300), ...place(event));
}, { passive: false });
canvas.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key.startsWith("Arrow")) {
    const video = towards(event.key);
    if (video >= 0) choose(video, canvas);
  } else if (event.key === "Enter" && state.chosen >= 0) byId("details").querySelector("h2").focus();
  else if (event.key === "+" || event.key === "=") zoomTo(state.zoom * 1.6);
  else if (event.key === "-") zoomTo(state.zoom / 1.6);
  else return;
  event.preventDefault();
});

// ---------------------------------------------------------------- the rest of the page

document.addEventListener("click", event => {
  const button = event.target.closest("[data-video]");
  if (button) choose(Number(button.dataset.video), byId("details").contains(button) ? null : button);
});
document.addEventListener("keydown", event => {
  if (event.key === "Escape") {
    if (state.chosen >= 0) leave();
    else if (state.filtered) showAll();
    else if (state.zoom > 1) zoomTo(1);
    return;
  }
  const list = event.target.closest(".tiles");  // arrow keys go from picture to picture
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!list || !step) return;
  const buttons = [...list.querySelectorAll("button")];
  const next = buttons[buttons.indexOf(event.target) + step];
  if (next) next.focus();
  event.preventDefault();
});
byId("tools").addEventListener("submit", event => event.preventDefault());
byId("query").addEventListener("input", event => filter({ query: event.target.value, finding: -1 }));
byId("cluster").addEventListener("change", event => filter({ cluster: event.target.value === "" ? -1 : Number(event.target.value), finding: -1 }));
byId("reset").addEventListener("click", showAll);
byId("back").addEventListener("click", () => { showAll(); byId("heading").focus(); });
byId("more").addEventListener("click", () => {
  const first = state.listed;
  listMore();
  byId("content").firstChild.children[first].firstChild.focus();
});
byId("closer").addEventListener("click", () => zoomTo(state.zoom * 1.6));
byId("farther").addEventListener("click", () => zoomTo(state.zoom / 1.6));
byId("pictures").addEventListener("click", event => {
  state.pictures = !state.pictures;
  event.target.setAttribute("aria-pressed", state.pictures);
  redraw();
});
dark.addEventListener("change", () => filter({}, false));
new ResizeObserver(redraw).observe(canvas);

data.clusters.forEach((cluster, number) => byId("cluster").append(
  make("option", { value: number }, `${number + 1} (${cluster.videos.length.toLocaleString("en")})`)));
data.findings.forEach((finding, number) => {
  if (!finding.videos.length) return;
  const open = () => {
    filter({ finding: number, cluster: -1, query: "" });
    byId("heading").scrollIntoView();
    byId("heading").focus();
  };
  byId("findings").append(make("li", {}, make("button", { type: "button", "data-finding": number, "aria-pressed": "false", onclick: open },
    counted(finding.videos.length, `${finding.what} video`)), `: ${finding.means}`));
});
const fine = !data.findings.some(finding => finding.videos.length) && !document.querySelector(".health details");
byId("healthy").hidden = !fine;
byId("health").classList.toggle("none", fine);
filter({}, false);
document.documentElement.dataset.ready = COUNT;
