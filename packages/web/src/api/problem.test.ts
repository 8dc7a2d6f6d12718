import { describe, expect, it } from "vitest";
import { problemFrom } from "./problem.ts";

function answer(status: number, body: unknown): Response {
  return new Response(typeof body === "string" ? body : JSON.stringify(body), { status });
}

describe("problemFrom", () => {
  it("shows the detail and knows the field", async () => {
    const problem = await problemFrom(
      answer(422, { status: 422, title: "Wrong", detail: "width must be a multiple of 8.", field: "width", code: "invalid" }),
    );
    expect(problem).toMatchObject({
      message: "width must be a multiple of 8.",
      field: "width",
      status: 422,
      isConnection: false,
    });
  });

  it.each([
    ["/width", "width"],
    ["body.width", "width"],
    ["controls[0].image", "controls"],
    ["size/height", "size"],
  ])("marks %s at %s", async (field, marked) => {
    expect((await problemFrom(answer(422, { detail: "No.", field }))).field).toBe(marked);
  });

  it("has a sentence for an answer that has none", async () => {
    expect((await problemFrom(answer(503, "<html>"))).message).toMatch(/status 503/);
    expect((await problemFrom(answer(401, {}))).message).toMatch(/key/);
  });
});
