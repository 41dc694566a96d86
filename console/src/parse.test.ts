import { describe, expect, it } from "vitest";

import { parseNames, parseObject, parseVector } from "./parse";

describe("parseVector", () => {
  it("reads lists of JSON and numbers apart by anything usual", () => {
    for (const text of ["[1, -2.5, 3e-1]", "1 -2.5 0.3", "1,-2.5,\n0.3", " 1;-2.5; 0.3 "]) {
      expect(parseVector(text)).toEqual([1, -2.5, 0.3]);
    }
  });

  it("says what is wrong", () => {
    expect(() => parseVector(" ")).toThrow("empty");
    expect(() => parseVector("[1, 2")).toThrow("not a JSON list");
    expect(() => parseVector("[1, null]")).toThrow("Component 1");
    expect(() => parseVector("1 two")).toThrow("Component 1");
    expect(() => parseVector("[]")).toThrow("not a list of numbers");
  });
});

describe("parseObject", () => {
  it("reads objects and nothing else", () => {
    expect(parseObject("", "The filter")).toBeUndefined();
    expect(parseObject('{"a": 1}', "The filter")).toEqual({ a: 1 });
    expect(() => parseObject("[1]", "The filter")).toThrow("The filter is not a JSON object.");
    expect(() => parseObject("{", "The filter")).toThrow("The filter is not JSON");
  });
});

describe("parseNames", () => {
  it("takes names apart", () => {
    expect(parseNames("a, b\nc,,")).toEqual(["a", "b", "c"]);
  });
});
