/** Finding the files in what a person dropped: folders are walked to their ends. */

/** One file and where it was inside the dropped folder. */
export interface FoundFile {
  readonly file: File;
  /** `folder/name.png`, or the name alone. */
  readonly path: string;
}

const IMAGE_NAME =
  /\.(jpe?g|jfif|png|webp|bmp|tiff?|gif|zip|dcm|nii|nii\.gz|mp4|m4v|mov|mkv|webm|avi)$/i;

/** Whether a file inside a folder is worth sending; what a person picked by name always is. */
export function looksLikeImage(name: string): boolean {
  return !name.startsWith(".") && IMAGE_NAME.test(name);
}

/**
 * The files of a drop. Must be called in the drop event itself: the browser empties the transfer
 * when the event ends.
 */
export async function filesOfDrop(
  transfer: DataTransfer,
): Promise<{ found: FoundFile[]; skipped: number }> {
  const entries = [...transfer.items]
    .map((item) => item.webkitGetAsEntry())
    .filter((entry) => entry !== null);
  const found: FoundFile[] = [];
  let skipped = 0;
  const walk = async (entry: FileSystemEntry, inFolder: boolean): Promise<void> => {
    if (entry.isFile) {
      if (inFolder && !looksLikeImage(entry.name)) {
        skipped += 1;
        return;
      }
      const file = await new Promise<File>((resolve, reject) =>
        (entry as FileSystemFileEntry).file(resolve, reject),
      );
      found.push({ file, path: entry.fullPath.replace(/^\//, "") });
    } else {
      for (const child of await children(entry as FileSystemDirectoryEntry))
        await walk(child, true);
    }
  };
  for (const entry of entries) await walk(entry, false);
  return { found, skipped };
}

/** `readEntries` gives at most 100 at a time, so it is asked until it has none left. */
async function children(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (some.length === 0) return all;
    all.push(...some);
  }
}
