// In the page: `drawn()` draws one diagram as GitHub does, `measured()` says what came of it.

const WIDTH = 830; // px: what a README has on GitHub's page

// What is wrong with the source, or null.
async function drawn(source, theme) {
  mermaid.initialize({startOnLoad: false, securityLevel: 'strict', theme});
  try {
    await mermaid.parse(source);
  } catch (error) {
    return String(error.message || error);
  }
  const box = document.getElementById('box');
  box.innerHTML = (await mermaid.render('drawn', source)).svg;
  return null;
}

function measured() {
  const svg = document.querySelector('#box svg'), natural = svg.viewBox.baseVal.width;
  svg.style.width = natural + 'px'; // measured at its own size: one unit is one pixel
  svg.style.maxWidth = 'none';
  const found = {
    kind: svg.getAttribute('aria-roledescription'), width: natural, height: svg.viewBox.baseVal.height,
    boxes: svg.querySelectorAll('g.node, rect.actor-top, g.actor-man.actor-top').length,
    text_px: leastText(svg) * Math.min(1, WIDTH / natural), said: svg.textContent,
    overlapping: overlapping(svg), cut: cut(svg), wrapped: wrapped(svg), crossings: 0, behind: [],
  };
  const lines = Array.from(svg.querySelectorAll('.edgePaths path')).map(sampled);
  found.crossings = crossings(lines);
  found.behind = behind(svg, lines);
  svg.style.width = '';
  svg.style.maxWidth = natural + 'px'; // as it is shown: never wider than the page
  return found;
}

const shown = node => node.textContent.trim().slice(0, 40);

function leastText(svg) {
  const texts = Array.from(svg.querySelectorAll('text, foreignObject span, foreignObject p')).filter(shown);
  return Math.min(...texts.map(node => parseFloat(getComputedStyle(node).fontSize)));
}

// What is read: the boxes, and the labels beside them.
function labels(svg) {
  const all = 'g.node, g.edgeLabel, g.cluster-label, .messageText, .noteText, .loopText, .labelText, rect.actor-top';
  return Array.from(svg.querySelectorAll(all)).map(node => ({node, at: node.getBoundingClientRect()}))
    .filter(({node, at}) => at.width > 1 && at.height > 1 && (shown(node) || node.tagName === 'rect'));
}

function overlapping(svg) {
  const found = [], all = labels(svg), slack = 2;
  all.forEach((a, i) => all.slice(i + 1).forEach(b => {
    const wide = Math.min(a.at.right, b.at.right) - Math.max(a.at.left, b.at.left);
    const high = Math.min(a.at.bottom, b.at.bottom) - Math.max(a.at.top, b.at.top);
    if (wide > slack && high > slack) found.push(`${shown(a.node)} / ${shown(b.node)}`);
  }));
  return found;
}

function cut(svg) {
  const edge = svg.getBoundingClientRect();
  const inside = Array.from(svg.querySelectorAll('foreignObject')).filter(shown)
    .filter(node => node.firstElementChild.scrollWidth > node.getBoundingClientRect().width + 1.5);
  const outside = Array.from(svg.querySelectorAll('text, foreignObject')).filter(shown).filter(node => {
    const at = node.getBoundingClientRect();
    return at.left < edge.left - 1 || at.right > edge.right + 1 || at.top < edge.top - 1 || at.bottom > edge.bottom + 1;
  });
  const notes = Array.from(svg.querySelectorAll('.noteText')).filter(node => {
    const at = node.getBoundingClientRect(), note = node.parentElement.querySelector('rect').getBoundingClientRect();
    return at.left < note.left || at.right > note.right;
  });
  return inside.concat(outside, notes).map(shown);
}

// Labels that mermaid broke at a place of its own choice: they fill more lines than were written.
function wrapped(svg) {
  return Array.from(svg.querySelectorAll('foreignObject')).filter(shown).filter(node => {
    const line = parseFloat(getComputedStyle(node.firstElementChild).lineHeight);
    return node.getBoundingClientRect().height > line * (node.querySelectorAll('br').length + 1.5);
  }).map(shown);
}

function sampled(path) {
  const points = [], length = path.getTotalLength(), toScreen = path.getScreenCTM();
  for (let at = 0; at <= 60; at++) points.push(path.getPointAtLength(length * at / 60).matrixTransform(toScreen));
  return {id: path.id || path.dataset.id || '', points};
}

const side = (a, b, c) => Math.sign((b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x));
const cross = (a, b, c, d) => side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0;

// Pairs of lines that cross somewhere else than where both begin or end.
function crossings(lines) {
  let count = 0;
  lines.forEach((one, i) => lines.slice(i + 1).forEach(other => {
    const p = one.points.slice(2, -2), q = other.points.slice(2, -2);
    if (p.slice(1).some((end, m) => q.slice(1).some((stop, n) => cross(p[m], end, q[n], stop)))) count++;
  }));
  return count;
}

// Lines that run behind a box which is not theirs.
function behind(svg, lines) {
  const found = [];
  for (const node of svg.querySelectorAll('g.node')) {
    const at = node.getBoundingClientRect();
    for (const {id, points} of lines) {
      const within = points.slice(4, -4).filter(point => point.x > at.left + 3 && point.x < at.right - 3
        && point.y > at.top + 3 && point.y < at.bottom - 3);
      if (within.length) found.push(`${id} behind ${shown(node)}`);
    }
  }
  return found;
}
