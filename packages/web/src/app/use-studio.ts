import { type RefObject, useCallback, useState } from "react";
import { pictureReferencePath } from "../api/client.ts";
import { ApiProblem, sentenceOf } from "../api/problem.ts";
import { type GenerationRequest, isFinished, type Job, type Model } from "../api/types.ts";
import {
  type Size,
  type SourceImage,
  seedFault,
  settingsOfPicture,
  settingsOfRequest,
  toRequest,
} from "../features/compose/settings.ts";
import { clampSide, sizeOfRatio } from "../features/compose/sizes.ts";
import type { SettingsStore } from "../features/compose/use-settings.ts";
import { type SourcePicture, useSourcePicture } from "../features/compose/use-source-picture.ts";
import type { Catalogue } from "../features/connection/use-catalogue.ts";
import type { Connection } from "../features/connection/use-connection.ts";
import type { Jobs } from "../features/history/use-jobs.ts";
import type { StageActions } from "../features/stage/stage.tsx";
import type { Notice } from "./use-notice.ts";

interface StudioParts {
  readonly store: SettingsStore;
  readonly catalogue: Catalogue;
  readonly connection: Connection;
  readonly jobs: Jobs;
  readonly notice: Notice;
  readonly prompt: RefObject<HTMLTextAreaElement | null>;
  readonly stage: RefObject<HTMLElement | null>;
}

export interface Studio {
  /** The model that the next picture is drawn with. */
  readonly model: Model | undefined;
  readonly source: SourcePicture;
  /** Why the last request was refused. */
  readonly problem: ApiProblem | undefined;
  readonly sending: boolean;
  readonly generate: () => void;
  /** Puts what made the picture to start from into the form. Absent when its file does not say. */
  readonly useParameters: (() => void) | undefined;
  /** Absent when the job on the stage is finished, or there is none. */
  readonly cancel: (() => void) | undefined;
  readonly show: (job: Job) => void;
  readonly showOlder: () => void;
  readonly tryExample: (prompt: string) => void;
  readonly actions: StageActions;
}

/** What the person can do, across the form, the stage and the list. */
export function useStudio(parts: StudioParts): Studio {
  const { store, catalogue, connection, jobs, notice, prompt, stage } = parts;
  const { settings, change, replace } = store;
  const sender = useSender(jobs, connection);
  const model = catalogue.models.find(({ id }) => id === settings.model) ?? ownModel(catalogue.models);
  const { shown } = jobs;

  const startFrom = useCallback(
    (source: SourceImage, size: Size) => change({ source, size: fitted(size, model) }),
    [change, model],
  );
  const source = useSourcePicture(startFrom, connection.report);
  const described = source.described?.reference === settings.source?.reference ? source.described : undefined;
  const lookAtStage = (): void => bringIntoView(stage.current);
  const send = async (request: GenerationRequest): Promise<void> => {
    if (await sender.send(request)) lookAtStage();
  };
  const generate = (): void => {
    if (settings.prompt.trim() === "") {
      sender.refuse(new ApiProblem("Write what the picture should show.", 422, "invalid_request", "prompt"));
      prompt.current?.focus();
      return;
    }
    const fault = settings.seedLocked ? seedFault(settings.seed) : undefined;
    if (fault !== undefined) sender.refuse(new ApiProblem(fault, 422, "invalid_request", "seed"));
    else void send(knownModel(toRequest(settings), catalogue));
  };
  const actions = actionsOnStage(parts, send);

  return {
    model,
    source,
    problem: sender.problem,
    sending: sender.sending,
    generate,
    useParameters:
      described &&
      (() => {
        replace(settingsOfRequest(described.request));
        notice.say("The form holds the settings that the picture's file names, with its seed kept.");
      }),
    cancel: shown !== undefined && !isFinished(shown) ? () => actions.onCancel(shown) : undefined,
    show: (job) => {
      jobs.show(job.id);
      lookAtStage();
    },
    showOlder: () => void jobs.showOlder().catch(notice.fail),
    tryExample: (example) => {
      change({ prompt: example });
      void send(knownModel(toRequest({ ...settings, prompt: example }), catalogue));
    },
    actions,
  };
}

/** What the pictures on the stage offer. */
function actionsOnStage(
  { store: { change, replace }, jobs, notice, prompt }: StudioParts,
  send: (request: GenerationRequest) => Promise<void>,
): StageActions {
  // The form scrolls by itself on a desk: "nearest" moves it and the page only as far as the prompt needs.
  const lookAtForm = (): void => prompt.current?.scrollIntoView({ block: "nearest", behavior: motion() });
  return {
    onAgain: (job) => void send(job.request),
    onReuse: (job, picture) => {
      replace(settingsOfPicture(job, picture, pictureReferencePath));
      notice.say("The form holds this picture's settings, with its seed kept.");
      lookAtForm();
    },
    onUseAsImage: (picture) => {
      const { id, thumbnailUrl, width, height } = picture;
      change({ source: { reference: `image:${id}`, url: thumbnailUrl, width, height }, size: { width, height } });
      notice.say("The next picture starts from this one.");
      lookAtForm();
    },
    onFavorite: (job, favorite) => void jobs.setFavorite(job, favorite).catch(notice.fail),
    onRemove: (job) => jobs.remove(job.id),
    onCancel: (job) => void jobs.cancel(job.id).catch(notice.fail),
  };
}

interface Sender {
  readonly problem: ApiProblem | undefined;
  readonly sending: boolean;
  readonly refuse: (problem: ApiProblem) => void;
  /** True when the service took the request. */
  readonly send: (request: GenerationRequest) => Promise<boolean>;
}

function useSender({ submit }: Jobs, { report }: Connection): Sender {
  const [problem, setProblem] = useState<ApiProblem>();
  const [sending, setSending] = useState(false);
  const send = async (request: GenerationRequest): Promise<boolean> => {
    // A second press while the first is on its way is the same wish.
    if (sending) return false;
    setSending(true);
    setProblem(undefined);
    try {
      await submit(request);
      return true;
    } catch (error) {
      setProblem(error instanceof ApiProblem ? error : new ApiProblem(sentenceOf(error), 0));
      report(error);
      return false;
    } finally {
      setSending(false);
    }
  };
  return { problem, sending, refuse: setProblem, send };
}

function ownModel(models: readonly Model[]): Model | undefined {
  return models.find(({ isDefault }) => isDefault) ?? models.find(({ loaded }) => loaded) ?? models[0];
}

/** Without a model that the service no longer has: the form shows the default one then, and that is what must be asked for. */
function knownModel(request: GenerationRequest, { models, epoch }: Catalogue): GenerationRequest {
  if (epoch === undefined || models.some(({ id }) => id === request.model)) return request;
  const { model: _, ...rest } = request;
  return rest;
}

/** The size for a picture that starts from another: as the other when that is small enough for the model, else of its shape. */
function fitted({ width, height }: Size, model: Model | undefined): Size {
  if (model === undefined) return { width: clampSide(width), height: clampSide(height) };
  const fits = width * height <= model.width * model.height && width % 8 === 0 && height % 8 === 0;
  return fits && 2 * width * height >= model.width * model.height ? { width, height } : sizeOfRatio(model, width / height);
}

/** Scrolls only when the element's beginning is out of sight: a page that moves without need is lost from view itself. */
function bringIntoView(element: HTMLElement | null): void {
  if (element === null) return;
  const { top } = element.getBoundingClientRect();
  if (top >= 0 && top < innerHeight / 2) return;
  element.scrollIntoView({ block: "start", behavior: motion() });
}

function motion(): ScrollBehavior {
  return matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
}
