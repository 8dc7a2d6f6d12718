import { useCallback, useEffect, useState } from "react";
import { uploadPicture } from "../../api/client.ts";
import { sentenceOf } from "../../api/problem.ts";
import type { GenerationRequest } from "../../api/types.ts";
import type { Size, SourceImage } from "./settings.ts";

export interface SourcePicture {
  readonly reading: boolean;
  /** What was wrong with the last picture given. */
  readonly problem: string | undefined;
  /** True while a file is held over the page. */
  readonly hovering: boolean;
  /** The last picture given whose file says what made it. */
  readonly described: DescribedPicture | undefined;
  readonly take: (picture: File) => void;
}

export interface DescribedPicture {
  /** `upload:ID` of the picture. */
  readonly reference: string;
  /** What made it. */
  readonly request: GenerationRequest;
}

const ACCEPTED: readonly string[] = ["image/png", "image/jpeg", "image/webp"];

/** Takes a picture that is dropped on the page, pasted into it, or chosen, and hands it to the service. */
export function useSourcePicture(
  onTaken: (source: SourceImage, size: Size) => void,
  report: (error: unknown) => void,
): SourcePicture {
  const [reading, setReading] = useState(false);
  const [problem, setProblem] = useState<string>();
  const [described, setDescribed] = useState<DescribedPicture>();

  const take = useCallback(
    async (picture: File) => {
      if (!ACCEPTED.includes(picture.type)) {
        setProblem(`"${picture.name}" is no picture that can be read here. PNG, JPEG and WebP can.`);
        return;
      }
      setReading(true);
      setProblem(undefined);
      try {
        const { id, url, width, height, request } = await uploadPicture(picture);
        const reference = `upload:${id}`;
        setDescribed(request && { reference, request });
        onTaken({ reference, url, width, height }, { width, height });
      } catch (error) {
        setProblem(sentenceOf(error));
        report(error);
      } finally {
        setReading(false);
      }
    },
    [onTaken, report],
  );

  const hovering = usePageDrop(take);
  return { reading, problem, hovering, described, take };
}

function usePageDrop(take: (picture: File) => void): boolean {
  // dragenter and dragleave come for every element passed over; only their balance says whether the page was left.
  const [depth, setDepth] = useState(0);
  useEffect(() => {
    const events = new AbortController();
    const on = <K extends keyof WindowEventMap>(type: K, listener: (event: WindowEventMap[K]) => void): void =>
      addEventListener(type, listener, { signal: events.signal });
    on("dragenter", (event) => {
      if (holdsFile(event.dataTransfer)) setDepth((before) => before + 1);
    });
    on("dragleave", (event) => {
      if (holdsFile(event.dataTransfer)) setDepth((before) => Math.max(0, before - 1));
    });
    on("dragover", (event) => {
      if (holdsFile(event.dataTransfer)) event.preventDefault();
    });
    on("drop", (event) => {
      setDepth(0);
      if (holdsFile(event.dataTransfer)) event.preventDefault();
      const picture = event.dataTransfer?.files[0];
      if (picture !== undefined) take(picture);
    });
    on("paste", (event) => {
      const picture = event.clipboardData?.files[0];
      if (picture === undefined) return;
      event.preventDefault();
      take(picture);
    });
    return () => events.abort();
  }, [take]);
  return depth > 0;
}

function holdsFile(data: DataTransfer | null): boolean {
  return data?.types.includes("Files") ?? false;
}
