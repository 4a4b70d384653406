import type { Modifiers, Point, PointerSample, Tool } from "../core/types";
import type { Viewport } from "./viewport";

export interface InputHandlers {
  /** Null while nothing may be drawn; panning and zooming go on. */
  tool(): Tool | null;
  /** After the tool got input. */
  changed(): void;
  /** The pointer in image pixels, null when it left. */
  hover(point: Point | null): void;
  /** A press that no tool takes. */
  press(point: Point): void;
}

const TRACKPAD_MEMORY_MS = 400;
/** So long a first finger waits for a second one, unless it moves that far (CSS pixels) or lifts. */
const FINGER_MS = 120;
const FINGER_PX = 5;
/** The eraser end of a pen. */
const ERASER = 5;

interface Touch {
  x: number;
  y: number;
}

/** A finger that may become a gesture of the tool, or the first of two. */
interface Finger {
  readonly event: PointerEvent;
  readonly at: Point;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** Turns pointer, wheel and touch events on `element` into tool input and movements of the view. */
export class Input {
  /** While true, dragging moves the picture (space is held, or the hand is chosen). */
  panning = false;
  private readonly touches = new Map<number, Touch>();
  private drawing: number | null = null;
  private dragging: { id: number; x: number; y: number } | null = null;
  /** A pen was seen: from then on fingers only move the picture. */
  private pen = false;
  /** The pen touches the screen or is close above it: every touch is the hand that holds it. */
  private penNear = false;
  /** Touches of that hand, until they lift. */
  private readonly palms = new Set<number>();
  private finger: Finger | null = null;
  private trackpadUntil = 0;
  private origin: Point = { x: 0, y: 0 };
  private readonly abort = new AbortController();

  constructor(
    private readonly element: HTMLElement,
    private readonly viewport: Viewport,
    private readonly handlers: InputHandlers,
  ) {
    const { signal } = this.abort;
    const on = <K extends keyof HTMLElementEventMap>(
      type: K,
      listener: (event: HTMLElementEventMap[K]) => void,
    ) => element.addEventListener(type, listener, { signal, passive: false });
    on("pointerdown", (event) => this.down(event));
    on("pointermove", (event) => this.move(event));
    on("pointerup", (event) => this.up(event));
    on("pointercancel", (event) => this.cancelled(event));
    on("pointerleave", (event) => {
      if (event.pointerType === "pen") this.penNear = false;
      if (this.drawing === null) this.handlers.hover(null);
    });
    on("wheel", (event) => this.wheel(event));
    on("contextmenu", (event) => event.preventDefault());
  }

  destroy(): void {
    this.dropFinger();
    this.abort.abort();
  }

  /** True while a gesture of the tool goes on. */
  get busy(): boolean {
    return this.drawing !== null;
  }

  private measure(): void {
    const box = this.element.getBoundingClientRect();
    this.origin = { x: box.left, y: box.top };
  }

  private screen(event: MouseEvent): Point {
    return { x: event.clientX - this.origin.x, y: event.clientY - this.origin.y };
  }

  private samples(event: PointerEvent): PointerSample[] {
    const coalesced = event.type === "pointermove" ? event.getCoalescedEvents() : [];
    const pressure = (one: PointerEvent) =>
      one.pointerType === "pen" ? Math.max(one.pressure, 0.01) : 0.5;
    return (coalesced.length ? coalesced : [event]).map((one) => ({
      ...this.viewport.toImage(this.screen(one)),
      pressure: pressure(one),
    }));
  }

  private down(event: PointerEvent): void {
    event.preventDefault();
    // The default would have taken the focus from the field that was filled in before.
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    this.measure();
    if (event.pointerType === "pen") this.penCame();
    if (event.pointerType === "touch" && this.penNear) {
      this.palms.add(event.pointerId);
      return;
    }
    this.element.setPointerCapture(event.pointerId);
    if (event.pointerType === "touch") {
      this.touches.set(event.pointerId, this.screen(event));
      if (this.touches.size > 1) {
        this.dropFinger();
        if (this.drawing !== null) this.handlers.tool()?.cancel();
        this.drawing = null;
        this.dragging = null;
        this.handlers.changed();
        return;
      }
    }
    const finger = event.pointerType === "touch" && this.pen;
    if (this.panning || event.button === 1 || finger) {
      this.dragging = { id: event.pointerId, ...this.screen(event) };
      return;
    }
    if (this.drawing !== null || ![0, 2, ERASER].includes(event.button)) return;
    const tool = this.handlers.tool();
    if (!tool) {
      this.handlers.press(this.viewport.toImage(this.screen(event)));
      return;
    }
    if (event.pointerType === "touch") {
      const timer = setTimeout(() => this.beginFinger(), FINGER_MS);
      this.finger = { event, at: this.screen(event), timer };
    } else this.begin(event);
  }

  private begin(event: PointerEvent): void {
    const tool = this.handlers.tool();
    if (!tool) return;
    this.drawing = event.pointerId;
    tool.pointerDown(this.samples(event), modifiers(event));
    this.handlers.changed();
  }

  /** No second finger came: what the first one did until now reaches the tool. */
  private beginFinger(): void {
    const { finger } = this;
    this.dropFinger();
    if (finger) this.begin(finger.event);
  }

  private dropFinger(): void {
    clearTimeout(this.finger?.timer);
    this.finger = null;
  }

  /** What fingers began is taken back: it was the hand that holds the pen. */
  private penCame(): void {
    this.pen = true;
    this.penNear = true;
    this.dropFinger();
    for (const id of this.touches.keys()) this.palms.add(id);
    if (this.drawing !== null && this.touches.has(this.drawing)) {
      this.handlers.tool()?.cancel();
      this.drawing = null;
    }
    if (this.dragging && this.touches.has(this.dragging.id)) this.dragging = null;
    this.touches.clear();
  }

  private move(event: PointerEvent): void {
    if (this.palms.has(event.pointerId)) return;
    if (event.pointerType === "pen") this.penNear = true;
    if (this.drawing === null) this.measure();
    const screen = this.screen(event);
    if (this.touches.size > 1 && this.touches.has(event.pointerId)) {
      this.pinch(event.pointerId, screen);
      return;
    }
    const { finger } = this;
    if (finger?.event.pointerId === event.pointerId) {
      if (Math.hypot(screen.x - finger.at.x, screen.y - finger.at.y) < FINGER_PX) return;
      this.beginFinger();
    }
    this.handlers.hover(this.viewport.toImage(screen));
    if (this.dragging?.id === event.pointerId) {
      this.viewport.pan(screen.x - this.dragging.x, screen.y - this.dragging.y);
      this.dragging = { id: event.pointerId, ...screen };
      return;
    }
    if (this.drawing !== null && this.drawing !== event.pointerId) return;
    if (this.panning) return;
    const tool = this.handlers.tool();
    if (!tool) return;
    tool.pointerMove(this.samples(event), modifiers(event));
    this.handlers.changed();
  }

  private up(event: PointerEvent): void {
    if (this.palms.delete(event.pointerId)) return;
    if (this.finger?.event.pointerId === event.pointerId) this.beginFinger();
    this.touches.delete(event.pointerId);
    if (this.dragging?.id === event.pointerId) this.dragging = null;
    if (this.drawing !== event.pointerId) return;
    this.drawing = null;
    this.handlers.tool()?.pointerUp(this.samples(event), modifiers(event));
    this.handlers.changed();
    if (event.pointerType === "touch") this.handlers.hover(null);
  }

  private cancelled(event: PointerEvent): void {
    if (this.palms.delete(event.pointerId)) return;
    if (this.finger?.event.pointerId === event.pointerId) this.dropFinger();
    this.touches.delete(event.pointerId);
    if (this.dragging?.id === event.pointerId) this.dragging = null;
    if (this.drawing !== event.pointerId) return;
    this.drawing = null;
    this.handlers.tool()?.cancel();
    this.handlers.changed();
  }

  /** Two fingers move and zoom the picture: the points under them stay under them. */
  private pinch(id: number, screen: Point): void {
    const other = [...this.touches].find(([key]) => key !== id)?.[1];
    const last = this.touches.get(id);
    if (!other || !last) return;
    const before = Math.hypot(last.x - other.x, last.y - other.y);
    const after = Math.hypot(screen.x - other.x, screen.y - other.y);
    this.viewport.pan((screen.x - last.x) / 2, (screen.y - last.y) / 2);
    const middle = { x: (screen.x + other.x) / 2, y: (screen.y + other.y) / 2 };
    if (before > 0) this.viewport.zoomAt(middle, after / before);
    this.touches.set(id, screen);
  }

  /** A mouse wheel zooms; two fingers on a trackpad move, and zoom when they pinch. */
  private wheel(event: WheelEvent): void {
    event.preventDefault();
    this.measure();
    const screen = this.screen(event);
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const dx = event.deltaX * lines;
    const dy = event.deltaY * lines;
    if (event.ctrlKey || event.metaKey) {
      this.viewport.zoomAt(screen, Math.exp(-dy * (Math.abs(dy) < 40 ? 0.01 : 0.002)));
    } else if (event.shiftKey) {
      this.viewport.pan(-(dx || dy), 0);
    } else if (this.isTrackpad(event)) {
      this.viewport.pan(-dx, -dy);
    } else {
      this.viewport.zoomAt(screen, Math.exp(-Math.sign(dy) * Math.min(Math.abs(dy), 240) * 0.002));
    }
    this.handlers.hover(this.viewport.toImage(screen));
  }

  private isTrackpad(event: WheelEvent): boolean {
    const fine =
      event.deltaMode === WheelEvent.DOM_DELTA_PIXEL &&
      (event.deltaX !== 0 || Math.abs(event.deltaY) < 40);
    if (fine) this.trackpadUntil = event.timeStamp + TRACKPAD_MEMORY_MS;
    return event.timeStamp <= this.trackpadUntil;
  }
}

/** The right button, and the eraser end of a pen, are the alternative, as if Alt were held. */
function modifiers(event: PointerEvent): Modifiers {
  const right = [2, ERASER].includes(event.button) || (event.buttons & (2 | 32)) !== 0;
  return {
    shift: event.shiftKey,
    alt: event.altKey || right,
    ctrl: event.ctrlKey || event.metaKey,
  };
}
