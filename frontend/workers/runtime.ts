import gpuLoader from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url";
import gpuWasm from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url";
import loader from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import type * as Ort from "onnxruntime-web/wasm";

/** onnxruntime-web, on the browser's GPU where it has one, else in WASM with threads. */

const MAX_THREADS = 4;

export interface Runtime {
  readonly ort: typeof Ort;
  /** Made with these, what the image part gives stays where the click part needs it. */
  readonly options: Ort.InferenceSession.SessionOptions;
  readonly gpu: boolean;
}

/** The part of `navigator.gpu` that is asked. */
export interface Gpu {
  requestAdapter(): Promise<{ readonly info?: { readonly isFallbackAdapter?: boolean } } | null>;
}

/** A GPU that is computed by the processor is slower than WASM. */
export async function hasGpu(gpu: Gpu | undefined): Promise<boolean> {
  const adapter = await gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && !adapter?.info?.isFallbackAdapter;
}

export async function inWasm(): Promise<Runtime> {
  const ort = await import("onnxruntime-web/wasm");
  ort.env.wasm.wasmPaths = { mjs: loader, wasm };
  ort.env.wasm.numThreads = self.crossOriginIsolated
    ? Math.min(MAX_THREADS, navigator.hardwareConcurrency)
    : 1;
  return { ort, options: { executionProviders: ["wasm"] }, gpu: false };
}

export async function onGpu(): Promise<Runtime> {
  const ort = await import("onnxruntime-web/webgpu");
  ort.env.wasm.wasmPaths = { mjs: gpuLoader, wasm: gpuWasm };
  ort.env.wasm.numThreads = 1;
  // Without the warnings of parts that are better done by the processor.
  const options = { executionProviders: ["webgpu", "wasm"], logSeverityLevel: 3 as const };
  return { ort, options, gpu: true };
}

export async function best(): Promise<Runtime> {
  const { gpu } = navigator as { readonly gpu?: Gpu };
  return (await hasGpu(gpu)) ? onGpu() : inWasm();
}
