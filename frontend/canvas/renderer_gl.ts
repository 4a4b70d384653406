import type { LabelMap } from "../core/labelmap";
import type { Rect, Size } from "../core/types";
import { LabelWindow, labelLevel, type Upload } from "./label_window";
import {
  DEFAULT_DISPLAY,
  type Display,
  GRID_FROM,
  NEAREST_FROM,
  PALETTE_SIDE,
  type Palette,
  type Renderer,
} from "./renderer";
import { IMAGE_FRAGMENT, LABEL_FRAGMENT, VERTEX } from "./shaders";
import type { Pyramid } from "./tiles";
import type { Camera } from "./viewport";

/** Side of a tile of the image, and the margin that its texture shares with the neighbours, so that
 * filtering and the first mipmaps show no seam. */
const IMAGE_TILE = 512;
const MARGIN = 8;
/** Textures of the image, or of its pyramid, that are kept, about 1.5 MB each. */
const TILES_KEPT = 96;
/** Milliseconds of a frame for uploads; what is left waits for the next one. */
const UPLOAD_MS = 2;
/** Textures drawn smaller than this part of their size need mipmaps; linear filtering does for others. */
const MIPMAP_BELOW = 0.5;
/** The same while no labels are on the screen yet: nothing moves, and all are waited for. */
const FIRST_UPLOAD_MS = 200;

interface ImageTile {
  readonly texture: WebGLTexture;
  /** Texels of an image pixel. */
  readonly density: number;
  mipmapped?: boolean;
  readonly inner: Rect;
  readonly outer: Rect;
}

interface LabelTexture {
  readonly window: LabelWindow;
  readonly texture: WebGLTexture;
}

type Uniforms = Record<string, WebGLUniformLocation | null>;

/** A program that the graphics process compiles meanwhile; the first use waits for it. */
class Program {
  private found: Uniforms | null = null;

  constructor(
    private readonly gl: WebGL2RenderingContext,
    private readonly program: WebGLProgram,
  ) {}

  /** Waits for it. */
  finish(): Uniforms {
    this.found ??= this.uniforms();
    return this.found;
  }

  /** Draws with it from now on; returns where its uniforms are. */
  use(): Uniforms {
    const uniforms = this.finish();
    this.gl.useProgram(this.program);
    return uniforms;
  }

  private uniforms(): Uniforms {
    const { gl, program } = this;
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
      throw new Error(`Shader: ${gl.getProgramInfoLog(program) ?? "no reason given"}`);
    }
    const uniforms: Uniforms = {};
    const count = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS) as number;
    for (let index = 0; index < count; index += 1) {
      const name = gl.getActiveUniform(program, index)?.name;
      if (name) uniforms[name] = gl.getUniformLocation(program, name);
    }
    return uniforms;
  }
}

/**
 * Draws with WebGL2. Making one throws when the canvas gives no context, the first `draw` when the
 * shaders do not compile.
 */
export class GlRenderer implements Renderer {
  readonly kind = "webgl2";
  private readonly gl: WebGL2RenderingContext;
  private readonly imageProgram: Program;
  private readonly labelProgram: Program;
  private readonly paletteTexture: WebGLTexture;
  private readonly corners: WebGLBuffer;
  private size: Size = { width: 0, height: 0 };
  private screen: Size = { width: 1, height: 1 };
  private ratio = 1;
  private display: Display = DEFAULT_DISPLAY;
  private bitmap: ImageBitmap | null = null;
  /** All of the image in few pixels, below the tiles. */
  private preview: ImageTile | null = null;
  /** From that many device pixels per image pixel on, the preview is not sharp. */
  private previewScale = 0;
  private pyramid: Pyramid | null = null;
  /** By tile: its number or, of a pyramid, its bitmap. The one not drawn for longest comes first. */
  private readonly tiles = new Map<number | ImageBitmap, ImageTile>();
  private labels: LabelMap | null = null;
  private shown: LabelTexture | null = null;
  /** Of another level, until it can be shown. */
  private next: LabelTexture | null = null;
  /** When this frame's uploads are to end. */
  private deadline = 0;
  private palette: Palette | null = null;

  constructor(private readonly canvas: HTMLCanvasElement) {
    const gl = canvas.getContext("webgl2", {
      alpha: true,
      antialias: false,
      depth: false,
      powerPreference: "high-performance",
      premultipliedAlpha: true,
    });
    if (!gl) throw new Error("WebGL2 is not available.");
    this.gl = gl;
    this.imageProgram = compile(gl, VERTEX, IMAGE_FRAGMENT);
    this.labelProgram = compile(gl, VERTEX, LABEL_FRAGMENT);
    this.corners = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.corners);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]), gl.STATIC_DRAW);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
    this.paletteTexture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.paletteTexture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA8, PALETTE_SIDE, PALETTE_SIDE);
    pointSampling(gl, gl.TEXTURE_2D);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  setImage(
    image: ImageBitmap | null,
    preview: ImageBitmap | null,
    size: Size,
    pyramid: Pyramid | null,
  ): void {
    const { gl } = this;
    for (const { texture } of this.tiles.values()) gl.deleteTexture(texture);
    this.tiles.clear();
    if (this.preview) gl.deleteTexture(this.preview.texture);
    this.preview = null;
    this.pyramid = pyramid;
    this.bitmap = pyramid ? null : image;
    if (size.width !== this.size.width || size.height !== this.size.height) this.dropLabels();
    this.size = size;
    const whole = pyramid ? image : preview;
    this.previewScale = whole ? whole.width / size.width : 0;
    if (!whole) return;
    const rect = { x: 0, y: 0, ...size };
    const texture = this.makeTexture(whole, 0, 0, whole.width, whole.height);
    this.preview = { texture, density: this.previewScale, inner: rect, outer: rect };
  }

  setLabels(labels: LabelMap): void {
    this.dropLabels();
    this.labels = labels;
  }

  labelsChanged(rect: Rect): void {
    this.shown?.window.changed(rect);
    this.next?.window.changed(rect);
  }

  setPalette(palette: Palette): void {
    this.palette = palette;
  }

  setDisplay(display: Display): void {
    this.display = display;
  }

  resize(screen: Size, ratio: number): void {
    this.screen = screen;
    this.ratio = ratio;
    const width = Math.max(1, Math.round(screen.width * ratio));
    const height = Math.max(1, Math.round(screen.height * ratio));
    // Each assignment makes another drawing buffer, also of the same size.
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    this.dropTextures();
  }

  draw(camera: Camera): boolean {
    const { gl, canvas, display } = this;
    // Now, while nothing else waits: later this would wait for the uploads of the picture, too.
    this.imageProgram.finish();
    this.labelProgram.finish();
    this.deadline = performance.now() + UPLOAD_MS;
    if (this.palette) this.uploadPalette(this.palette);
    const device = {
      scale: camera.scale * this.ratio,
      x: camera.x * this.ratio,
      y: camera.y * this.ratio,
    };
    const labelsLeft = display.showRegions && this.updateLabels(device);
    let tilesLeft = false;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.corners);
    if (display.showImage) tilesLeft = this.drawImage(camera);
    if (display.showRegions) this.drawLabels(device);
    return labelsLeft || tilesLeft;
  }

  destroy(): void {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  /** True when tiles are left for the next frame. */
  private drawImage(camera: Camera): boolean {
    const { gl, display } = this;
    const uniforms = this.imageProgram.use();
    this.setCamera(uniforms, camera);
    gl.uniform3f(uniforms.u_tone ?? null, display.brightness, display.contrast, 1 / display.gamma);
    const grid = Math.min(Math.max((camera.scale - GRID_FROM) / GRID_FROM, 0), 1) * 0.25;
    gl.uniform1f(uniforms.u_grid ?? null, grid);
    gl.uniform1i(uniforms.u_image ?? null, 0);
    gl.activeTexture(gl.TEXTURE0);
    const filter = camera.scale >= NEAREST_FROM ? gl.NEAREST : gl.LINEAR;
    const { tiles, complete } = this.pyramid
      ? this.pyramidTiles(this.pyramid, camera)
      : this.bitmapTiles(camera);
    const covered = !this.pyramid && complete && tiles.length > 0;
    const below = this.preview && !covered ? [this.preview] : [];
    for (const tile of [...below, ...tiles]) {
      const { texture, density, inner, outer } = tile;
      const small = camera.scale * this.ratio < MIPMAP_BELOW * density;
      gl.bindTexture(gl.TEXTURE_2D, texture);
      if (small && !tile.mipmapped) {
        gl.generateMipmap(gl.TEXTURE_2D);
        tile.mipmapped = true;
      }
      const smaller = small ? gl.LINEAR_MIPMAP_LINEAR : gl.LINEAR;
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, smaller);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, filter);
      gl.uniform4f(uniforms.u_rect ?? null, inner.x, inner.y, inner.width, inner.height);
      gl.uniform4f(uniforms.u_texture ?? null, outer.x, outer.y, outer.width, outer.height);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    }
    return !complete;
  }

  /** Tiles of the image on the screen, where the preview is not sharp. */
  private bitmapTiles(camera: Camera): { tiles: ImageTile[]; complete: boolean } {
    const { bitmap, size, screen, ratio } = this;
    const tiles: ImageTile[] = [];
    let complete = true;
    if (!bitmap || camera.scale * ratio <= this.previewScale) return { tiles, complete };
    const range = (offset: number, length: number, extent: number) => [
      Math.max(0, Math.floor(-offset / camera.scale / IMAGE_TILE)),
      Math.min(
        Math.ceil(extent / IMAGE_TILE),
        Math.ceil((length - offset) / camera.scale / IMAGE_TILE),
      ),
    ];
    const [left, right] = range(camera.x, screen.width, size.width);
    const [top, bottom] = range(camera.y, screen.height, size.height);
    const across = Math.ceil(size.width / IMAGE_TILE);
    for (let row = top!; row < bottom!; row += 1) {
      for (let column = left!; column < right!; column += 1) {
        const tile = this.tile(row * across + column, () => {
          const x = Math.max(0, column * IMAGE_TILE - MARGIN);
          const y = Math.max(0, row * IMAGE_TILE - MARGIN);
          const width = Math.min(size.width, (column + 1) * IMAGE_TILE + MARGIN) - x;
          const height = Math.min(size.height, (row + 1) * IMAGE_TILE + MARGIN) - y;
          return {
            texture: this.makeTexture(bitmap, x, y, width, height),
            density: 1,
            inner: {
              x: column * IMAGE_TILE,
              y: row * IMAGE_TILE,
              width: Math.min(IMAGE_TILE, size.width - column * IMAGE_TILE),
              height: Math.min(IMAGE_TILE, size.height - row * IMAGE_TILE),
            },
            outer: { x, y, width, height },
          };
        });
        if (tile) tiles.push(tile);
        else complete = false;
      }
    }
    this.dropTiles(tiles.length);
    return { tiles, complete };
  }

  /** Tiles of the pyramid on the screen that are loaded. */
  private pyramidTiles(
    pyramid: Pyramid,
    camera: Camera,
  ): { tiles: ImageTile[]; complete: boolean } {
    const tiles: ImageTile[] = [];
    let complete = true;
    for (const { rect, bitmap } of pyramid.visible(camera, this.screen, this.ratio)) {
      const tile = this.tile(bitmap, () => ({
        texture: this.makeTexture(bitmap, 0, 0, bitmap.width, bitmap.height),
        density: bitmap.width / rect.width,
        inner: rect,
        outer: rect,
      }));
      if (tile) tiles.push(tile);
      else complete = false;
    }
    this.dropTiles(tiles.length);
    return { tiles, complete };
  }

  /** A tile that is there or is made now; null where this frame has no time for it. */
  private tile(key: number | ImageBitmap, make: () => ImageTile): ImageTile | null {
    let tile = this.tiles.get(key);
    if (!tile && performance.now() > this.deadline) return null;
    tile ??= make();
    this.tiles.delete(key);
    this.tiles.set(key, tile);
    return tile;
  }

  private dropTiles(needed: number): void {
    for (const [key, { texture }] of this.tiles) {
      if (this.tiles.size <= Math.max(TILES_KEPT, needed)) break;
      this.tiles.delete(key);
      this.gl.deleteTexture(texture);
    }
  }

  /** Brings the labels on the screen into a texture; true when some are left. */
  private updateLabels(device: Camera): boolean {
    const { labels } = this;
    if (!labels) return false;
    const level = labelLevel(device.scale);
    const deadline = this.shown ? this.deadline : this.deadline - UPLOAD_MS + FIRST_UPLOAD_MS;
    const late = () => performance.now() > deadline;
    if (this.shown?.window.level === level) {
      this.deleteLabels(this.next);
      this.next = null;
      return !this.fillLabels(this.shown, device, late);
    }
    if (this.next?.window.level !== level) {
      this.deleteLabels(this.next);
      this.next = this.makeLabels(new LabelWindow(labels, level, this.device));
    }
    const complete = this.fillLabels(this.next, device, late);
    if (complete) {
      this.deleteLabels(this.shown);
      this.shown = this.next;
      this.next = null;
    } else if (this.shown) this.fillLabels(this.shown, device, () => true);
    return !complete;
  }

  private makeLabels(window: LabelWindow): LabelTexture {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.R16UI, window.size.height, window.size.width);
    pointSampling(gl, gl.TEXTURE_2D);
    return { window, texture };
  }

  private fillLabels(
    { window, texture }: LabelTexture,
    device: Camera,
    late: () => boolean,
  ): boolean {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    unpack(gl, 0, 0, 0);
    const put: Upload = (x, y, { width, height }, texels) => {
      const { RED_INTEGER, UNSIGNED_SHORT } = gl;
      gl.texSubImage2D(gl.TEXTURE_2D, 0, y, x, height, width, RED_INTEGER, UNSIGNED_SHORT, texels);
    };
    return window.update(device, this.device, put, late);
  }

  private drawLabels(device: Camera): void {
    const { gl, display, size } = this;
    if (!this.shown) return;
    const { window, texture } = this.shown;
    const parts = window.parts(device, this.device);
    if (parts.length === 0) return;
    const uniforms = this.labelProgram.use();
    gl.uniform3f(uniforms.u_view ?? null, device.scale, device.x, device.y);
    gl.uniform2f(uniforms.u_screen ?? null, this.device.width, this.device.height);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.paletteTexture);
    const origin = window.origin(device);
    gl.uniform1i(uniforms.u_labels ?? null, 0);
    gl.uniform1i(uniforms.u_palette ?? null, 1);
    gl.uniform2i(uniforms.u_size ?? null, size.width, size.height);
    gl.uniform1i(uniforms.u_level ?? null, window.level);
    gl.uniform2i(uniforms.u_ring ?? null, window.size.width, window.size.height);
    gl.uniform2i(uniforms.u_origin ?? null, origin.x, origin.y);
    gl.uniform1f(uniforms.u_scale ?? null, device.scale);
    gl.uniform1f(uniforms.u_ratio ?? null, this.ratio);
    gl.uniform1f(uniforms.u_opacity ?? null, display.opacity);
    gl.uniform1i(uniforms.u_outlineOnly ?? null, display.outlineOnly ? 1 : 0);
    for (const { x, y, width, height } of parts) {
      gl.uniform4f(uniforms.u_rect ?? null, x, y, width, height);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    }
  }

  private setCamera(uniforms: Uniforms, camera: Camera): void {
    const { gl, ratio, canvas } = this;
    gl.uniform3f(uniforms.u_view ?? null, camera.scale * ratio, camera.x * ratio, camera.y * ratio);
    gl.uniform2f(uniforms.u_screen ?? null, canvas.width, canvas.height);
  }

  /** The canvas, device pixels. */
  private get device(): Size {
    return { width: this.canvas.width, height: this.canvas.height };
  }

  private uploadPalette(palette: Palette): void {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.paletteTexture);
    unpack(gl, 0, 0, 0);
    const side = PALETTE_SIDE;
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, side, side, gl.RGBA, gl.UNSIGNED_BYTE, palette);
    this.palette = null;
  }

  /** A texture of one window of a picture, with place for mipmaps. */
  private makeTexture(
    source: ImageBitmap,
    x: number,
    y: number,
    width: number,
    height: number,
  ): WebGLTexture {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    const levels = Math.floor(Math.log2(Math.max(width, height))) + 1;
    gl.texStorage2D(gl.TEXTURE_2D, levels, gl.RGBA8, width, height);
    unpack(gl, 0, x, y);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, source);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    return texture;
  }

  private dropLabels(): void {
    this.labels = null;
    this.dropTextures();
  }

  private dropTextures(): void {
    this.deleteLabels(this.shown);
    this.deleteLabels(this.next);
    this.shown = null;
    this.next = null;
  }

  private deleteLabels(labels: LabelTexture | null): void {
    if (labels) this.gl.deleteTexture(labels.texture);
  }
}

function unpack(gl: WebGL2RenderingContext, rowLength: number, x: number, y: number): void {
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  gl.pixelStorei(gl.UNPACK_ROW_LENGTH, rowLength);
  gl.pixelStorei(gl.UNPACK_SKIP_PIXELS, x);
  gl.pixelStorei(gl.UNPACK_SKIP_ROWS, y);
}

function pointSampling(gl: WebGL2RenderingContext, target: GLenum): void {
  gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  gl.texParameteri(target, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(target, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
}

function compile(gl: WebGL2RenderingContext, vertex: string, fragment: string): Program {
  const program = gl.createProgram();
  for (const [type, source] of [
    [gl.VERTEX_SHADER, vertex],
    [gl.FRAGMENT_SHADER, fragment],
  ] as const) {
    const shader = gl.createShader(type);
    if (!shader) throw new Error("The graphics context is lost.");
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.bindAttribLocation(program, 0, "a_corner");
  gl.linkProgram(program);
  return new Program(gl, program);
}
