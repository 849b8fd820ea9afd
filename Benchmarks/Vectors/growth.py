#!/usr/bin/env python3
"""What a million vectors are like beside a tenth and a hundredth of them, and what an HNSW graph of float32 needs for each.

    growth.py FOLDER              reads FOLDER/million.f32: 1,000,000 vectors and then the queries, as EmbedTexts makes them of million.txt
    growth.py FOLDER hnswlib      the same, and builds, searches and times hnswlib's index of the tenth and the million

Writes FOLDER/million.truth.i32 (the ten nearest of each query, exact), FOLDER/million-tenth.f32 (the first 100,000 and the queries: the
texts are in the order of their hashes) and its truth. Prints for each size the mean cosine of a query and its nearest, its tenth and its hundredth, and the
local intrinsic dimension of its hundred nearest (maximum likelihood: Levina & Bickel, NIPS 2004, averaged as MacKay & Ghahramani say).
"""
import json
import os
import sys
import time

import numpy as np

from compare import DIMENSION, K, at_recall, exact

EFS = [16, 24, 32, 48, 64, 80, 100, 150]


def dimension(cosines):
    distances = np.sqrt(np.maximum(2 - 2 * cosines, 1e-9))
    return 1 / np.mean(np.mean(np.log(distances[:, -1:] / distances[:, :-1]), axis=1))


def hnswlib_needs(path, base, queries, truth):
    """Milliseconds a query, mean of one thread's best of three passes, at each efSearch, and where recall@10 is .95."""
    import hnswlib
    index = hnswlib.Index("ip", DIMENSION)
    if os.path.exists(path):
        index.load_index(path)
    else:
        index.init_index(len(base), M=16, ef_construction=200)
        for first in range(0, len(base), 50_000):
            index.add_items(base[first:first + 50_000], np.arange(first, min(first + 50_000, len(base))), num_threads=2)
            print(f"hnswlib: {first + 50_000} of {len(base)}", file=sys.stderr, flush=True)
        index.save_index(path)
    times, efs = [], []
    for ef in EFS:
        index.set_ef(ef)
        passes = []
        for _ in range(4):
            start = time.perf_counter()
            found = index.knn_query(queries, K, num_threads=1)[0]
            passes.append(1e6 * (time.perf_counter() - start) / len(queries))
        recall = float(np.mean([len(set(a.tolist()) & set(b.tolist())) for a, b in zip(found, truth)]) / K)
        times.append((recall, min(passes[1:])))
        efs.append((recall, ef))
        print(json.dumps({"command": "growth", "name": "hnswlib", "count": len(base), "ef": ef, "recall": recall, "microseconds": min(passes[1:])}), flush=True)
    print(json.dumps({"command": "growth", "name": "hnswlib", "count": len(base), "efAt95": at_recall(efs, 0.95), "microsecondsAt95": at_recall(times, 0.95)}))


def main():
    folder, peers = sys.argv[1], sys.argv[2:]
    everything = np.memmap(f"{folder}/million.f32", dtype="<f4", mode="r").reshape(-1, DIMENSION)
    queries = np.ascontiguousarray(everything[1_000_000:])
    for count, name in ((10_000, "million-hundredth"), (100_000, "million-tenth"), (1_000_000, "million")):
        base = everything[:count]
        if name == "million-tenth" and not os.path.exists(f"{folder}/{name}.f32"):
            with open(f"{folder}/{name}.f32", "wb") as out:
                base.tofile(out)
                queries.tofile(out)
        if not os.path.exists(f"{folder}/{name}.stats.json"):
            truth, cosines = exact(base, queries, 100)
            np.ascontiguousarray(truth[:, :K]).tofile(f"{folder}/{name}.truth.i32")
            stats = {"command": "growth", "count": count, "nearest": float(cosines[:, 0].mean()), "tenth": float(cosines[:, 9].mean()),
                     "hundredth": float(cosines[:, 99].mean()), "localDimension": float(dimension(cosines))}
            with open(f"{folder}/{name}.stats.json", "w") as out:
                json.dump(stats, out)
        with open(f"{folder}/{name}.stats.json") as file:
            print(file.read(), flush=True)
        if "hnswlib" in peers and count > 10_000:
            truth = np.fromfile(f"{folder}/{name}.truth.i32", dtype=np.int32).reshape(-1, K)
            hnswlib_needs(f"{folder}/{name}.hnswlib", base, queries, truth)


if __name__ == "__main__":
    main()
