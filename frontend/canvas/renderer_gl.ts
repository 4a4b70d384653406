import { unionRect } from "../core/rect";
import type { Rect, Size } from "../core/types";
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

/** Side of a layer of the label texture; a power of two. */
const LABEL_TILE = 1024;
/** Texture of one image tile, and the margin it shares with its neighbours so that filtering and
 * the first mipmaps show no seam. */
const IMAGE_TEXTURE = 2048;
const MARGIN = 8;
const IMAGE_TILE = IMAGE_TEXTURE - 2 * MARGIN;
/** Label pixels uploaded in one frame; a larger change is spread over frames. */
const UPLOAD_PIXELS = 12 * 2 ** 20;
/** Textures of a pyramid that are made in one frame, and that are kept. */
const TILES_PER_FRAME = 8;
const TILES_KEPT = 128;
/** Layers of the label texture, 2 MB each; a larger image is drawn without WebGL2. */
const MAX_LAYERS = 256;

interface ImageTile {
  readonly texture: WebGLTexture;
  readonly inner: Rect;
  readonly outer: Rect;
}

type Uniforms = Record<string, WebGLUniformLocation | null>;

interface Program {
  readonly program: WebGLProgram;
  readonly uniforms: Uniforms;
}

/** Draws with WebGL2. Throws when the canvas gives no context or the image needs too many layers. */
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
  private tiles: ImageTile[] = [];
  private preview: ImageTile[] = [];
  private pendingTiles: Rect[] = [];
  private pyramid: Pyramid | null = null;
  private readonly pyramidTextures = new Map<ImageBitmap, WebGLTexture>();
  /** Tiles of the pyramid are to be uploaded in the next frame. */
  private tilesLeft = false;
  private labelTexture: WebGLTexture | null = null;
  private labels: Uint16Array | null = null;
  /** What is still to be uploaded, per layer. */
  private readonly dirty = new Map<number, Rect>();
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
    this.labelProgram = compile(gl, VERTEX, LABEL_FRAGMENT.replaceAll("TILE", String(LABEL_TILE)));
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
    this.pyramid = pyramid;
    for (const texture of this.pyramidTextures.values()) this.gl.deleteTexture(texture);
    this.pyramidTextures.clear();
    this.deleteTiles(this.tiles);
    this.deleteTiles(this.preview);
    this.tiles = [];
    this.preview = [];
    this.pendingTiles = [];
    this.bitmap = image;
    if (size.width !== this.size.width || size.height !== this.size.height) this.dropLabels();
    this.size = size;
    if (!image) return;
    if (pyramid) {
      const whole = { x: 0, y: 0, ...size };
      const texture = this.makeTexture(image, 0, 0, image.width, image.height);
      this.tiles = [{ texture, inner: whole, outer: whole }];
      return;
    }
    if (preview) {
      const whole = { x: 0, y: 0, ...size };
      const texture = this.makeTexture(preview, 0, 0, preview.width, preview.height);
      this.preview = [{ texture, inner: whole, outer: whole }];
    }
    for (let y = 0; y < size.height; y += IMAGE_TILE) {
      for (let x = 0; x < size.width; x += IMAGE_TILE) {
        this.pendingTiles.push({
          x,
          y,
          width: Math.min(IMAGE_TILE, size.width - x),
          height: Math.min(IMAGE_TILE, size.height - y),
        });
      }
    }
  }

  setLabels(labels: Uint16Array): void {
    const { gl, size } = this;
    this.labels = labels;
    this.dropTexture();
    const layers = this.columns * Math.ceil(size.height / LABEL_TILE);
    if (layers > Math.min(MAX_LAYERS, gl.getParameter(gl.MAX_ARRAY_TEXTURE_LAYERS))) {
      throw new Error("The image is too large for this graphics card.");
    }
    this.labelTexture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.labelTexture);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.R16UI, LABEL_TILE, LABEL_TILE, layers);
    pointSampling(gl, gl.TEXTURE_2D_ARRAY);
    this.labelsChanged({ x: 0, y: 0, ...size });
  }

  labelsChanged(rect: Rect): void {
    const right = Math.min(rect.x + rect.width, this.size.width);
    const bottom = Math.min(rect.y + rect.height, this.size.height);
    const left = Math.max(rect.x, 0);
    const top = Math.max(rect.y, 0);
    for (let row = Math.floor(top / LABEL_TILE); row * LABEL_TILE < bottom; row += 1) {
      for (let column = Math.floor(left / LABEL_TILE); column * LABEL_TILE < right; column += 1) {
        const x = Math.max(left, column * LABEL_TILE);
        const y = Math.max(top, row * LABEL_TILE);
        const width = Math.min(right, (column + 1) * LABEL_TILE) - x;
        const height = Math.min(bottom, (row + 1) * LABEL_TILE) - y;
        if (width <= 0 || height <= 0) continue;
        const layer = row * this.columns + column;
        const both = unionRect(this.dirty.get(layer) ?? null, { x, y, width, height });
        if (both) this.dirty.set(layer, both);
      }
    }
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
  }

  draw(camera: Camera): boolean {
    const { gl, canvas, display } = this;
    const more = this.upload();
    this.tilesLeft = false;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.corners);
    if (display.showImage) this.drawImage(camera);
    if (display.showRegions && this.labelTexture) this.drawLabels(camera);
    return more || this.tilesLeft;
  }

  destroy(): void {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  private get columns(): number {
    return Math.ceil(this.size.width / LABEL_TILE);
  }

  private drawImage(camera: Camera): void {
    const { gl, display } = this;
    const { program, uniforms } = this.imageProgram;
    gl.useProgram(program);
    this.setCamera(uniforms, camera);
    gl.uniform3f(uniforms.u_tone ?? null, display.brightness, display.contrast, 1 / display.gamma);
    const grid = Math.min(Math.max((camera.scale - GRID_FROM) / GRID_FROM, 0), 1) * 0.25;
    gl.uniform1f(uniforms.u_grid ?? null, grid);
    gl.uniform1i(uniforms.u_image ?? null, 0);
    gl.activeTexture(gl.TEXTURE0);
    const filter = camera.scale >= NEAREST_FROM ? gl.NEAREST : gl.LINEAR;
    for (const { texture, inner, outer } of [
      ...this.preview,
      ...this.tiles,
      ...this.pyramidTiles(camera),
    ]) {
      if (!this.onScreen(inner, camera)) continue;
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, filter);
      gl.uniform4f(uniforms.u_rect ?? null, inner.x, inner.y, inner.width, inner.height);
      gl.uniform4f(uniforms.u_texture ?? null, outer.x, outer.y, outer.width, outer.height);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    }
  }

  /** Textures of the pyramid's tiles on the screen; a few new ones in each frame. */
  private pyramidTiles(camera: Camera): ImageTile[] {
    const { pyramid, pyramidTextures, screen, ratio } = this;
    if (!pyramid) return [];
    const tiles: ImageTile[] = [];
    let budget = TILES_PER_FRAME;
    for (const { rect, bitmap } of pyramid.visible(camera, screen, ratio)) {
      let texture = pyramidTextures.get(bitmap);
      if (!texture) {
        if (budget === 0) {
          this.tilesLeft = true;
          continue;
        }
        budget -= 1;
        texture = this.makeTexture(bitmap, 0, 0, bitmap.width, bitmap.height);
      }
      pyramidTextures.delete(bitmap);
      pyramidTextures.set(bitmap, texture);
      tiles.push({ texture, inner: rect, outer: rect });
    }
    for (const [bitmap, texture] of pyramidTextures) {
      if (pyramidTextures.size <= Math.max(TILES_KEPT, tiles.length)) break;
      pyramidTextures.delete(bitmap);
      this.gl.deleteTexture(texture);
    }
    return tiles;
  }

  private drawLabels(camera: Camera): void {
    const { gl, display, size } = this;
    const { program, uniforms } = this.labelProgram;
    gl.useProgram(program);
    this.setCamera(uniforms, camera);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.labelTexture);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.paletteTexture);
    gl.uniform1i(uniforms.u_labels ?? null, 0);
    gl.uniform1i(uniforms.u_palette ?? null, 1);
    gl.uniform2i(uniforms.u_size ?? null, size.width, size.height);
    gl.uniform1i(uniforms.u_tiles ?? null, this.columns);
    gl.uniform1f(uniforms.u_scale ?? null, camera.scale * this.ratio);
    gl.uniform1f(uniforms.u_ratio ?? null, this.ratio);
    gl.uniform1f(uniforms.u_opacity ?? null, display.opacity);
    gl.uniform1i(uniforms.u_outlineOnly ?? null, display.outlineOnly ? 1 : 0);
    gl.uniform4f(uniforms.u_rect ?? null, 0, 0, size.width, size.height);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  private setCamera(uniforms: Uniforms, camera: Camera): void {
    const { gl, ratio, canvas } = this;
    gl.uniform3f(uniforms.u_view ?? null, camera.scale * ratio, camera.x * ratio, camera.y * ratio);
    gl.uniform2f(uniforms.u_screen ?? null, canvas.width, canvas.height);
  }

  private onScreen(rect: Rect, camera: Camera): boolean {
    const x = rect.x * camera.scale + camera.x;
    const y = rect.y * camera.scale + camera.y;
    return (
      x < this.screen.width &&
      y < this.screen.height &&
      x + rect.width * camera.scale > 0 &&
      y + rect.height * camera.scale > 0
    );
  }

  /** Sends what changed to the graphics card; true when some is left for the next frame. */
  private upload(): boolean {
    if (this.palette) this.uploadPalette(this.palette);
    const inner = this.pendingTiles.shift();
    if (inner) this.uploadTile(inner);
    else if (this.preview.length > 0) {
      this.deleteTiles(this.preview);
      this.preview = [];
    }
    let budget = UPLOAD_PIXELS;
    for (const [layer, rect] of this.dirty) {
      if (budget <= 0) break;
      this.uploadLabels(layer, rect);
      this.dirty.delete(layer);
      budget -= rect.width * rect.height;
    }
    return this.pendingTiles.length > 0 || this.dirty.size > 0;
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

  private uploadTile(inner: Rect): void {
    const { bitmap, size } = this;
    if (!bitmap) return;
    const x = Math.max(0, inner.x - MARGIN);
    const y = Math.max(0, inner.y - MARGIN);
    const width = Math.min(size.width, inner.x + inner.width + MARGIN) - x;
    const height = Math.min(size.height, inner.y + inner.height + MARGIN) - y;
    const texture = this.makeTexture(bitmap, x, y, width, height);
    this.tiles.push({ texture, inner, outer: { x, y, width, height } });
  }

  /** A mipmapped texture of one window of a picture. */
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
    gl.generateMipmap(gl.TEXTURE_2D);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    return texture;
  }

  private deleteTiles(tiles: readonly ImageTile[]): void {
    for (const { texture } of tiles) this.gl.deleteTexture(texture);
  }

  private uploadLabels(layer: number, rect: Rect): void {
    const { gl, labels, size } = this;
    if (!labels || !this.labelTexture) return;
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.labelTexture);
    unpack(gl, size.width, 0, 0);
    gl.texSubImage3D(
      gl.TEXTURE_2D_ARRAY,
      0,
      rect.x % LABEL_TILE,
      rect.y % LABEL_TILE,
      layer,
      rect.width,
      rect.height,
      1,
      gl.RED_INTEGER,
      gl.UNSIGNED_SHORT,
      labels,
      rect.y * size.width + rect.x,
    );
  }

  private dropLabels(): void {
    this.labels = null;
    this.dropTexture();
  }

  private dropTexture(): void {
    if (this.labelTexture) this.gl.deleteTexture(this.labelTexture);
    this.labelTexture = null;
    this.dirty.clear();
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
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
    throw new Error(`Shader: ${gl.getProgramInfoLog(program) ?? "no reason given"}`);
  }
  const uniforms: Uniforms = {};
  const count = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS) as number;
  for (let index = 0; index < count; index += 1) {
    const name = gl.getActiveUniform(program, index)?.name;
    if (name) uniforms[name] = gl.getUniformLocation(program, name);
  }
  return { program, uniforms };
}
