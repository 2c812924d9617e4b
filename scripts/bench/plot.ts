/** Plots as SVG, readable on light and on dark pages: bars for races, lines for what changes. */

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** The label at its end. */
  readonly text: string;
  /** Drawn in another colour. */
  readonly isMongotap: boolean;
}

export interface Line {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Axes {
  readonly title: string;
  /** Marks on the horizontal axis. */
  readonly ticks: readonly { readonly at: number; readonly text: string }[];
  readonly unit: string;
}

const WIDTH = 760;
const LABEL_WIDTH = 250;
const VALUE_WIDTH = 110;
const BAR_HEIGHT = 18;
const BAR_STEP = 26;
const TOP = 34;
const LINE_HEIGHT = 240;
const LEFT = 60;
const COLORS = ["own", "second", "third"] as const;

const STYLE = `<style>
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.faint { fill: #6e7781 }
.bar { fill: #afb8c1 } .own { fill: #2f81f7; stroke: #2f81f7 } .second { fill: #d4803b; stroke: #d4803b }
.third { fill: #6e7781; stroke: #6e7781 } .line { fill: none; stroke-width: 2 } .grid { stroke: #d0d7de }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .faint { fill: #8d96a0 } .bar { fill: #57606a } .grid { stroke: #3d444d }
}
</style>`;

/** Horizontal bars, the longest as wide as there is room. */
export function barPlot(title: string, bars: readonly Bar[]): string {
  const longest = Math.max(...bars.map(({ value }) => value));
  const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
  const rows = bars.map(({ label, value, text, isMongotap }, index) => {
    const y = TOP + index * BAR_STEP;
    const width = Math.max(1, (value / longest) * room);
    const base = y + BAR_HEIGHT - 5;
    return [
      `<text x="${LABEL_WIDTH - 8}" y="${base}" text-anchor="end">${escaped(label)}</text>`,
      `<rect x="${LABEL_WIDTH}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" class="${isMongotap ? "own" : "bar"}"/>`,
      `<text x="${(LABEL_WIDTH + width + 6).toFixed(1)}" y="${base}">${escaped(text)}</text>`,
    ].join("\n");
  });
  return svg(title, TOP + bars.length * BAR_STEP + 6, rows);
}

/** Lines over a common horizontal axis; the vertical one begins at 0. */
export function linePlot({ title, ticks, unit }: Axes, lines: readonly Line[]): string {
  const all = lines.flatMap(({ points }) => points);
  const left = Math.min(...all.map(([x]) => x), ...ticks.map(({ at }) => at));
  const right = Math.max(...all.map(([x]) => x), ...ticks.map(({ at }) => at));
  const highest = niceCeiling(Math.max(...all.map(([, y]) => y)));
  const toX = (x: number): string => (LEFT + ((x - left) / (right - left || 1)) * (WIDTH - LEFT - 20)).toFixed(1);
  const toY = (y: number): string => (TOP + LINE_HEIGHT * (1 - y / highest)).toFixed(1);
  const grid = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const y = toY(part * highest);
    const text = `${Number((part * highest).toPrecision(3))} ${unit}`;
    return (
      `<line x1="${LEFT}" x2="${WIDTH - 20}" y1="${y}" y2="${y}" class="grid"/>` +
      `<text x="${LEFT - 6}" y="${Number(y) + 4}" text-anchor="end" class="faint">${text}</text>`
    );
  });
  const bottom = TOP + LINE_HEIGHT + 18;
  const marks = ticks.map(
    ({ at, text }) => `<text x="${toX(at)}" y="${bottom}" text-anchor="middle" class="faint">${escaped(text)}</text>`,
  );
  const drawn = lines.map(({ label, points }, index) => {
    const color = COLORS[index % COLORS.length] ?? "third";
    const path = points.map(([x, y]) => `${toX(x)},${toY(y)}`).join(" ");
    const x = LEFT + index * 300;
    return (
      `<polyline points="${path}" class="line ${color}" style="fill:none"/>\n` +
      `<rect x="${x}" y="${bottom + 13}" width="12" height="12" class="${color}"/>` +
      `<text x="${x + 18}" y="${bottom + 24}">${escaped(label)}</text>`
    );
  });
  return svg(title, bottom + 36, [...grid, ...marks, ...drawn]);
}

function svg(title: string, height: number, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>${escaped(title)}</title>
${STYLE}
<text x="8" y="18" class="title">${escaped(title)}</text>
${parts.join("\n")}
</svg>
`;
}

/** The next of 1, 2, 4, 5 or 10 times a power of ten. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return power * ([1, 2, 4, 5, 10].find((step) => step * power >= value) ?? 10);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
