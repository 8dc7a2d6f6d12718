import { describe, expect, test } from "vitest";
import { type Candidate, chooseNext, effectiveRank, type Running, TARGET_WAIT_SECONDS } from "./policy.ts";

const CAPACITY = { slots: 2, urgentExtra: 2 };
const job = (id: string, fields: Partial<Candidate> = {}): Candidate => ({
  id,
  priority: "normal",
  model: "m",
  since: 100,
  suspect: false,
  ...fields,
});
const running = (fields: Partial<Running> = {}): Running => ({ priority: "normal", model: "m", suspect: false, ...fields });
const choose = (held: Candidate[], busy: Running[] = [], loaded: string[] = ["m"], now = 100) =>
  chooseNext(held, busy, new Set(loaded), CAPACITY, now)?.id;

describe("which job starts next", () => {
  test("the most urgent, then the oldest", () => {
    expect(choose([job("old", { since: 90 }), job("high", { priority: "high" }), job("urgent", { priority: "urgent" })])).toBe(
      "urgent",
    );
    expect(choose([job("young", { since: 99 }), job("old", { since: 90 })])).toBe("old");
  });

  test("none when the slots are full, but for an urgent one", () => {
    const full = [running(), running()];
    expect(choose([job("a"), job("b", { priority: "high" })], full)).toBeUndefined();
    expect(choose([job("a"), job("u", { priority: "urgent" })], full)).toBe("u");
    expect(
      choose([job("u", { priority: "urgent" })], [running({ priority: "urgent" }), running({ priority: "urgent" })]),
    ).toBeUndefined();
    expect(
      choose([job("u", { priority: "urgent" })], [...full, running({ priority: "urgent" }), running({ priority: "urgent" })]),
    ).toBeUndefined();
  });

  test("a loaded model goes before an older job of another, but not for ever", () => {
    const [other, same] = [job("other", { model: "x", since: 95 }), job("same", { since: 100 })];
    expect(choose([other, same])).toBe("same");
    expect(choose([{ ...other, since: 80 }, same])).toBe("other");
  });

  test("a suspect runs alone, and nothing joins it", () => {
    const suspect = job("suspect", { suspect: true, since: 1 });
    expect(choose([suspect], [running()])).toBeUndefined();
    expect(choose([suspect])).toBe("suspect");
    expect(choose([suspect, job("younger")], [running()])).toBeUndefined();
    expect(choose([job("suspect", { suspect: true, since: 99 }), job("older", { since: 1 })], [running()])).toBe("older");
    expect(choose([job("u", { priority: "urgent" })], [running({ suspect: true })])).toBeUndefined();
  });

  test("waiting long raises a job's rank until it is among the urgent", () => {
    const waits = job("waits", { since: 0 });
    expect(effectiveRank(waits, 1)).toBe(2);
    expect(effectiveRank(waits, TARGET_WAIT_SECONDS.normal * 15)).toBe(1);
    expect(effectiveRank(waits, 1e6)).toBe(0);
    expect(choose([waits, job("urgent", { priority: "urgent", since: 1000 })], [], ["m"], 1000)).toBe("waits");
  });
});
