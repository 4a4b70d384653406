import { expect, test } from "vitest";
import { filesOfDrop, looksLikeImage } from "./files";

function file(path: string): FileSystemEntry {
  const name = path.split("/").pop() ?? "";
  const entry = {
    isFile: true,
    name,
    fullPath: `/${path}`,
    file: (done: (file: File) => void) => done(new File(["x"], name)),
  };
  return entry as unknown as FileSystemEntry;
}

/** A folder whose reader gives two entries at a time, as browsers give a hundred. */
function folder(name: string, children: FileSystemEntry[]): FileSystemEntry {
  const createReader = () => {
    const left = [...children];
    return { readEntries: (done: (some: FileSystemEntry[]) => void) => done(left.splice(0, 2)) };
  };
  return { isFile: false, name, fullPath: `/${name}`, createReader } as unknown as FileSystemEntry;
}

function drop(entries: (FileSystemEntry | null)[]): DataTransfer {
  const items = entries.map((entry) => ({ webkitGetAsEntry: () => entry }));
  return { items } as unknown as DataTransfer;
}

test("folders are walked to their ends and keep their names", async () => {
  const many = Array.from({ length: 5 }, (_, n) => file(`day/${n}.jpg`));
  const inner = folder("night", [file("day/night/a.PNG"), file("day/night/notes.txt")]);
  const { found, skipped } = await filesOfDrop(drop([folder("day", [...many, inner]), null]));
  expect(found.map((one) => one.path)).toEqual([
    ...many.map((_, n) => `day/${n}.jpg`),
    "day/night/a.PNG",
  ]);
  expect(skipped).toBe(1);
});

test("a file that a person dropped by itself is always sent", async () => {
  const { found, skipped } = await filesOfDrop(drop([file("notes.txt")]));
  expect(found.map((one) => one.path)).toEqual(["notes.txt"]);
  expect(skipped).toBe(0);
});

test("what systems leave in folders is no image", () => {
  for (const name of [".DS_Store", "Thumbs.db", "._a.jpg", "a.txt"]) {
    expect(looksLikeImage(name)).toBe(false);
  }
  for (const name of ["a.jpeg", "b.TIFF", "c.zip", "d.dcm", "e.nii.gz", "f.mp4"])
    expect(looksLikeImage(name)).toBe(true);
});
