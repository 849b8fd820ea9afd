#!/usr/bin/env python3
"""Recall and speed of Contex's index out of LMDB beside other libraries, one thread, in one run.

    compare.py build FOLDER CONTEX [peer ...]     makes what is missing of the truth, the store and the peers' indexes
    compare.py measure FOLDER CONTEX [peer ...]   one round: every library at one point of its curve, then every library at the next
    compare.py cold FOLDER                        hannoy's first queries with its file dropped from the page cache
    compare.py report FOLDER                      medians of all rounds: FOLDER/curves.json, a table, FOLDER/curves.svg

FOLDER has vectors.f32 (texts.py, EmbedTexts), CONTEX is the VectorBenchmark binary. The first 100,000 vectors (or COUNT of the environment) are
indexed, the others are the queries; the truth is computed exactly. Indexes are kept in FOLDER, rounds are added to FOLDER/rounds.jsonl.
Seconds are those of the process on a processor, so that other work on the machine does not count twice. hnswlib, faiss, usearch
and SymphonyQG (rabitqlib) hold their index in memory; hannoy's is in LMDB, like ours.
"""
import ctypes
import json
import mmap
import os
import statistics
import subprocess
import sys
import time

# Before the libraries are loaded: one thread for each.
os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

DIMENSION, K = 384, 10
COUNT = int(os.environ.get("COUNT", 100_000))


EFS = [12, 16, 24, 32, 48, 100, 150, 220]


def exact(base, queries, nearest=K):
    """Numbers and cosines of the nearest of each query, best first."""
    cosines = np.full((len(queries), nearest), -2, dtype=np.float32)
    numbers = np.zeros((len(queries), nearest), dtype=np.int32)
    for first in range(0, len(base), 50_000):
        part = queries @ np.asarray(base[first:first + 50_000]).T
        best = np.argpartition(-part, nearest, axis=1)[:, :nearest]
        both = np.concatenate([cosines, np.take_along_axis(part, best, axis=1)], axis=1)
        order = np.argsort(-both, axis=1, kind="stable")[:, :nearest]
        numbers = np.take_along_axis(np.concatenate([numbers, (best + first).astype(np.int32)], axis=1), order, axis=1)
        cosines = np.take_along_axis(both, order, axis=1)
    return numbers, cosines


class Peer:
    """Built once, then loaded from its file."""

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
        """The answers' ids, and queries a second: a pass to warm up, then the median of three. VectorBenchmark does the same with five."""
        self.set(ef)
        ids = self.search(queries, ef)
        rates = []
        for _ in range(3):
            start = time.process_time()
            self.search(queries, ef)
            rates.append(len(queries) / (time.process_time() - start))
        return ids, statistics.median(rates)

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

    def database(self):
        import hannoy
        return hannoy.Database(self.path, hannoy.Metric.COSINE, env_size=1 << 31)

    def build(self):
        os.makedirs(self.path)
        database = self.database()
        # The graph is built and committed when the writer is left.
        with database.writer(DIMENSION, m=16, ef=200) as writer:
            writer.add_items(np.arange(COUNT, dtype=np.uint32), self.base)
        self.reader = database.reader()

    def save(self):
        pass

    def load(self):
        self.reader = self.database().reader()

    def search(self, queries, ef):
        ids = np.empty((len(queries), K), dtype=np.uint32)
        self.reader.by_array(queries, n=K, ef_search=ef, out=(ids, np.empty((len(queries), K), dtype=np.float32)))
        return ids




PEERS = [Hnswlib, Faiss, Usearch, SymphonyQG, Hannoy]


def data(folder):
    """Base and queries."""
    vectors = np.fromfile(f"{folder}/vectors.f32", dtype="<f4").reshape(-1, DIMENSION)
    return np.ascontiguousarray(vectors[:COUNT]), np.ascontiguousarray(vectors[COUNT:])


def peers(folder, base, names):
    for kind in PEERS:
        if names and kind.name not in names:
            continue
        try:
            yield kind(folder, base)
        except ImportError as error:
            print(f"{kind.name} takes no part: {error}", flush=True)


def build(folder, binary, names):
    base, queries = data(folder)
    if not os.path.exists(f"{folder}/truth.i32"):
        exact(base, queries)[0].tofile(f"{folder}/truth.i32")
    if not os.path.exists(f"{folder}/contex"):
        subprocess.run([binary, "insert", f"{folder}/contex", f"{folder}/vectors.f32", str(COUNT)], check=True)
    for peer in peers(folder, base, names):
        print(f"{peer.name}: {peer.rate or 0:.0f} vectors a processor second, {peer.bytes() / 1e6:.0f} MB", flush=True)


def contex(folder, binary, ef):
    """Recall and queries a second."""
    command = [binary, "search", f"{folder}/contex", f"{folder}/vectors.f32", str(COUNT), f"{folder}/truth.i32", str(ef)]
    line = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return line["recall"], line["perSecond"]


def measure(folder, binary, names):
    base, queries = data(folder)
    truth = np.fromfile(f"{folder}/truth.i32", dtype=np.int32).reshape(-1, K)
    others = list(peers(folder, base, names))
    lines = []
    for ef in EFS:
        recall, rate = contex(folder, binary, ef)
        lines.append({"name": "contex", "ef": ef, "recall": recall, "perSecond": rate})
        for peer in others:
            ids, rate = peer.measure(queries, ef)
            recall = float(np.mean([len(set(a.tolist()) & set(b.tolist())) for a, b in zip(ids, truth)]) / K)
            lines.append({"name": peer.name, "ef": ef, "recall": recall, "perSecond": rate})
        print(f"efSearch {ef} of {EFS[-1]} measured", flush=True)
    with open(f"{folder}/rounds.jsonl", "a") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)


def resident(path):
    """Bytes of a file in the page cache."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        pages = (ctypes.c_ubyte * ((len(mapped) + 4095) // 4096))()
        start = ctypes.c_char.from_buffer(mapped)
        ctypes.CDLL(None).mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(len(mapped)), pages)
        del start
        return 4096 * sum(page & 1 for page in pages)


def cold(folder):
    """Each query in a process of its own, which opens the database after its file was dropped from the page cache."""
    import hannoy  # so that only opening and searching are timed
    base, queries = data(folder)
    path = f"{folder}/{Hannoy.name}.index"
    for ef in (24, 32):
        lines = []
        for query in queries[:100]:
            with open(f"{path}/data.mdb", "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            assert resident(f"{path}/data.mdb") < 1 << 16, "the file stays in the page cache: another process has it open"
            come, go = os.pipe()
            child = os.fork()
            if child == 0:
                start = time.perf_counter()
                reader = hannoy.Database(path, hannoy.Metric.COSINE, env_size=1 << 31).reader()
                opened = time.perf_counter()
                reader.by_array(query, n=K, ef_search=ef)
                os.write(go, json.dumps([1e3 * (opened - start), 1e3 * (time.perf_counter() - opened)]).encode())
                os._exit(0)
            os.close(go)
            with os.fdopen(come) as answer:
                lines.append(json.loads(answer.read()) + [resident(f"{path}/data.mdb") / 1e6])
            os.waitpid(child, 0)
        opening, searching, read = np.array(lines).T
        both = opening + searching
        print(json.dumps({
            "command": "cold", "name": "hannoy", "ef": ef, "queries": len(lines), "openP50": np.median(opening), "queryP50": np.median(searching),
            "queryP95": np.percentile(searching, 95), "bothP50": np.median(both), "bothP95": np.percentile(both, 95), "megabytesRead": np.median(read)}))


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
    fastest = max(rate for points in curves.values() for recall, rate in points if recall >= low)
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


def report(folder):
    with open(f"{folder}/rounds.jsonl") as file:
        lines = [json.loads(line) for line in file]
    names = list(dict.fromkeys(line["name"] for line in lines))
    rounds = min(sum(line["name"] == name and line["ef"] == EFS[0] for line in lines) for name in names)
    print(f"medians of {rounds} rounds, (lowest to highest)")
    curves = {}
    for name in names:
        for ef in EFS:
            points = [(line["recall"], line["perSecond"]) for line in lines if line["name"] == name and line["ef"] == ef]
            rates = [rate for _, rate in points]
            point = (statistics.median(recall for recall, _ in points), statistics.median(rates))
            curves.setdefault(name, []).append(point)
            print(f"{name:12} efSearch {ef:4} recall {point[0]:.4f} {point[1]:8.0f}/s ({min(rates):.0f} to {max(rates):.0f})")
    with open(f"{folder}/curves.json", "w") as out:
        json.dump(curves, out)
    of = [at_recall(curves["hnswlib"], wanted) for wanted in (0.95, 0.99)]
    for name, points in curves.items():
        rates = [at_recall(points, wanted) for wanted in (0.95, 0.99)]
        print(f"{name:12} at .95, .99:", *(f"{rate:.0f}/s ({rate / base:.2f} x hnswlib)" if rate and base else "-" for rate, base in zip(rates, of)))
    svg(curves, f"{folder}/curves.svg")


def main():
    command, folder = sys.argv[1:3]
    if command in ("build", "measure"):
        {"build": build, "measure": measure}[command](folder, sys.argv[3], sys.argv[4:])
    else:
        {"cold": cold, "report": report}[command](folder)


if __name__ == "__main__":
    main()
