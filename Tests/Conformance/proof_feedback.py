"""What needs learn from what is said of their deliveries: queries of the shared sets are registered needs, one an agent, their documents are published in
an order that a seed chooses, and whoever is told says whether the judgements call it relevant, up to n times a need. Through the door, with vectors of
the server's own model, on a sample: --needs queries of each set, their relevant documents and others, --documents together.

Two figures for each n, F1 of all pairs of need and document together:

    stream      of what was told while the documents came: what an agent lives through, with the answers that it had given until then
    afterwards  of what is told when all documents come again, with the cuts as they were in the end; the n that were judged are among them

--grid collects the similarities of all pairs from 0.2 on and prints what other weights of the formula (Sources/Needs/NeedLesson.swift) would have come
to, and what those come to on each set that are the best on the others.
"""
import argparse
import math
import random
import sys

from proof_retrieval import read
from support import NO_ANSWERS, Connection, Server

SETS = ["scifact", "cacm", "bfcl-static", "cosqa-dev"]
# Documents that are published before anybody says anything of them.
TOGETHER = 10
LEAST = 0.2
REACH = sorted(range(-10, 21), key=lambda place: (abs(place), place))


def odds(similarity):
    kept = min(max(similarity, 0.01), 0.99)
    return math.log(kept / (1 - kept))


def shift(verdicts, wrong=16, up=1, down=4):
    """Of (log-odds over the usual cut, useful): as NeedLesson has it."""
    useful = sum(verdict for _, verdict in verdicts)
    pull = up * (len(verdicts) - useful) - down * useful

    def cost(place):
        return wrong * sum((x >= place / 8) != bool(verdict) for x, verdict in verdicts) + place * place - pull * place
    return min(REACH, key=cost) / 8


def f1(right, told, relevant):
    return 2 * right / (told + relevant) if told + relevant else 0.0


class Sample:
    def __init__(self, name, arguments):
        corpus, queries, judgements = read(name)
        generator = random.Random(arguments.seed)
        asked = sorted(query for query in judgements if query in queries)
        generator.shuffle(asked)
        asked = asked[:arguments.needs]
        relevant = [{document for document, grade in judgements[query].items() if grade > 0} for query in asked]
        wanted = set().union(*relevant)
        others = [record["_id"] for record in corpus if record["_id"] not in wanted]
        generator.shuffle(others)
        wanted |= set(others[:max(0, arguments.documents - len(wanted))])
        documents = [record for record in corpus if record["_id"] in wanted]
        generator.shuffle(documents)
        self.name, self.needs = name, [queries[query] for query in asked]
        self.texts = [f"{record.get('title', '')} {record['text']}".strip() for record in documents]
        self.pairs = {(need, place) for place, record in enumerate(documents) for need in range(len(asked)) if record["_id"] in relevant[need]}


class Round:
    """A project of its own: all documents of a sample once."""

    def __init__(self, connection, sample, vectors, project, least):
        """`least` of each need: nil is the server's."""
        self.connection, self.sample, self.vectors, self.project = connection, sample, vectors, project
        self.told, self.cursors = {}, {}
        for need, text in enumerate(sample.needs):
            body = {"agent_id": f"a{need}", "project_id": project, "data_needs": [text], "response_format": "json"}
            if least and least[need] is not None:
                body["min_similarity"] = least[need]
            self.call("POST", "/api/v1/agents/register", body)

    def call(self, method, path, body=None):
        answer = self.connection.call(method, path, body)
        assert answer.status == 200, answer
        return answer.json

    def publish(self, start):
        batch = [{"project_id": self.project, "data_key": f"d{place}", "data": {"text": self.sample.texts[place]}, "vector": self.vectors[place]}
                 for place in range(start, min(start + TOGETHER, len(self.sample.texts)))]
        assert self.call("POST", "/api/v1/batch/publish", batch)["failed"] == 0

    def fresh(self, need):
        """Sequence, document and similarity of what came since it was last asked."""
        found, more = [], True
        while more:
            query = f"?explain=true&limit=100&cursor={self.cursors[need]}" if need in self.cursors else "?explain=true&limit=100"
            page = self.call("GET", f"/api/v1/projects/{self.project}/agents/a{need}/inbox{query}")
            found += [(entry["sequence"], int(entry["data_key"][1:]), match["similarity"]) for entry in page["entries"] for match in entry["matches"]]
            self.cursors[need], more = page["cursor"], page["has_more"]
        for _, document, similarity in found:
            self.told[need, document] = similarity
        return found

    def run(self, answers):
        given = [0] * len(self.sample.needs)
        for start in range(0, len(self.sample.texts), TOGETHER):
            self.publish(start)
            for need in range(len(given)):
                for sequence, document, _ in self.fresh(need) if answers else []:
                    if given[need] < answers:
                        given[need] += 1
                        self.call("POST", f"/api/v1/projects/{self.project}/agents/a{need}/feedback",
                                  {"sequence": sequence, "useful": (need, document) in self.sample.pairs})
        for need in range(len(given)):
            self.fresh(need)
        return sum(given)

    def learned(self):
        """The cut of each need, as its agent shows it; none where it is the server's."""
        cuts = []
        for need in range(len(self.sample.needs)):
            own = self.call("GET", f"/api/v1/projects/{self.project}/agents/a{need}").get("feedback")
            cuts.append(own[0]["min_similarity"] if own else None)
        return cuts

    def f1(self):
        return f1(len(self.told.keys() & self.sample.pairs), len(self.told), len(self.sample.pairs))


def simulated(sample, similarities, answers, weights):
    """F1 afterwards, from the similarities of a round that told nearly everything."""
    right = told = 0
    for need in range(len(sample.needs)):
        own = sorted((document, odds(similarity)) for (asked, document), similarity in similarities.items() if asked == need)
        verdicts, cut = [], 0
        for document, x in own:
            if x >= cut and len(verdicts) < answers:
                verdicts.append((x, (need, document) in sample.pairs))
                cut = shift(verdicts, *weights)
        reached = [(need, document) for document, x in own if x >= cut]
        told += len(reached)
        right += len(sample.pairs.intersection(reached))
    return f1(right, told, len(sample.pairs))


def grid(collected, answers):
    names = " | ".join(sample.name for sample, _ in collected)
    print(f"\nOther weights, F1 afterwards, {answers} answers a need\n\n| wrong | up | down | {names} | mean |")
    print("|" + "---|" * (4 + len(collected)))
    rows = {}
    for weights in [(wrong, up, down) for wrong in (8, 16, 32) for up in (0, 1, 2) for down in (0, 2, 4, 6)]:
        rows[weights] = [simulated(sample, similarities, answers, weights) for sample, similarities in collected]
        values = rows[weights] + [sum(rows[weights]) / len(collected)]
        print("| " + " | ".join([*map(str, weights), *(f"{value:.3f}" for value in values)]) + " |", flush=True)
    left = []
    for place, (sample, _) in enumerate(collected):
        best = max(rows, key=lambda weights: sum(rows[weights]) - rows[weights][place])
        left.append(rows[best][place])
        print(f"\nBest without {sample.name}: {best}, there {rows[best][place]:.3f}")
    print(f"\nMean of the sets left out: {sum(left) / len(left):.3f}")


def main():
    parser = argparse.ArgumentParser(prog="tools/proof feedback", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", choices=SETS)
    parser.add_argument("--needs", type=int, default=60, help="of each set")
    parser.add_argument("--documents", type=int, default=600, help="of each set")
    parser.add_argument("--answers", default="0,1,2,5,10,20", help="a need, in turn")
    parser.add_argument("--grid", action="store_true", help="other weights too")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.answers.split(",")]
    print(f"`{' '.join(['tools/proof feedback', *sys.argv[1:]])}`\n")
    print("| set | needs | documents | relevant pairs | answers a need | given | F1 stream | F1 afterwards |")
    print("|" + "---|" * 8, flush=True)
    collected, sums = [], {count: [0.0, 0.0] for count in counts}
    names = arguments.set or SETS
    for name in names:
        sample = Sample(name, arguments)
        with Server(environment=NO_ANSWERS) as server:
            connection = Connection(server.http_port, timeout=3600)
            vectors = []
            for start in range(0, len(sample.texts), 100):
                answer = connection.call("POST", "/api/v1/embeddings", {"input": sample.texts[start:start + 100]})
                assert answer.status == 200, answer
                vectors += [entry["embedding"] for entry in answer.json["data"]]
            for count in counts:
                first = Round(connection, sample, vectors, f"n{count}", None)
                given = first.run(count)
                again = first
                if count:
                    again = Round(connection, sample, vectors, f"again{count}", first.learned())
                    again.run(0)
                for place, value in enumerate((first.f1(), again.f1())):
                    sums[count][place] += value
                print(f"| {name} | {len(sample.needs)} | {len(sample.texts)} | {len(sample.pairs)} | {count} | {given} | {first.f1():.3f} | {again.f1():.3f} |",
                      flush=True)
            if arguments.grid:
                everything = Round(connection, sample, vectors, "everything", [LEAST] * len(sample.needs))
                everything.run(0)
                collected.append((sample, everything.told))
    for count in counts:
        print(f"| mean | | | | {count} | | {sums[count][0] / len(names):.3f} | {sums[count][1] / len(names):.3f} |")
    if arguments.grid:
        grid(collected, max(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
