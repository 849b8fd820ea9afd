#!/usr/bin/env python3
"""Recall and speed of Contex's index out of LMDB beside libraries that hold theirs in memory, one thread, in one run.

    compare.py FOLDER CONTEX [peer ...]    FOLDER has vectors.f32 (texts.py, EmbedTexts), CONTEX is the VectorBenchmark binary

The first 100,000 vectors are indexed, the other 1,000 are the queries; the truth is computed exactly. Indexes are built once
and kept in FOLDER. Searches alternate: every library at one point of its curve, then every library at the next, three rounds;
the median counts. Seconds are those of the process on a processor, so that other work on the machine does not count twice.
Writes FOLDER/curves.json, prints a table, and writes an SVG beside it.
"""
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np

DIMENSION, COUNT, K = 384, 100_000, 10


class Peer:
    efs = [12, 16, 24, 32, 48, 100, 150, 220]

    def __init__(self, folder, base):
        self.path = f"{folder}/{self.name}.index"
        self.base = base
        self.rate = None
        if not os.path.exists(self.path):
            start = time.process_time()
            self.build()
            self.rate = COUNT / (time.process_time() - start)
            self.save()
            with open(self.path + ".rate", "w") as out:
                out.write(str(self.rate))
        else:
            self.load()
            if os.path.exists(self.path + ".rate"):
                self.rate = float(open(self.path + ".rate").read())

    def measure(self, queries, ef):
        """The answers' ids and queries a second."""
        self.set(ef)
        start = time.process_time()
        ids = self.search(queries, ef)
        return ids, len(queries) / (time.process_time() - start)

    def set(self, ef):
        pass

    def bytes(self):
        if os.path.isdir(self.path):
            return sum(os.path.getsize(os.path.join(self.path, name)) for name in os.listdir(self.path) if "lock" not in name)
        return os.path.getsize(self.path)


class Hnswlib(Peer):
    name = "hnswlib"

    def build(self):
        import hnswlib
        self.index = hnswlib.Index("ip", DIMENSION)
        self.index.init_index(COUNT, M=16, ef_construction=200)
        self.index.add_items(self.base, num_threads=1)
        self.index.set_num_threads(1)

    def save(self):
        self.index.save_index(self.path)

    def load(self):
        import hnswlib
        self.index = hnswlib.Index("ip", DIMENSION)
        self.index.load_index(self.path)
        self.index.set_num_threads(1)

    def set(self, ef):
        self.index.set_ef(ef)

    def search(self, queries, ef):
        return self.index.knn_query(queries, K, num_threads=1)[0]


class Faiss(Peer):
    name = "faiss"

    def build(self):
        import faiss
        faiss.omp_set_num_threads(1)
        self.index = faiss.IndexHNSWFlat(DIMENSION, 16, faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = 200
        self.index.add(self.base)

    def save(self):
        import faiss
        faiss.write_index(self.index, self.path)

    def load(self):
        import faiss
        faiss.omp_set_num_threads(1)
        self.index = faiss.read_index(self.path)

    def set(self, ef):
        self.index.hnsw.efSearch = ef

    def search(self, queries, ef):
        return self.index.search(queries, K)[1]


class Usearch(Peer):
    name = "usearch"

    def make(self):
        from usearch.index import Index
        return Index(ndim=DIMENSION, metric="ip", dtype="f32", connectivity=16, expansion_add=200)

    def build(self):
        self.index = self.make()
        self.index.add(np.arange(COUNT), self.base, threads=1)

    def save(self):
        self.index.save(self.path)

    def load(self):
        self.index = self.make()
        self.index.load(self.path)

    def set(self, ef):
        self.index.expansion_search = ef

    def search(self, queries, ef):
        return self.index.search(queries, K, threads=1).keys


class SymphonyQG(Peer):
    name = "symphonyqg"

    def build(self):
        import rabitqlib
        self.index = rabitqlib.SymqgIndex(DIMENSION, 32, "l2")
        self.index.build(self.base, 200, 1)

    def save(self):
        self.index.save(self.path)

    def load(self):
        import rabitqlib
        self.index = rabitqlib.SymqgIndex.load(self.path)

    def search(self, queries, ef):
        return self.index.search(queries, K, ef, 1)[0]


class Hannoy(Peer):
    name = "hannoy"

    def build(self):
        import hannoy
        os.makedirs(self.path)
        self.database = hannoy.Database(self.path, hannoy.Metric.COSINE, env_size=1 << 31)
        with self.database.writer(DIMENSION, m=16, ef=200) as writer:
            writer.add_items(np.arange(COUNT, dtype=np.uint32), self.base)
        self.reader = self.database.reader()

    def save(self):
        pass

    def load(self):
        import hannoy
        self.reader = hannoy.Database(self.path, hannoy.Metric.COSINE, env_size=1 << 31).reader()

    def search(self, queries, ef):
        ids = np.empty((len(queries), K), dtype=np.uint32)
        self.reader.by_array(queries, n=K, ef_search=ef, out=(ids, np.empty((len(queries), K), dtype=np.float32)))
        return ids


def contex(binary, folder, efs):
    """One line for each ef: recall and queries a second."""
    command = [binary, "search", f"{folder}/contex", f"{folder}/vectors.f32", str(COUNT), f"{folder}/truth.i32", "6", *map(str, efs)]
    lines = [json.loads(line) for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()]
    return {line["ef"]: (line["recall"], line["perSecond"]) for line in lines if line["command"] == "search"}


def at_recall(points, wanted):
    """Queries a second where the curve reaches a recall, straight between two points; None when it does not."""
    points = sorted(points)
    for (low, slow), (high, fast) in zip(points, points[1:]):
        if low <= wanted <= high and high > low:
            return slow + (fast - slow) * (wanted - low) / (high - low)
    return None


def svg(curves, path):
    width, height, left, bottom = 760, 460, 70, 50
    colours = {"contex": "#c0392b", "hnswlib": "#2c3e50", "faiss": "#27ae60", "usearch": "#8e44ad", "symphonyqg": "#d68910", "hannoy": "#2980b9"}
    low, high = 0.88, 1.0
    fastest = max(rate for points in curves.values() for _, rate in points)
    slowest = min(rate for points in curves.values() for recall, rate in points if recall >= low)
    x = lambda recall: left + (recall - low) / (high - low) * (width - left - 130)
    y = lambda rate: height - bottom - np.log(rate / slowest) / np.log(fastest / slowest) * (height - bottom - 20)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>']
    for recall in np.arange(0.88, 1.001, 0.02):
        out.append(f'<line x1="{x(recall):.1f}" x2="{x(recall):.1f}" y1="20" y2="{height - bottom}" stroke="#ddd"/>'
                   f'<text x="{x(recall):.1f}" y="{height - bottom + 18}" text-anchor="middle">{recall:.2f}</text>')
    for rate in [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000]:
        if slowest <= rate <= fastest:
            out.append(f'<line x1="{left}" x2="{width - 130}" y1="{y(rate):.1f}" y2="{y(rate):.1f}" stroke="#ddd"/>'
                       f'<text x="{left - 6}" y="{y(rate) + 4:.1f}" text-anchor="end">{rate:,}</text>')
    for place, (name, points) in enumerate(curves.items()):
        shown = [(recall, rate) for recall, rate in sorted(points) if recall >= low]
        line = " ".join(f"{x(recall):.1f},{y(rate):.1f}" for recall, rate in shown)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colours[name]}" stroke-width="2"/>')
        out += [f'<circle cx="{x(recall):.1f}" cy="{y(rate):.1f}" r="3" fill="{colours[name]}"/>' for recall, rate in shown]
        out.append(f'<text x="{width - 120}" y="{40 + 20 * place}" fill="{colours[name]}">{name}</text>')
    out.append(f'<text x="{(left + width - 130) / 2}" y="{height - 12}" text-anchor="middle">recall@10</text>')
    out.append(f'<text x="14" y="{height / 2}" transform="rotate(-90 14 {height / 2})" text-anchor="middle">queries a second, one thread</text></svg>')
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n")


def main():
    folder, binary = sys.argv[1:3]
    vectors = np.fromfile(f"{folder}/vectors.f32", dtype="<f4").reshape(-1, DIMENSION)
    base, queries = np.ascontiguousarray(vectors[:COUNT]), np.ascontiguousarray(vectors[COUNT:])
    if not os.path.exists(f"{folder}/truth.i32"):
        truth = np.concatenate([np.argsort(-(part @ base.T), axis=1, kind="stable")[:, :K] for part in np.array_split(queries, 20)])
        truth.astype(np.int32).tofile(f"{folder}/truth.i32")
    truth = np.fromfile(f"{folder}/truth.i32", dtype=np.int32).reshape(-1, K)
    if not os.path.exists(f"{folder}/contex"):
        print(subprocess.run([binary, "insert", f"{folder}/contex", f"{folder}/vectors.f32", str(COUNT)], check=True, capture_output=True, text=True).stdout)

    peers = []
    for kind in (Hnswlib, Faiss, Usearch, SymphonyQG, Hannoy):
        if sys.argv[3:] and kind.name not in sys.argv[3:]:
            continue
        try:
            peers.append(kind(folder, base))
            print(f"{kind.name}: {peers[-1].rate or 0:.0f} vectors a processor second, {peers[-1].bytes() / 1e6:.0f} MB", flush=True)
        except Exception as error:
            print(f"{kind.name} takes no part: {error}", flush=True)
    measured = {}
    for _ in range(3):
        for ef in Peer.efs:
            for name, point in [("contex", contex(binary, folder, [ef])[ef])]:
                measured.setdefault((name, ef), []).append(point)
            for peer in peers:
                ids, rate = peer.measure(queries, ef)
                recall = np.mean([len(set(a.tolist()) & set(b.tolist())) for a, b in zip(ids, truth)]) / K
                measured.setdefault((peer.name, ef), []).append((recall, rate))
    curves = {}
    for (name, ef), points in measured.items():
        point = (float(statistics.median(p[0] for p in points)), float(statistics.median(p[1] for p in points)))
        curves.setdefault(name, []).append(point)
        print(f"{name:12} ef {ef:4} recall {point[0]:.4f} {point[1]:8.0f}/s")
    with open(f"{folder}/curves.json", "w") as out:
        json.dump(curves, out)
    base_rates = [at_recall(curves["hnswlib"], wanted) for wanted in (0.95, 0.99)]
    for name, points in curves.items():
        rates = [at_recall(points, wanted) for wanted in (0.95, 0.99)]
        print(name, *(f"{rate:.0f}/s ({rate / of:.2f} x hnswlib)" if rate and of else "-" for rate, of in zip(rates, base_rates)))
    svg(curves, f"{folder}/curves.svg")


main()
