"""What standing needs cost a publish: documents with vectors of their own published one by one, with no need in the project, then with each number
of --needs in turn, all in one server and one run, so that the ratios are of one machine and one moment. Needs are real sentences, three an agent.

Beside it: registering an agent with three needs that the model has embedded before (with fsync), how many agents a document reaches, the start
of a server with all those needs, and scoring all needs by numpy over float32 (one matrix product, and the words by lists) in one process of its own.

Documents are abstracts (scifact of the shared sets), needs the sentences of other abstracts (scifact, cacm) and the synopses of Debian's packages
(`apt-cache dumpavail`), in a seeded order. With --short documents are synopses too: then a document reaches one agent in a hundred, and it is telling
them that costs.
"""
import argparse
import collections
import importlib.util
import json
import math
import os
import random
import re
import subprocess
import sys
import time

from support import DATA, MODEL, Connection, Server

PROJECT = "routing"


def synopses():
    """In the order of the package list."""
    listing = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=True).stdout.decode(errors="replace")
    return re.findall(r"^Description(?:-en)?: (.+)$", listing, re.MULTILINE)


def abstracts(name):
    with open(DATA / "retrieval" / name / "corpus.jsonl") as lines:
        return [" ".join(str(json.loads(line).get("text", "")).split()) for line in lines]


def sentences(texts):
    """Each once."""
    pieces = (piece.strip() for text in texts for piece in re.split(r"(?<=[.!?])\s", text))
    return list(dict.fromkeys(piece for piece in pieces if 25 <= len(piece) <= 250))


def expect(answer):
    assert answer.status == 200, answer
    return answer.json


class Bench:
    def __init__(self, server):
        self.server = server
        self.connection = Connection(server.http_port, timeout=3600)
        self.published = 0
        self.agents = 0

    def call(self, method, path, body=None):
        return expect(self.connection.call(method, path, body))

    def embed(self, texts):
        vectors = []
        for start in range(0, len(texts), 1000):
            answer = self.call("POST", "/api/v1/embeddings", {"input": texts[start:start + 1000]})
            vectors += [entry["embedding"] for entry in answer["data"]]
        return vectors

    def document(self, text, vector):
        self.published += 1
        return {"project_id": PROJECT, "data_key": f"d{self.published}", "data": {"text": text}, "vector": vector}

    def fill(self, texts, vectors):
        for start in range(0, len(texts), 500):
            batch = [self.document(*pair) for pair in zip(texts[start:start + 500], vectors[start:start + 500])]
            assert self.call("POST", "/api/v1/batch/publish", batch)["failed"] == 0

    def publish(self, texts, vectors):
        """Milliseconds of each, by one client."""
        times = []
        for pair in zip(texts, vectors):
            body = json.dumps(self.document(*pair)).encode()
            started = time.perf_counter()
            answer = self.connection.call("POST", "/api/v1/data/publish", body)
            times.append((time.perf_counter() - started) * 1000)
            expect(answer)
        return times

    def register(self, needs):
        """Many, three needs each; agents a second."""
        started, before = time.perf_counter(), self.agents
        for start in range(0, len(needs), 3000):
            batch = []
            for place in range(start, min(start + 3000, len(needs)), 3):
                self.agents += 1
                batch.append({"agent_id": f"a{self.agents}", "project_id": PROJECT, "data_needs": needs[place:place + 3], "response_format": "json"})
            assert self.call("POST", "/api/v1/batch/register", batch)["failed"] == 0
        return (self.agents - before) / max(time.perf_counter() - started, 1e-9)

    def register_one(self, needs):
        """Milliseconds of registering needs that are not there, but whose vectors are remembered."""
        times = []
        for place in range(0, len(needs), 3):
            body = {"agent_id": "one", "project_id": PROJECT, "data_needs": needs[place:place + 3], "response_format": "json"}
            for is_timed in (False, True):
                started = time.perf_counter()
                self.call("POST", "/api/v1/agents/register", body)
                if is_timed:
                    times.append((time.perf_counter() - started) * 1000)
                self.call("DELETE", f"/api/v1/projects/{PROJECT}/agents/one")
        return times

    def reached(self, texts, vectors):
        """Agents that a document reaches, on average."""
        counts = []
        for text, vector in zip(texts, vectors):
            answer = self.call("POST", f"/api/v1/projects/{PROJECT}/match", {"data": {"text": text}, "vector": vector})
            counts.append(len(answer["agents"]))
        return sum(counts) / max(1, len(counts))


def percentile(times, share):
    times = sorted(times)
    return times[min(len(times) - 1, int(share * len(times)))]


def by_numpy(needs, texts, dimension=384):
    """Milliseconds of scoring every need for each text: cosines by one product of float32, words by lists of the texts' terms. The vectors are made up:
    a product takes as long whatever is in it."""
    import numpy
    generator = numpy.random.default_rng(7)
    matrix = generator.standard_normal((len(needs), dimension), dtype=numpy.float32)
    lists, lengths = collections.defaultdict(list), numpy.zeros(len(needs), numpy.float32)
    for number, need in enumerate(needs):
        for word in set(re.findall(r"\w+", need.lower())):
            lists[word].append(number)
            lengths[number] += 1
    lists = {word: numpy.array(numbers) for word, numbers in lists.items()}
    times = []
    for text in texts:
        vector = generator.standard_normal(dimension, dtype=numpy.float32)
        started = time.perf_counter()
        scores = matrix @ vector
        words = numpy.zeros(len(needs), numpy.float32)
        for word in set(re.findall(r"\w+", text.lower())):
            if word in lists:
                words[lists[word]] += math.log(len(needs) / len(lists[word]))
        evidence = words / 30 + 0.35 * words / numpy.maximum(lengths, 1)
        found = numpy.flatnonzero(8 * scores + 6.65 * evidence / (1 + evidence / 2.2) > 400)
        times.append((time.perf_counter() - started) * 1000)
        assert len(found) >= 0
    return times


def main():
    parser = argparse.ArgumentParser(prog="tools/proof routing", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--needs", default="0,1000,10000", help="how many, in turn; real sentences, as many as there are")
    parser.add_argument("--documents", type=int, default=1000, help="that the project has before")
    parser.add_argument("--publishes", type=int, default=300, help="that are timed for each number of needs")
    parser.add_argument("--short", action="store_true", help="documents of one line")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.needs.split(",")]
    if importlib.util.find_spec("numpy") is None:
        print("FAILED: numpy is what this is measured beside: python3 -m pip install numpy", file=sys.stderr)
        return 2
    generator = random.Random(arguments.seed)
    wanted = arguments.documents + arguments.publishes
    papers, lines = abstracts("scifact"), synopses()
    generator.shuffle(papers)
    if arguments.short:
        generator.shuffle(lines)
        documents, lines = lines[:wanted], lines[wanted:]
    else:
        documents, papers = papers[:wanted], papers[wanted:]
    needs = sentences(papers + abstracts("cacm") + lines)
    generator.shuffle(needs)
    assert len(needs) >= max(counts) + 90, f"there are {len(needs)} sentences for needs"
    spare, needs = needs[:90], needs[90:]
    command = " ".join(["tools/proof routing", *sys.argv[1:]])
    print(f"`{command}` (seed {arguments.seed}, {os.cpu_count()} cores, model {os.path.basename(MODEL)})\n", flush=True)
    print("| needs | publish p50 ms | p95 | p99 | against none | told | numpy, all needs, ms | register 3 cached, p50 ms | agents/s in batches |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    with Server() as server:
        bench = Bench(server)
        vectors = bench.embed(documents)
        bench.fill(documents[:arguments.documents], vectors[:arguments.documents])
        fresh, own = documents[arguments.documents:], vectors[arguments.documents:]
        bench.publish(fresh[:50], own[:50])
        none, registered = None, 0
        for count in counts:
            rate = bench.register(needs[registered:count]) if count > registered else 0
            registered = max(registered, count)
            times = bench.publish(fresh, own)
            middle = percentile(times, 0.5)
            none = none or middle
            told = bench.reached(fresh[:20], own[:20])
            numpy_times = by_numpy(needs[:count], fresh[:20]) if count else [0]
            single = bench.register_one(spare)
            print(f"| {count} | {middle:.2f} | {percentile(times, .95):.2f} | {percentile(times, .99):.2f} | {middle / none:.2f} x | {told:.1f} | "
                  f"{percentile(numpy_times, .5):.2f} | {percentile(single, .5):.2f} | {rate:.0f} |", flush=True)
        anonymous = server.resident_kilobytes()["RssAnon"] / 1024
        server.stop()
        started = time.perf_counter()
        server.start()
        print(f"\nStart with all of them to GET /health: {time.perf_counter() - started:.2f} s; anonymous memory then "
              f"{server.resident_kilobytes()['RssAnon'] / 1024:.0f} MB, before the stop {anonymous:.0f} MB.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
