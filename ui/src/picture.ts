// The drawing as a file: what would be put onto a canvas is written as SVG. It knows those few ways
// to draw that the drawing uses, and nothing of what is drawn.

/** The ways to draw that are used. */
export type Pen = Pick<
  CanvasRenderingContext2D,
  | "beginPath" | "moveTo" | "lineTo" | "bezierCurveTo" | "arc" | "rect" | "roundRect" | "fill" | "stroke"
  | "fillText" | "measureText" | "setLineDash"
  | "fillStyle" | "strokeStyle" | "lineWidth" | "lineJoin" | "font" | "textAlign" | "globalAlpha"
>;

const escaped = (text: string) => text.replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);
const short = (number: number) => String(Math.round(number * 10) / 10);

export class Picture implements Pen {
  fillStyle = "";
  strokeStyle = "";
  lineWidth = 1;
  lineJoin: CanvasLineJoin = "miter";
  font = "";
  textAlign: CanvasTextAlign = "left";
  globalAlpha = 1;
  private dash = "";
  private path = "";
  private readonly parts: string[] = [];

  constructor(private readonly ruler: CanvasRenderingContext2D) {}

  beginPath(): void {
    this.path = "";
  }

  moveTo(x: number, y: number): void {
    this.step("M", x, y);
  }

  lineTo(x: number, y: number): void {
    this.step("L", x, y);
  }

  bezierCurveTo(...points: [number, number, number, number, number, number]): void {
    this.step("C", ...points);
  }

  /** All circles here are whole. */
  arc(x: number, y: number, r: number): void {
    this.step("M", x - r, y);
    this.step("a", r, r, 0, 1, 0, 2 * r, 0);
    this.step("a", r, r, 0, 1, 0, -2 * r, 0);
  }

  rect(x: number, y: number, w: number, h: number): void {
    this.step("M", x, y);
    this.path += `h${short(w)}v${short(h)}h${short(-w)}z`;
  }

  roundRect(x: number, y: number, w: number, h: number, radius?: number | DOMPointInit | Iterable<number | DOMPointInit>): void {
    const r = Number(radius);
    this.step("M", x + r, y);
    for (const [dx, dy, cx, cy] of [[w - 2 * r, 0, r, r], [0, h - 2 * r, -r, r], [2 * r - w, 0, -r, -r], [0, 2 * r - h, r, -r]] as const) {
      this.step("l", dx, dy);
      this.step("a", r, r, 0, 0, 1, cx, cy);
    }
  }

  fill(): void {
    this.parts.push(`<path fill="${this.fillStyle}" d="${this.path}"/>`);
  }

  stroke(): void {
    if (this.path) this.parts.push(`<path fill="none" stroke="${this.strokeStyle}" stroke-width="${short(this.lineWidth)}"${this.dash} d="${this.path}"/>`);
  }

  fillText(text: string, x: number, y: number): void {
    if (!text) return;
    const anchor = this.textAlign === "right" ? ' text-anchor="end"' : "";
    this.parts.push(`<text x="${short(x)}" y="${short(y)}" fill="${this.fillStyle}" style="font:${this.font}"${anchor}>${escaped(text)}</text>`);
  }

  measureText(text: string): TextMetrics {
    this.ruler.font = this.font;
    return this.ruler.measureText(text);
  }

  setLineDash(dash: Iterable<number>): void {
    const lengths = [...dash];
    this.dash = lengths.length ? ` stroke-dasharray="${lengths.join(" ")}"` : "";
  }

  private step(letter: string, ...numbers: number[]): void {
    this.path += letter + numbers.map(short).join(" ");
  }

  /** The whole file; its colours follow the reader's scheme. */
  file(w: number, h: number, light: string, dark: string): string {
    const style = `svg{${light}}@media(prefers-color-scheme:dark){svg{${dark}}}`;
    const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-16 -16 ${Math.ceil(w) + 32} ${Math.ceil(h) + 32}">`;
    return `${head}\n<style>${style}</style>\n<rect x="-16" y="-16" width="100%" height="100%" rx="14" fill="var(--page)"/>\n${this.parts.join("\n")}\n</svg>\n`;
  }
}
