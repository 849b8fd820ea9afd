"""What stands anywhere in a long text is found as if it stood alone: questions of a set against long texts that hold its answers.

Two projects have the same 2,000 short documents. One also has each answer as a document of its own; the other has it inside a long text
of 5 to 50 documents of the sets, in its first, middle or last third. A question counts as found when its answer, or the long text
with it, is among the first three matches at the server's default threshold. Routing: every question is a need, documents come one by one, F1 over
all pairs of need and document.
"""
import argparse
import random
import sys
import time

from proof_retrieval import read
from support import DATA, NO_ANSWERS, Connection, Server

JOINTS = {"paragraphs": "\n\n", "lines": "\n", "spaces": " "}
PLACES = ["first third", "middle third", "last third"]


def text_of(record):
    return (record.get("title", "") + ". " + record["text"]).strip(". ") + "."


class Material:
    """Questions with their answers, and what stands around them: answers of no question of the sets."""

    def __init__(self, names, count, seed):
        self.random = random.Random(seed)
        pairs, others = [], []
        for name in names:
            corpus, queries, judgements = read(name)
            records = {record["_id"]: record for record in corpus}
            wanted = {document for judged in judgements.values() for document, score in judged.items() if score > 0}
            for query, judged in judgements.items():
                answers = [document for document, score in judged.items() if score > 0]
                if answers:
                    pairs.append((queries[query].replace('"', " "), text_of(records[self.random.choice(answers)])))
            others += [text_of(record) for record in corpus if record["_id"] not in wanted]
        self.random.shuffle(pairs)
        self.random.shuffle(others)
        seen = set()
        self.pairs = [pair for pair in pairs if not (pair[1] in seen or seen.add(pair[1]))][:count]
        self.others = others

    def take(self, count):
        """Others, over and over when there are not enough."""
        taken = []
        while len(taken) < count:
            taken.append(self.others.pop(0))
            self.others.append(taken[-1])
        return taken


def publish(connection, project, documents, batch):
    started = time.perf_counter()
    for start in range(0, len(documents), batch):
        body = [{"project_id": project, "data_key": key, "data": data} for key, data in documents[start:start + batch]]
        answer = connection.call("POST", "/api/v1/batch/publish", body)
        assert answer.status == 200 and answer.json["failed"] == 0, answer
        print(f"\r{project}: {min(start + batch, len(documents))} of {len(documents)} published", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return time.perf_counter() - started


def register(connection, project, needs):
    for start in range(0, len(needs), 100):
        body = [{"project_id": project, "agent_id": f"{project}{number}", "data_needs": [need]}
                for number, need in enumerate(needs[start:start + 100], start)]
        answer = connection.call("POST", "/api/v1/batch/register", body)
        assert answer.status == 200 and answer.json["failed"] == 0, answer


def f1(connection, project, count):
    """Of the documents that agents follow: each needs the one with its own number, and nothing else."""
    hits = told = 0
    for number in range(count):
        answer = connection.call("GET", f"/api/v1/agents/{project}{number}/status")
        assert answer.status == 200, answer
        documents = {key.split(".")[0] for key in answer.json["data_keys"]}
        told += len(documents)
        hits += f"answer{number}" in documents
    return 2 * hits / (told + count)


def found(connection, project, questions):
    """Which of the questions have their answer among the first three, and the latency in the middle."""
    outcomes, times = [], []
    for number, question in enumerate(questions):
        started = time.perf_counter()
        answer = connection.call("POST", f"/api/v1/projects/{project}/query", {"query": question, "top_k": 3, "response_format": "json"})
        times.append(time.perf_counter() - started)
        assert answer.status == 200, answer
        outcomes.append(any(match["data_key"].split(".")[0] == f"answer{number}" for match in answer.json["matches"]))
    return outcomes, sorted(times)[len(times) // 2]


def main():
    parser = argparse.ArgumentParser(prog="tools/proof passages", description=__doc__.split("\n\n")[0])
    parser.add_argument("--set", action="append", dest="sets", help="default: all four; may be given several times")
    parser.add_argument("--needles", type=int, default=300)
    parser.add_argument("--short", type=int, default=2_000)
    parser.add_argument("--joint", choices=JOINTS, default="paragraphs", help="what stands between the documents of a long text")
    parser.add_argument("--largest", type=int, default=50, help="documents in a long text at most")
    parser.add_argument("--routing", action="store_true", help="also register the questions as needs, before anything is published")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if not (DATA / "retrieval").is_dir():
        print(f"FAILED: no {DATA}/retrieval; CONTEX_TEST_DATA names the folder of shared fixtures", file=sys.stderr)
        return 1
    material = Material(arguments.sets or ["scifact", "cacm", "bfcl-static", "cosqa-dev"], arguments.needles, arguments.seed)
    questions = [question for question, _ in material.pairs]
    short = [(f"short{number}", {"text": text}) for number, text in enumerate(material.take(arguments.short))]
    alone = [(f"answer{number}", {"text": text}) for number, (_, text) in enumerate(material.pairs)]
    inside, places = [], []
    for number, (_, text) in enumerate(material.pairs):
        count = material.random.randint(5, arguments.largest)
        parts = material.take(count - 1)
        place = number % len(PLACES)
        at = material.random.randint(place * (count - 1) // 3, (place + 1) * (count - 1) // 3)
        places.append(place)
        inside.append((f"answer{number}", {"text": JOINTS[arguments.joint].join(parts[:at] + [text] + parts[at:])}))
    with Server(environment=NO_ANSWERS) as server:
        connection = Connection(server.http_port, timeout=3600)
        rows = {}
        for project, documents in (("alone", alone), ("inside", inside)):
            if arguments.routing:
                register(connection, project, questions)
            publish(connection, project, short, 32)
            seconds = publish(connection, project, documents, 4)
            outcomes, latency = found(connection, project, questions)
            routing = f1(connection, project, len(questions)) if arguments.routing else None
            rows[project] = (outcomes, latency, routing, len(documents) / seconds)
    print(f"`{' '.join(['tools/proof passages', *sys.argv[1:]])}`: {len(questions)} questions, {arguments.short} short documents\n")
    print("| answer | found | " + " | ".join(PLACES) + " | routing F1 | p50 | published/s |")
    print("|" + "---|" * (len(PLACES) + 5))
    for project, (outcomes, latency, routing, rate) in rows.items():
        shares = [[hit for hit, at in zip(outcomes, places) if at == place] for place in range(len(PLACES))]
        cells = [f"{sum(outcomes) / len(outcomes):.3f}"] + [f"{sum(hits) / max(1, len(hits)):.3f}" for hits in shares]
        print(f"| {project} | {' | '.join(cells)} | {'-' if routing is None else f'{routing:.3f}'} | {latency * 1000:.1f} ms | {rate:.1f} |")
    ratio = sum(rows["inside"][0]) / max(1, sum(rows["alone"][0]))
    print(f"\ninside / alone: {ratio:.3f}", end="")
    print(f", routing {rows['inside'][2] / rows['alone'][2]:.3f}" if arguments.routing and rows["alone"][2] else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
