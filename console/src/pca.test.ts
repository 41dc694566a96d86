import { describe, expect, it } from "vitest";

import { project } from "./pca";

describe("project", () => {
  it("finds the directions of a known cloud", async () => {
    // Along (3, 4)/5 the points lie 10 apart, upright on that 1 apart, and nothing else differs.
    const along = [-20, -10, 0, 10, 20];
    const across = [-1, 1, 0, 1, -1];
    const points = along.flatMap((a) =>
      across.map((b) => [0.6 * a - 0.8 * b + 7, 0.8 * a + 0.6 * b - 3, 5]),
    );
    const { x, y, explained } = await project(points);
    points.forEach((_, place) => {
      const a = along[Math.floor(place / 5)]!;
      const b = across[place % 5]!;
      expect(x[place]).toBeCloseTo(a, 4);
      expect(Math.abs(y[place]!)).toBeCloseTo(Math.abs(b), 4);
    });
    expect(explained[0] + explained[1]).toBeCloseTo(1, 9);
    expect(explained[0]).toBeCloseTo(1000 / (1000 + 4), 6);
  });

  it("gives the same map each time", async () => {
    const points = Array.from({ length: 50 }, (_, row) =>
      Array.from({ length: 8 }, (_, at) => Math.sin(row * 1.7 + at * at)),
    );
    expect(await project(points)).toEqual(await project(points));
  });

  it("takes what has no direction", async () => {
    expect(await project([])).toEqual({ x: [], y: [], explained: [0, 0] });
    const same = await project([[1, 2], [1, 2], [1, 2]]);
    expect(same.x).toEqual([0, 0, 0]);
    expect(same.explained).toEqual([0, 0]);
    const line = await project([[0], [1], [2]]);
    expect(line.explained[0]).toBeCloseTo(1, 9);
  });
});
