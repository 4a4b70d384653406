/** GLSL ES 3.00. Positions are image pixels; `u_view` maps them to clip space. */

export const VERTEX = `#version 300 es
in vec2 a_corner;
uniform vec4 u_rect;   // x, y, width, height, image pixels
uniform vec3 u_view;   // scale, x, y, device pixels
uniform vec2 u_screen; // device pixels
out vec2 v_pixel;
void main() {
  v_pixel = u_rect.xy + a_corner * u_rect.zw;
  vec2 screen = v_pixel * u_view.x + u_view.yz;
  gl_Position = vec4(screen / u_screen * vec2(2.0, -2.0) + vec2(-1.0, 1.0), 0.0, 1.0);
}`;

/** One tile of the picture, with brightness, contrast, gamma and the pixel grid. */
export const IMAGE_FRAGMENT = `#version 300 es
precision highp float;
in vec2 v_pixel;
uniform sampler2D u_image;
uniform vec4 u_texture; // origin of the texture in image pixels, size of the texture
uniform vec3 u_view;
uniform vec3 u_tone;    // brightness, contrast, 1 / gamma
uniform float u_grid;   // opacity of the pixel grid
out vec4 o_color;
void main() {
  vec3 color = texture(u_image, (v_pixel - u_texture.xy) / u_texture.zw).rgb;
  if (u_tone != vec3(0.0, 1.0, 1.0)) {
    color = (color - 0.5) * u_tone.y + 0.5 + u_tone.x;
    color = pow(clamp(color, 0.0, 1.0), vec3(u_tone.z));
  }
  if (u_grid > 0.0) {
    vec2 inside = fract(v_pixel) * u_view.x;
    if (min(inside.x, inside.y) < 1.0) {
      float light = dot(color, vec3(0.3, 0.6, 0.1));
      color = mix(color, vec3(light > 0.5 ? 0.0 : 1.0), u_grid);
    }
  }
  o_color = vec4(color, 1.0);
}`;

/**
 * The label map over the picture: fill by palette, an outline where a neighbour one line width
 * away has another slot. The selected region has a white line inside a dark one.
 */
export const LABEL_FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
in vec2 v_pixel;
uniform usampler2D u_labels; // a ring (label_window.ts), x and y exchanged
uniform sampler2D u_palette;
uniform ivec2 u_size;
uniform int u_level;     // a texel is 2^level image pixels
uniform ivec2 u_ring;    // size of the ring, texels
uniform ivec2 u_origin;  // of the texel at the ring's start, at or before the first one shown
uniform float u_scale;   // device pixels per image pixel
uniform float u_ratio;   // device pixels per CSS pixel
uniform float u_opacity;
uniform bool u_outlineOnly;
out vec4 o_color;

const int HIDDEN = 1;
const int SELECTED = 2;
const int HIGHLIGHTED = 4;

uint slotAt(vec2 pixel) {
  ivec2 p = ivec2(floor(pixel));
  uvec2 t = uvec2((p >> u_level) - u_origin);
  uvec2 ring = uvec2(u_ring);
  t = min(t, min(t + ring, t - ring)); // what is below 0 is very large
  uint slot = texelFetch(u_labels, ivec2(t.yx), 0).r;
  return all(lessThan(uvec2(p), uvec2(u_size))) ? slot : 0u;
}

vec4 entry(uint slot) {
  return texelFetch(u_palette, ivec2(int(slot & 255u), int(slot >> 8u)), 0);
}

void main() {
  uint slot = slotAt(v_pixel);
  vec4 found = entry(slot);
  int flags = int(found.a * 255.0 + 0.5);
  bool shown = slot != 0u && (flags & HIDDEN) == 0;
  bool selected = (flags & SELECTED) != 0;
  bool highlighted = (flags & HIGHLIGHTED) != 0;
  // A loop and not branches: drawing in software takes every branch, and leaves a loop.
  int looks = shown ? (selected ? 2 : 1) : 0;
  int look = 0;
  for (; look < looks; look++) {
    float d = (look > 0 ? 3.0 : highlighted && !selected ? 2.0 : 1.0) * u_ratio / u_scale;
    uvec4 near = uvec4(
      slotAt(v_pixel + vec2(d, 0.0)), slotAt(v_pixel - vec2(d, 0.0)),
      slotAt(v_pixel + vec2(0.0, d)), slotAt(v_pixel - vec2(0.0, d)));
    if (near != uvec4(slot)) break;
  }
  if (!shown) discard;
  vec3 color = found.rgb;
  float alpha = u_outlineOnly ? 0.0 : u_opacity;
  if (highlighted) alpha = max(alpha + 0.12, 0.12);
  if (selected) {
    color = mix(color, vec3(1.0), 0.12);
    if (!u_outlineOnly) alpha = min(alpha + 0.15, 0.9);
    if (look < 1) { o_color = vec4(0.05, 0.05, 0.08, 0.95); return; }
    if (look < 2) { o_color = vec4(1.0); return; }
  } else if (look < 1) {
    color = highlighted ? mix(color, vec3(1.0), 0.4) : color;
    alpha = max(alpha, 0.95);
  }
  o_color = vec4(color * alpha, alpha);
}`;
