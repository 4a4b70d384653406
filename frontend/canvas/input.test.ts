import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { picture } from "../core/testing";
import { Bench } from "../core/tools/testing";
import { Input } from "./input";
import { Viewport } from "./viewport";

type Kind = "mouse" | "touch" | "pen";

/** The stage as an element would tell of it: 200 × 150 pixels of screen, one for each of the image. */
class Screen {
  readonly listeners = new Map<string, (event: never) => void>();
  readonly bench = new Bench("brush", { kind: "semantic" });
  readonly viewport = new Viewport(() => undefined);
  readonly input: Input;

  constructor() {
    const element = {
      addEventListener: (type: string, call: (event: never) => void) =>
        this.listeners.set(type, call),
      getBoundingClientRect: () => ({ left: 0, top: 0 }),
      setPointerCapture: () => undefined,
    };
    this.viewport.resize({ width: 200, height: 150 });
    this.viewport.setImage({ width: 200, height: 150 });
    this.viewport.camera = { scale: 1, x: 0, y: 0 };
    this.input = new Input(element as unknown as HTMLElement, this.viewport, {
      tool: () => this.bench.tool,
      changed: () => undefined,
      hover: () => undefined,
      press: () => undefined,
    });
  }

  send(type: string, id: number, kind: Kind, x: number, y: number, more: object = {}): void {
    this.listeners.get(type)?.({
      type,
      pointerId: id,
      pointerType: kind,
      clientX: x,
      clientY: y,
      button: type === "pointermove" ? -1 : 0,
      buttons: type === "pointerup" ? 0 : 1,
      pressure: kind === "pen" ? 0.5 : 0,
      getCoalescedEvents: () => [],
      preventDefault: () => undefined,
      ...more,
    } as never);
  }

  down = (id: number, kind: Kind, x: number, y: number, more = {}) =>
    this.send("pointerdown", id, kind, x, y, more);
  move = (id: number, kind: Kind, x: number, y: number, more = {}) =>
    this.send("pointermove", id, kind, x, y, more);
  up = (id: number, kind: Kind, x: number, y: number, more = {}) =>
    this.send("pointerup", id, kind, x, y, more);

  get painted(): number {
    return this.bench.doc.regions.reduce((sum, { area }) => sum + area, 0);
  }
}

let screen: Screen;
let empty: string;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("document", { activeElement: null });
  vi.stubGlobal("HTMLElement", class {});
  screen = new Screen();
  empty = picture(screen.bench.doc);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("fingers", () => {
  test("one paints, also when it only taps or rests", () => {
    screen.down(1, "touch", 20, 20);
    screen.move(1, "touch", 60, 20);
    screen.up(1, "touch", 60, 20);
    const stroke = screen.painted;
    expect(stroke).toBeGreaterThan(400);
    screen.down(2, "touch", 150, 100);
    screen.up(2, "touch", 150, 100);
    expect(screen.painted).toBeGreaterThan(stroke);
    screen.down(3, "touch", 100, 60);
    expect(screen.bench.doc.gesture).toBeNull();
    vi.advanceTimersByTime(200);
    expect(screen.bench.doc.gesture).not.toBeNull();
    screen.up(3, "touch", 100, 60);
  });

  test("two move and zoom the picture, and never paint", () => {
    screen.down(1, "touch", 80, 70);
    screen.down(2, "touch", 120, 70);
    screen.move(1, "touch", 60, 70);
    screen.move(2, "touch", 140, 70);
    expect(screen.viewport.camera.scale).toBeCloseTo(2, 5);
    expect(screen.viewport.toImage({ x: 100, y: 70 }).x).toBeCloseTo(100, 5);
    screen.move(1, "touch", 70, 90);
    screen.move(2, "touch", 150, 90);
    expect(screen.viewport.toImage({ x: 110, y: 90 }).y).toBeCloseTo(70, 5);
    screen.up(1, "touch", 70, 90);
    screen.move(2, "touch", 20, 20);
    vi.advanceTimersByTime(500);
    screen.up(2, "touch", 20, 20);
    expect(picture(screen.bench.doc)).toBe(empty);
    expect(screen.bench.doc.history.steps).toBe(0);
  });

  test("a second one that comes late takes the stroke back", () => {
    screen.down(1, "touch", 20, 20);
    screen.move(1, "touch", 60, 20);
    expect(screen.bench.doc.gesture).not.toBeNull();
    screen.down(2, "touch", 120, 70);
    screen.move(2, "touch", 160, 70);
    screen.up(2, "touch", 160, 70);
    screen.up(1, "touch", 60, 20);
    expect(picture(screen.bench.doc)).toBe(empty);
  });

  test("pinching leaves a polygon that is being drawn as it is", () => {
    const { bench } = screen;
    bench.take("polygon");
    bench.click(20, 20);
    bench.click(60, 20);
    const drawn = () => bench.tool.overlays().filter(({ kind }) => kind === "handle").length;
    expect(drawn()).toBe(2);
    screen.down(1, "touch", 80, 70);
    screen.down(2, "touch", 120, 70);
    screen.move(2, "touch", 160, 70);
    screen.up(2, "touch", 160, 70);
    screen.up(1, "touch", 80, 70);
    expect(drawn()).toBe(2);
  });
});

describe("a pen", () => {
  const nib = (pressure: number) => {
    screen.bench.view.set({ brushRadius: 20 });
    screen.down(1, "pen", 100, 75, { pressure });
    screen.up(1, "pen", 100, 75, { pressure: 0 });
    const area = screen.painted;
    screen.bench.doc.undo();
    return area;
  };

  test("its pressure sizes the brush, unless that is off", () => {
    expect(nib(0.2)).toBeLessThan(nib(0.8) / 2);
    screen.bench.view.set({ brushPressure: false });
    expect(nib(0.2)).toBe(nib(0.8));
  });

  test("the hand that holds it does nothing", () => {
    screen.down(1, "pen", 20, 20);
    screen.move(1, "pen", 40, 20);
    screen.down(2, "touch", 150, 120);
    screen.down(3, "touch", 170, 120);
    screen.move(2, "touch", 100, 60);
    screen.move(1, "pen", 60, 20);
    expect(screen.viewport.camera).toEqual({ scale: 1, x: 0, y: 0 });
    screen.up(1, "pen", 60, 20);
    screen.move(3, "touch", 10, 10);
    screen.up(2, "touch", 100, 60);
    screen.up(3, "touch", 10, 10);
    expect(screen.viewport.camera).toEqual({ scale: 1, x: 0, y: 0 });
    expect(screen.bench.doc.history.steps).toBe(1);
    expect(screen.bench.doc.slotAt(150, 120)).toBe(0);
  });

  test("what the hand painted before the pen came is taken back", () => {
    screen.down(2, "touch", 150, 120);
    screen.move(2, "touch", 120, 120);
    screen.down(1, "pen", 20, 20);
    expect(screen.bench.doc.slotAt(150, 120)).toBe(0);
    screen.move(2, "touch", 100, 120);
    screen.up(1, "pen", 20, 20);
    screen.up(2, "touch", 100, 120);
    expect(screen.bench.doc.history.steps).toBe(1);
  });

  test("away from the screen, a finger moves the picture", () => {
    screen.down(1, "pen", 20, 20);
    screen.up(1, "pen", 20, 20);
    screen.send("pointerleave", 1, "pen", 20, 20);
    screen.down(2, "touch", 100, 100);
    screen.move(2, "touch", 110, 105);
    screen.up(2, "touch", 110, 105);
    expect(screen.viewport.camera).toEqual({ scale: 1, x: 10, y: 5 });
    expect(screen.bench.doc.history.steps).toBe(1);
  });

  test("its eraser end erases", () => {
    screen.down(1, "mouse", 100, 75);
    screen.up(1, "mouse", 100, 75);
    expect(screen.painted).toBeGreaterThan(0);
    screen.down(2, "pen", 100, 75, { button: 5, buttons: 32, pressure: 1 });
    screen.up(2, "pen", 100, 75, { button: 5 });
    expect(screen.painted).toBe(0);
  });
});
