import { expect, test } from "vitest";
import { ModelShelf } from "./model-shelf.ts";

function shelf(budget: number) {
  const gone: string[] = [];
  const models = new ModelShelf<{ bytes: number; expectedBytes: number; dispose(): Promise<void> }>(budget);
  const use = (id: string, bytes: number, work: () => Promise<void> = async () => {}, expectedBytes = bytes) =>
    models.use(id, async () => ({ bytes, expectedBytes, dispose: async () => void gone.push(id) }), work);
  return { models, gone, use };
}

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

test("one that draws stays until it is done, and one larger than the budget runs alone", async () => {
  const { models, gone, use } = shelf(100);
  let finish = () => {};
  const drawing = use("a", 60, () => new Promise<void>((resolve) => (finish = resolve)));
  await use("b", 150);
  expect(gone).toEqual(["b"]);
  finish();
  await drawing;
  expect(models.ids).toEqual(["a"]);
});

test("one that is dropped while it draws goes afterwards", async () => {
  const { models, gone, use } = shelf(100);
  await use("a", 10, async () => {
    await models.unload("a");
    expect(gone).toEqual([]);
  });
  expect(gone).toEqual(["a"]);
});

test("room is made by what the files say, before anything is measured", async () => {
  const { gone, use } = shelf(100);
  await use("a", 60);
  await use("b", 0, async () => expect(gone).toEqual(["a"]), 60);
});

test("one that cannot be opened is tried again", async () => {
  const { models } = shelf(100);
  const broken = () =>
    models.use(
      "a",
      () => Promise.reject(new Error("no file")),
      async () => {},
    );
  await expect(broken()).rejects.toThrow("no file");
  await expect(broken()).rejects.toThrow("no file");
  expect(models.ids).toEqual([]);
});
