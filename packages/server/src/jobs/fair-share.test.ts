import { expect, test } from "vitest";
import { FairShare } from "./fair-share.ts";

test("a newcomer's jobs go between those of somebody who has queued many", () => {
  const fair = new FairShare(1000);
  const queued = Array.from({ length: 6 }, () => ({ owner: "a", tag: fair.tag("a", "normal") }));
  fair.started("normal", queued[1]?.tag ?? 0);
  for (let index = 0; index < 3; index++) queued.push({ owner: "b", tag: fair.tag("b", "normal") });
  const waiting = queued.slice(2).sort((x, y) => x.tag - y.tag);
  // Each of b's three jobs is among the first of its pair.
  expect(waiting.findIndex(({ owner }) => owner === "b")).toBe(0);
  expect(waiting.slice(0, 6).filter(({ owner }) => owner === "b")).toHaveLength(3);
});

test("who was idle has no credit from the past, and priorities are apart", () => {
  const fair = new FairShare(1000);
  for (let index = 0; index < 10; index++) fair.started("normal", fair.tag("a", "normal"));
  expect(fair.tag("b", "normal")).toBe(9);
  expect(fair.tag("b", "urgent")).toBe(0);
});

test("a restart goes on from what waits, and idleness begins anew", () => {
  const fair = new FairShare(1000);
  fair.restore([
    { owner: "a", priority: "normal", least: 40, most: 60 },
    { owner: "b", priority: "normal", least: 41, most: 41 },
  ]);
  expect([fair.tag("a", "normal"), fair.tag("b", "normal"), fair.tag("c", "normal")]).toEqual([61, 42, 40]);
  fair.idle("normal");
  expect(fair.tag("a", "normal")).toBe(0);
});

test("tags stay inside what the queue can store", () => {
  const fair = new FairShare(3);
  expect(Array.from({ length: 6 }, () => fair.tag("a", "normal"))).toEqual([0, 1, 2, 3, 3, 3]);
});
