import { expect, test } from "vitest";
import { ModelShelf, type UseOptions } from "./model-shelf.ts";

interface Item {
  bytes: number;
  dispose(): Promise<void>;
}

function shelf(budget: number) {
  const gone: string[] = [];
  const models = new ModelShelf<Item>(budget);
  /** @param measured what it turns out to hold, where that is not what its files say */
  const use = (
    id: string,
    weights: number,
    work: () => Promise<void> = async () => {},
    { measured = weights, working = 0, ...more }: Partial<UseOptions<Item>> & { measured?: number; working?: number } = {},
  ) => {
    const open = async () => ({ bytes: measured, dispose: async () => void gone.push(id) });
    return models.use(id, open, work, { needs: async () => ({ weights, working }), ...more });
  };
  return { models, gone, use };
}

/** Work that goes on until it is told to end. */
function gate() {
  let finish = () => {};
  let begun = () => {};
  const isOpen = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const hasBegun = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const work = async () => {
    begun();
    await isOpen;
  };
  return { work, hasBegun, finish };
}

const turns = async () => await new Promise((resolve) => setTimeout(resolve, 10));

test("the least recently used model goes when the bytes exceed the budget", async () => {
  const { models, gone, use } = shelf(100);
  await use("a", 40);
  await use("b", 40);
  await use("a", 40);
  expect(models.ids).toEqual(["b", "a"]);
  await use("c", 50);
  expect(gone).toEqual(["b"]);
  expect(models.bytes).toEqual({ a: 40, c: 50 });
});

test("many small ones stay", async () => {
  const { models, use } = shelf(100);
  for (const id of ["a", "b", "c", "d", "e"]) await use(id, 20);
  expect(models.ids).toHaveLength(5);
});

test("two that do not fit together run one after the other, and those of one model together", async () => {
  const { models, gone, use } = shelf(100);
  const [one, two] = [gate(), gate()];
  const began: string[] = [];
  const note = (name: string, rest: () => Promise<void> = async () => {}) => {
    return async () => {
      began.push(name);
      await rest();
    };
  };
  const all = [use("a", 60, note("a1", one.work))];
  await one.hasBegun;
  all.push(use("b", 60, note("b1", two.work)), use("a", 60, note("a2")), use("b", 60, note("b2")));
  await turns();
  // A second one of the running model does not pass whoever came before it, else that one would wait for ever.
  expect(began).toEqual(["a1"]);
  expect(models.ids).toEqual(["a"]);
  one.finish();
  await two.hasBegun;
  expect(gone).toEqual(["a"]);
  await turns();
  expect(began).toEqual(["a1", "b1", "b2"]);
  two.finish();
  await Promise.all(all);
  expect(began).toEqual(["a1", "b1", "b2", "a2"]);
});

test("what work takes beside the weights counts, and two that fit run together", async () => {
  const { use } = shelf(100);
  const [one, two, three] = [gate(), gate(), gate()];
  const all = [use("a", 30, one.work, { working: 20 }), use("b", 30, two.work, { working: 20 })];
  await Promise.all([one.hasBegun, two.hasBegun]);
  let third = false;
  all.push(
    use("c", 1, async () => {
      third = true;
    }),
  );
  await turns();
  expect(third).toBe(false);
  one.finish();
  two.finish();
  three.finish();
  await Promise.all(all);
  expect(third).toBe(true);
});

test("one larger than the budget runs, alone", async () => {
  const { models, gone, use } = shelf(100);
  await use("a", 60);
  await use("b", 150, async () => expect(gone).toEqual(["a"]));
  expect(models.ids).toEqual([]);
});

test("among those that wait the higher priority goes first, and one that is cancelled goes away", async () => {
  const { use } = shelf(100);
  const running = gate();
  const order: string[] = [];
  const note = (name: string) => async () => void order.push(name);
  const first = use("a", 90, running.work);
  await running.hasBegun;
  const abort = new AbortController();
  const cancelled = use("b", 90, note("cancelled"), { priority: 2, signal: abort.signal });
  const rest = [use("c", 90, note("normal")), use("d", 90, note("urgent"), { priority: 2 })];
  await turns();
  abort.abort();
  await expect(cancelled).rejects.toMatchObject({ code: "cancelled" });
  running.finish();
  await Promise.all([first, ...rest]);
  expect(order).toEqual(["urgent", "normal"]);
});

test("one that is dropped while it draws goes afterwards", async () => {
  const { models, gone, use } = shelf(100);
  await use("a", 10, async () => {
    await models.unload("a");
    expect(gone).toEqual([]);
  });
  expect(gone).toEqual(["a"]);
});

test("room is made by what the files say; once it has been measured, by that", async () => {
  const { gone, use } = shelf(100);
  await use("a", 60);
  await use("b", 60, async () => expect(gone).toEqual(["a"]), { measured: 30 });
  await use("c", 60, async () => expect(gone).toEqual(["a"]));
  await use("b", 60, async () => expect(gone).toEqual(["a"]));
});

test("one that cannot be opened is tried again", async () => {
  const { models } = shelf(100);
  const broken = () =>
    models.use(
      "a",
      () => Promise.reject(new Error("no file")),
      async () => {},
      { needs: async () => ({ weights: 1, working: 0 }) },
    );
  await expect(broken()).rejects.toThrow("no file");
  await expect(broken()).rejects.toThrow("no file");
  expect(models.ids).toEqual([]);
});
