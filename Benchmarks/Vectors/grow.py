#!/usr/bin/env python3
"""More vectors than there are texts: real ones, then mixtures of real neighbours, then the real queries.

    grow.py FOLDER SOURCE COUNT OUTPUT     the first SOURCE vectors of FOLDER/vectors.f32 and COUNT - SOURCE made ones

Writes OUTPUT.f32 (COUNT vectors and the 1,000 queries of vectors.f32) and OUTPUT.truth.i32 (the ten nearest of each query, exact);
and the same for every tenth of these vectors, OUTPUT-tenth: what growth is measured against must have the same distribution.
A made vector is w a + (1 - w) b + 0.25 (c - d) / sqrt 2, renormalised: a any real vector, b one of its ten nearest, w even in
0.5...1, c and d any two real vectors, so that the noise varies in the directions in which texts vary.
"""
import sys

import hnswlib
import numpy as np

from compare import COUNT, DIMENSION, K, exact

BLOCK = 10_000


def main():
    folder, source, count, output = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    vectors = np.fromfile(f"{folder}/vectors.f32", dtype="<f4").reshape(-1, DIMENSION)
    real, queries = np.ascontiguousarray(vectors[:source]), np.ascontiguousarray(vectors[COUNT:])
    index = hnswlib.Index("ip", DIMENSION)
    index.init_index(source, M=16, ef_construction=100)
    index.add_items(real, num_threads=1)
    index.set_ef(50)
    neighbours = index.knn_query(real, K + 1, num_threads=1)[0][:, 1:]
    random = np.random.default_rng(7)
    with open(f"{output}.f32", "wb") as out:
        real.tofile(out)
        for first in range(source, count, BLOCK):
            size = min(BLOCK, count - first)
            a, c, d = (random.integers(source, size=size) for _ in range(3))
            b = neighbours[a, random.integers(K, size=size)]
            w = random.uniform(0.5, 1, (size, 1)).astype(np.float32)
            made = w * real[a] + (1 - w) * real[b] + np.float32(0.25 / 2**0.5) * (real[c] - real[d])
            (made / np.linalg.norm(made, axis=1, keepdims=True)).astype("<f4").tofile(out)
        queries.tofile(out)
    everything = np.memmap(f"{output}.f32", dtype="<f4", mode="r").reshape(-1, DIMENSION)[:count]
    tenth = np.ascontiguousarray(everything[::10])
    np.concatenate([tenth, queries]).tofile(f"{output}-tenth.f32")
    for name, base in ((output, everything), (f"{output}-tenth", tenth)):
        truth, cosines = exact(base, queries)
        truth.tofile(f"{name}.truth.i32")
        print(f"{name}: {len(base)} vectors; mean cosine of a query and its nearest {cosines[:, 0].mean():.3f}, its tenth {cosines[:, -1].mean():.3f}")


if __name__ == "__main__":
    main()
