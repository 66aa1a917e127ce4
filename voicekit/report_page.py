"""The frame of the report: one HTML page that loads nothing, and the small words to build it from.

Knows nothing of voices. Whatever comes from outside goes through :func:`escaped`; the policy in the page's head lets
no script, style, picture or sound in but those that are inside the page.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from string import Template

# Control characters, halves of surrogate pairs (undecodable file names) and marks that turn the direction of text.
_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def escaped(text: str) -> str:
    """Text from outside as HTML, also inside an attribute with double quotes."""
    return html.escape(_UNWRITABLE.sub("\ufffd", text))


def name_html(name: str) -> str:
    """A file's name: kept from reordering the text around it, and free to break anywhere."""
    return f'<bdi class="name">{escaped(name)}</bdi>'


def file_name(path: str) -> str:
    """The last part of a path of any system: the folders are nobody's business."""
    return re.split(r"[/\\]", path)[-1]


def hidden(words: str) -> str:
    """Words for those who do not see the page."""
    return f'<span class="vh">{escaped(words)}</span>'


def data_uri(kind: str, data: bytes) -> str:
    """Bytes of a MIME type as an address that needs no network."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def page(title: str, body: str, *, more_style: str = "", script: str = "") -> str:
    """The whole page around `body`, which is HTML; `title` is text. Nothing runs but `script`, if there is one."""
    style = STYLE + more_style
    policy = f"default-src 'none'; img-src data:; media-src data:; style-src {_hash(style)}; "
    policy += f"{f'script-src {_hash(script)}; ' if script else ''}base-uri 'none'; form-action 'none'"
    run = f"<script>{script}</script>\n" if script else ""
    return _PAGE.substitute(policy=policy, title=escaped(title), style=style, run=run, body=body)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


STYLE = """
:root {
  color-scheme: light dark;
  --page: #f5f7f8; --card: #ffffff; --ink: #1b2430; --muted: #556170; --line: #dfe4ea; --quiet: #eef1f4;
  --voice: #0b7a75; --voice-soft: #d9efed; --good: #16703f; --ok: #4a6a1d; --weak: #8a5600; --bad: #b3261e;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #10161c; --card: #182029; --ink: #e8edf2; --muted: #a3b0be; --line: #2c3743; --quiet: #212b36;
    --voice: #4fc3b8; --voice-soft: #1c3f42; --good: #62d394; --ok: #b3d36a; --weak: #f2b95a; --bad: #ff938a;
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word;
}
main, footer { max-width: 1060px; margin: 0 auto; padding: 0 16px; }
h1 { margin: 20px 0 12px; font-size: .8125rem; font-weight: 600; letter-spacing: .06em; text-transform: uppercase;
  color: var(--muted); }
h2 { margin: 0; font-size: 1.125rem; font-weight: 650; line-height: 1.35; }
h3 { margin: 0 0 4px; font-size: 1.125rem; font-weight: 650; line-height: 1.3; }
h4 { margin: 0; font-size: 1rem; font-weight: 600; }
p { margin: 0; }
p + p { margin-top: 8px; }
a { color: var(--voice); text-underline-offset: 3px; }
a:focus-visible, button:focus-visible, input:focus-visible, summary:focus-visible {
  outline: 3px solid var(--voice); outline-offset: 2px; border-radius: 4px; }
ul, ol { margin: 0; padding: 0; list-style: none; }
.name { overflow-wrap: anywhere; }
.vh { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.muted { color: var(--muted); }
.small { font-size: .875rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 20px 16px;
  margin: 0 0 16px; }
.card > * + * { margin-top: 16px; }
.card > h3 + p { margin-top: 0; }
.sample + .sample, .overview + .sample { margin-top: 56px; }
.sample { scroll-margin-top: 12px; }
.good { color: var(--good); } .ok { color: var(--ok); } .weak { color: var(--weak); } .bad { color: var(--bad); }

.hero { display: grid; gap: 14px; justify-items: center; align-content: center; text-align: center; }
.hero > * + * { margin-top: 0; }
.gauge { width: 200px; height: auto; display: block; }
.gauge .track { stroke: var(--quiet); } .gauge .value { stroke: currentColor; } .gauge .was { stroke: var(--ink); }
.gauge text { fill: var(--ink); text-anchor: middle; font-weight: 700; }
.gauge .of { fill: var(--muted); font-weight: 400; }
.verdict { font-size: 2.25rem; font-weight: 750; line-height: 1.1; letter-spacing: -.01em; }
.verdict + p { margin-top: 8px; }
.from { font-size: .875rem; color: var(--muted); }
.from + .from { margin-top: 0; }

.matters > li { display: grid; grid-template-columns: 76px 1fr; gap: 12px; padding: 12px 0;
  border-top: 1px solid var(--line); }
.matters > li:first-child { border-top: 0; padding-top: 0; }
.matters > li:last-child { padding-bottom: 0; }
.matters b, .matters span { display: block; }
.matters > li > *, .top > *, .issues h4 { min-width: 0; }
.tag { display: inline-block; justify-self: start; align-self: start; padding: 1px 9px; border-radius: 99px;
  font-size: .8125rem; font-weight: 600; line-height: 1.5; border: 1px solid currentColor; white-space: nowrap; }

.pair { display: grid; gap: 20px 24px; }
.pair > * { min-width: 0; margin: 0; }
.pair h4 { margin-bottom: 8px; }
audio { display: block; width: 100%; height: 44px; }
audio + p { margin-top: 6px; }
.compare { display: flex; flex-wrap: wrap; gap: 12px 20px; align-items: center; padding: 12px 14px;
  background: var(--quiet); border-radius: 10px; }
.compare[hidden] { display: none; }
.compare button { font: inherit; font-weight: 600; min-height: 44px; padding: 8px 18px; border: 0; border-radius: 9px;
  background: var(--voice); color: var(--card); cursor: pointer; }
.compare label { display: flex; gap: 8px; align-items: center; min-height: 44px; cursor: pointer; }
.compare input { width: 20px; height: 20px; margin: 0; accent-color: var(--voice); }
figure picture, figure img { display: block; width: 100%; height: auto; }
figcaption { margin-bottom: 4px; font-weight: 600; }
@media (max-width: 719px) { figure picture { width: auto; margin: 0 -12px; } }

.issues > li { border-left: 4px solid currentColor; padding: 2px 0 2px 14px; }
.issues > li + li { margin-top: 20px; }
.issues > li > * { color: var(--ink); }
.issues .head { display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: center; margin-bottom: 4px; }
.issues .head .good { color: var(--good); } .issues .head .weak { color: var(--weak); }
.issues .head .bad { color: var(--bad); } .issues .head .muted { color: var(--muted); }
.issues .fix { margin-top: 4px; }
.issues .muted { color: var(--muted); }

table { width: 100%; border-collapse: collapse; font-size: .9375rem; line-height: 1.4; }
th, td { padding: 9px 6px; text-align: right; vertical-align: top; font-weight: 400;
  border-top: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
thead th { border-top: 0; color: var(--muted); font-size: .8125rem; font-weight: 600; }
tbody th { font-weight: 500; overflow-wrap: anywhere; }
tbody th .muted { display: block; font-size: .8125rem; font-weight: 400; }
th.group { padding-top: 24px; font-weight: 650; border-top: 0; }
tr.group + tr > * { border-top-color: var(--muted); }
td.n { white-space: nowrap; }
td .change { display: block; font-size: .8125rem; white-space: normal; }
.unit { color: var(--muted); font-size: .8125rem; margin-left: 2px; }
.metrics { table-layout: fixed; }
.metrics th:first-child { width: 48%; }
.metrics.one th:first-child { width: 72%; }
.ranking td { white-space: nowrap; }
.ranking tr > :first-child { width: 2.5em; }
.ranking tr > :nth-child(2) { text-align: left; }
.ranking td b + b { display: block; }
.left th, .left td { text-align: left; }
.bar { display: block; width: 100%; height: 14px; border-radius: 4px; }
.bar .track { fill: var(--quiet); } .bar .value { fill: var(--voice); } .bar .was { fill: var(--muted); }
.bar .weak { fill: var(--weak); }
.parts td.graph { width: 36%; padding-top: 12px; }
.strip { display: block; width: 100%; height: 76px; }
.strip .gone { fill: var(--quiet); } .strip .kept { fill: var(--voice); }
.strip .way { fill: var(--voice); fill-opacity: .16; }
.ends { display: flex; justify-content: space-between; font-size: .8125rem; color: var(--muted); }
.card > .strip, .strip + .ends { margin-top: 4px; }
summary { cursor: pointer; font-weight: 600; min-height: 28px; }
details table { margin-top: 8px; }
.back { margin: 0 0 16px; }
footer { padding-top: 24px; padding-bottom: 48px; color: var(--muted); font-size: .875rem; }
footer p { max-width: 46em; }

@media (min-width: 720px) {
  main, footer { padding-left: 24px; padding-right: 24px; }
  .card { padding: 28px 32px; margin-bottom: 20px; }
  .top { display: grid; grid-template-columns: 5fr 7fr; gap: 20px; }
  .top > :only-child { grid-column: 1 / -1; }
  .gauge { width: 220px; }
  .verdict { font-size: 2.5rem; }
  .pair { grid-template-columns: 1fr 1fr; }
  .pair > :only-child { grid-column: 1 / -1; max-width: 560px; }
  .matters > li { grid-template-columns: 96px 1fr; }
  th, td { padding-left: 14px; padding-right: 14px; }
  .metrics th:first-child { width: 56%; }
}
@media print {
  body { background: #fff; font-size: 11pt; }
  .card { border: 0; padding: 0; margin: 0 0 18pt; }
  .listen, .compare { display: none; }
  .card, figure, tr, .issues > li { break-inside: avoid; }
  .table-card { break-inside: auto; }
  .sample + .sample, .overview + .sample { margin-top: 0; break-before: page; }
}
"""

# Compares at the same words: `data-map` holds [start in the result, start in the "before" player, length] of each kept
# piece, in seconds; `data-volume` the volumes that make both players equally loud.
SCRIPT = """
'use strict';
const players = Array.from(document.querySelectorAll('audio'));
for (const player of players) {
  player.addEventListener('play', () => players.forEach(other => { if (other !== player) other.pause(); }));
}
for (const box of document.querySelectorAll('.compare')) {
  const [before, after] = box.closest('.listen').querySelectorAll('audio');
  const button = box.querySelector('button'), equal = box.querySelector('input');
  const map = JSON.parse(box.dataset.map), volumes = JSON.parse(box.dataset.volume);
  const inBefore = at => {
    const piece = map.find(([result, , length]) => at >= result && at < result + length);
    return piece ? piece[1] + at - piece[0] : at;
  };
  const inAfter = at => {
    const inside = map.find(([, source, length]) => at >= source && at < source + length);
    if (inside) return inside[0] + at - inside[1];
    const later = map.filter(([, source]) => source >= at).sort((a, b) => a[1] - b[1])[0];
    return later ? later[0] : 0;
  };
  const playing = () => !before.paused ? before : !after.paused ? after : null;
  let last = null;
  const say = () => {
    const now = playing();
    button.textContent = now === before ? 'Switch to after' : now === after ? 'Switch to before' : 'Play and compare';
  };
  button.addEventListener('click', () => {
    const now = playing();
    if (!now) { (last || before).play(); return; }
    const next = now === before ? after : before;
    const at = now === before ? inAfter(now.currentTime) : inBefore(now.currentTime);
    next.currentTime = at > 0 && at < next.duration ? at : 0;
    next.play();
  });
  equal.addEventListener('change', () => {
    [before, after].forEach((player, index) => { player.volume = equal.checked ? volumes[index] : 1; });
  });
  for (const player of [before, after]) {
    for (const event of ['play', 'pause', 'ended']) player.addEventListener(event, () => {
      if (event === 'play') last = player;
      say();
    });
  }
  box.hidden = false;
}
"""

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>$title</title>
<style>$style</style>
</head>
<body>
$body
$run</body>
</html>
""")
