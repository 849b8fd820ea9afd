"""What standing needs cost a publish: documents with vectors of their own published one by one into two projects of one server that have the same
documents, one without needs and one with each number of --needs in turn; in turns of 25, so that the ratios are of one machine and one moment. Needs
are real sentences, three an agent.

Then the same by --clients at once, where 20 further agents ask for everything and are told of each publish; registering an agent with three needs that
the model has embedded before (with fsync); how many agents a document reaches; the start of a server with all those needs, its private memory, and what
a need takes of the disk; and scoring all needs by numpy over float32 (one matrix product, and the words by lists) in one process of its own.

Documents are abstracts (scifact of the shared sets), needs the sentences of other abstracts (scifact, cacm) and the synopses of Debian's packages
(`apt-cache dumpavail`), in a seeded order. Where more are wanted than there are, they are made of the first half of one and the second of another. With
--short documents are synopses too: then a document reaches one agent in a hundred, and it is telling them that costs. With --data a folder is kept, and
the next run goes on with what it has: the needs of a run are the same whenever its --documents and --publishes are.

--given 10000 embeds so many needs only, and makes every further one of two of them: the first half of one text and the second of the other, and the
vector .9 of one and .436 of the other, at unit length. So a hundred thousand are there in the time of applying them (needs_journal.py): each number of
needs in a folder of its own, which the server's own apply has filled from a journal.
"""
import argparse
import collections
import importlib.util
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import needs_journal
import support
from support import DATA, MODEL, NO_ANSWERS, Connection, Server

# With needs and without.
PROJECT, PLAIN = "routing", "plain"
# Agents that are told of everything while several clients publish.
TOLD = 20


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


def lengthened(needs, count, generator):
    """As many as are wanted: halves of two."""
    known = set(needs)
    halves = [need.split() for need in needs]
    while len(needs) < count:
        first, second = generator.choice(halves), generator.choice(halves)
        made = " ".join(first[:(len(first) + 1) // 2] + second[len(second) // 2:])
        if made not in known:
            known.add(made)
            needs.append(made)
    return needs


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

    def document(self, project, text, vector):
        self.published += 1
        return {"project_id": project, "data_key": f"d{self.published}", "data": {"text": text}, "vector": vector}

    def fill(self, project, texts, vectors):
        for start in range(0, len(texts), 500):
            batch = [self.document(project, *pair) for pair in zip(texts[start:start + 500], vectors[start:start + 500])]
            assert self.call("POST", "/api/v1/batch/publish", batch)["failed"] == 0

    def publish(self, project, texts, vectors):
        """Milliseconds of each, by one client."""
        times = []
        for pair in zip(texts, vectors):
            body = json.dumps(self.document(project, *pair)).encode()
            started = time.perf_counter()
            answer = self.connection.call("POST", "/api/v1/data/publish", body)
            times.append((time.perf_counter() - started) * 1000)
            expect(answer)
        return times

    def publish_both(self, texts, vectors):
        """Milliseconds of each in the project with needs, and in the one without; and the processor's milliseconds of a publish in either."""
        times, used = {PROJECT: [], PLAIN: []}, {PROJECT: 0, PLAIN: 0}
        for start in range(0, len(texts), 25):
            for project in times:
                before = self.server.processor_seconds()
                times[project] += self.publish(project, texts[start:start + 25], vectors[start:start + 25])
                used[project] += self.server.processor_seconds() - before
        return times[PROJECT], times[PLAIN], 1000 * used[PROJECT] / len(texts), 1000 * used[PLAIN] / len(texts)

    def publish_at_once(self, project, texts, vectors, clients):
        """Publishes a second."""
        bodies = [json.dumps(self.document(project, *pair)).encode() for pair in zip(texts, vectors)]
        failures = []

        def work(own):
            connection = Connection(self.server.http_port, timeout=3600)
            for body in own:
                if connection.call("POST", "/api/v1/data/publish", body).status != 200:
                    failures.append(1)
        threads = [threading.Thread(target=work, args=(bodies[place::clients],)) for place in range(clients)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        return len(bodies) / (time.perf_counter() - started)

    def tell_everything(self, needs):
        for place, need in enumerate(needs):
            self.call("POST", "/api/v1/agents/register", {"agent_id": f"told{place}", "project_id": PROJECT, "data_needs": [need],
                                                          "response_format": "json", "mode": "semantic", "min_similarity": 0, "top_k": 1})

    def tell_no_more(self, needs):
        for place in range(len(needs)):
            self.call("DELETE", f"/api/v1/projects/{PROJECT}/agents/told{place}")

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


class GivenNeeds:
    """Needs of which the first are embedded, and the others are mixed of two of these."""

    def __init__(self, needs, embedded, count, generator):
        self.base = needs[:embedded]
        halves = [need.split() for need in self.base]
        self.texts, self.pairs, known = list(self.base), [(place, place) for place in range(len(self.base))], set(self.base)
        while len(self.texts) < count:
            first, second = generator.randrange(len(halves)), generator.randrange(len(halves))
            made = " ".join(halves[first][:(len(halves[first]) + 1) // 2] + halves[second][len(halves[second]) // 2:])
            if first != second and made not in known:
                known.add(made)
                self.texts.append(made)
                self.pairs.append((first, second))
        self.vectors = None

    def embed(self):
        import numpy
        with Server(environment=NO_ANSWERS) as server:
            self.vectors = numpy.array(Bench(server).embed(self.base), dtype=numpy.float32)

    def rows(self, start, end):
        """Vectors, each as the bytes of its floats."""
        import numpy
        pairs = numpy.array(self.pairs[start:end])
        rows = 0.9 * self.vectors[pairs[:, 0]] + 0.436 * self.vectors[pairs[:, 1]]
        rows /= numpy.linalg.norm(rows, axis=1, keepdims=True)
        return [row.astype("<f4").tobytes() for row in rows]

    def make(self, folder, count):
        """Agents a second of applying the journal."""
        print(f"making {count} needs ...", file=sys.stderr, flush=True)
        return (count + 2) // 3 / needs_journal.make(folder, PROJECT, self.texts[:count], self.rows)


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
    parser.add_argument("--needs", default="1000,10000", help="how many, in turn")
    parser.add_argument("--documents", type=int, default=1000, help="that each project has before")
    parser.add_argument("--publishes", type=int, default=300, help="that are timed for each number of needs")
    parser.add_argument("--clients", type=int, default=8, help="that publish at once")
    parser.add_argument("--short", action="store_true", help="documents of one line")
    parser.add_argument("--data", help="a folder for the server's data, kept and used again")
    parser.add_argument("--given", type=int, default=0, help="needs that are embedded, the others are mixed of them")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.needs.split(",")]
    for module in ("numpy", "lmdb", "crc32c") if arguments.given else ("numpy",):
        if importlib.util.find_spec(module) is None:
            print(f"FAILED: {module} is what this is measured with: python3 -m pip install {module}", file=sys.stderr)
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
    real = len(needs)
    needs = lengthened(needs, 90 + TOLD + (arguments.given or max(counts)), generator)
    told, spare, needs = needs[:TOLD], needs[TOLD:90 + TOLD], needs[90 + TOLD:]
    given = GivenNeeds(needs, min(arguments.given, real), max(counts), generator) if arguments.given else None
    command = " ".join(["tools/proof routing", *sys.argv[1:]])
    print(f"`{command}` (seed {arguments.seed}, {os.cpu_count()} cores, model {os.path.basename(MODEL)}, {real} real sentences)\n", flush=True)
    print(f"| needs | publish p50 ms | p95 | p99 | without needs p50 | ratio | processor ms | without | told | {arguments.clients} clients, {TOLD} told, "
          "publishes/s | without needs | ratio | register 3 cached, p50 ms | agents/s in batches | numpy, all needs, ms |")
    print("|" + "---|" * 15, flush=True)
    folder = arguments.data and os.path.abspath(arguments.data)
    if given:
        given.embed()
        with tempfile.TemporaryDirectory(prefix="contex-routing-") as place:
            for count in counts:
                own = os.path.join(folder or place, f"needs-{count}")
                rate = 0 if os.path.exists(own) else given.make(own, count)
                run(arguments, own, [count], documents, given.texts, told, spare, known=count, rate=rate)
                if not folder:
                    shutil.rmtree(own)
    else:
        run(arguments, folder, counts, documents, needs, told, spare)
    return 0


def run(arguments, folder, counts, documents, needs, told, spare, known=0, rate=0):
    """One server, for each number of needs a row.

    `known`: so many needs are in the folder, and no document.
    """
    mark = folder and folder.rstrip("/") + ".needs"
    is_old = bool(mark) and os.path.exists(mark)
    with Server(folder, environment=NO_ANSWERS) as server:
        bench = Bench(server)
        vectors = bench.embed(documents)
        registered = known
        if is_old:
            with open(mark) as noted:
                registered, bench.published = map(int, noted.read().split())
        else:
            for project in PROJECT, PLAIN:
                bench.fill(project, documents[:arguments.documents], vectors[:arguments.documents])
        bench.agents = (registered + 2) // 3
        fresh, own = documents[arguments.documents:], vectors[arguments.documents:]
        for project in PLAIN, PROJECT:
            bench.publish(project, fresh[:50], own[:50])
        for count in counts:
            if count > registered:
                rate = bench.register(needs[registered:count])
            registered = max(registered, count)
            times, plain, used, used_plain = bench.publish_both(fresh, own)
            reached = bench.reached(fresh[:20], own[:20])
            single = bench.register_one(spare)
            bench.tell_everything(told)
            at_once = bench.publish_at_once(PROJECT, fresh, own, arguments.clients)
            bench.tell_no_more(told)
            at_once_plain = bench.publish_at_once(PLAIN, fresh, own, arguments.clients)
            numpy_times = by_numpy(needs[:count], fresh[:20]) if count else [0]
            middle, none = percentile(times, 0.5), percentile(plain, 0.5)
            print(f"| {count} | {middle:.2f} | {percentile(times, .95):.2f} | {percentile(times, .99):.2f} | {none:.2f} | {middle / none:.2f} x | "
                  f"{used:.2f} | {used_plain:.2f} | {reached:.1f} | {at_once:.0f} | {at_once_plain:.0f} | {at_once / at_once_plain:.2f} x | "
                  f"{percentile(single, .5):.2f} | {rate:.0f} | {percentile(numpy_times, .5):.2f} |", flush=True)
            if mark:
                with open(mark, "w") as noted:
                    noted.write(f"{registered} {bench.published + 100_000}")
        private = server.beyond_the_store_kilobytes() / 1024
        server.stop()
        started = time.perf_counter()
        server.start()
        took = time.perf_counter() - started
        print(f"\nStart with all of them to GET /health: {took:.2f} s; resident beyond the store then {server.beyond_the_store_kilobytes() / 1024:.0f} MB "
              f"(anonymous {server.resident_kilobytes()['RssAnon'] / 1024:.0f} MB), before the stop {private:.0f} MB.", flush=True)
        server.stop()
        printed = subprocess.run([support.BINARY, "stats", "--data-dir", server.data_dir, "--json"], capture_output=True, check=True)
        kinds = {kind["kind"]: kind["disk_bytes"] / max(1, registered) for kind in json.loads(printed.stdout)["kinds"]}
        print("On the disk, bytes a need: " + ", ".join(
            f"{kind} {size:.0f}" for kind, size in sorted(kinds.items(), key=lambda entry: -entry[1]) if "need" in kind.lower() or "agent" in kind.lower())
            + ".\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
