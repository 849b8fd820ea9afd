"""nDCG@10 of the server's own answers on a relevance set, in the three modes, beside the figures that others reached.

Each document is published through the HTTP batch API as {"title": ..., "text": ...}: a flat object, so one node. Its embedded text
is therefore "root | title: ... | text: ...", not the bare title and text of the figures in the right-hand columns.
"""
import argparse
import json
import math
import sys
import time

from support import DATA, Connection, Server

# shared figures: BM25 (Lucene), exact dense search, RRF and a convex combination, all with title + " " + text
FIGURES = {
    "scifact": (0.6828, 0.6451, 0.7180, 0.7342),
    "cacm": (0.4802, 0.4442, 0.5551, 0.5612),
    "bfcl-static": (0.8538, 0.7874, 0.8439, 0.8656),
    "cosqa-dev": (0.3828, 0.6031, 0.5261, 0.5759),
}
MODES = ["keyword", "semantic", "hybrid"]
CUT = 10


def ndcg(ranking, judgements, cut=CUT):
    """trec_eval's ndcg_cut: gain is the judgement itself, discount log2(rank + 1), ideal order of all judged documents."""
    gained = sum(max(judgements.get(document, 0), 0) / math.log2(rank + 2) for rank, document in enumerate(ranking[:cut]))
    ideal = sorted((score for score in judgements.values() if score > 0), reverse=True)[:cut]
    best = sum(score / math.log2(rank + 2) for rank, score in enumerate(ideal))
    return gained / best if best else 0.0


def read(name):
    folder = DATA / "retrieval" / name
    with open(folder / "corpus.jsonl", encoding="utf-8") as file:
        corpus = [json.loads(line) for line in file]
    with open(folder / "queries.jsonl", encoding="utf-8") as file:
        queries = {record["_id"]: record["text"] for record in map(json.loads, file)}
    judgements = {}
    with open(folder / "qrels.tsv", encoding="utf-8") as file:
        next(file)
        for line in file:
            query, document, score = line.split("\t")
            judgements.setdefault(query, {})[document] = int(score)
    return corpus, queries, judgements


def run(server, name, batch_size):
    corpus, queries, judgements = read(name)
    keys = {f"d{number}": record["_id"] for number, record in enumerate(corpus)}  # ids of the sets may hold anything
    connection = Connection(server.http_port, timeout=3600)
    body = [{"project_id": name, "data_key": f"d{number}", "data_format": "json",
             "data": {"title": record.get("title", ""), "text": record["text"]}} for number, record in enumerate(corpus)]
    started = time.perf_counter()
    for start in range(0, len(body), batch_size):
        answer = connection.call("POST", "/api/v1/batch/publish", body[start:start + batch_size])
        assert answer.status == 200 and answer.json["failed"] == 0, answer
        print(f"\r{name}: {min(start + batch_size, len(body))} of {len(body)} published", end="", file=sys.stderr, flush=True)
    published = time.perf_counter() - started
    print(file=sys.stderr)
    scores = {}
    for mode in MODES:
        total = 0.0
        for query, judged in judgements.items():
            answer = connection.call("POST", f"/api/v1/projects/{name}/query", {
                "query": queries[query], "mode": mode, "threshold": 0, "top_k": CUT, "response_format": "json"})
            assert answer.status == 200, answer
            total += ndcg([keys[match["data_key"].removesuffix(".root")] for match in answer.json["matches"]], judged)
        scores[mode] = total / len(judgements)
    connection.close()
    return scores, len(corpus), len(judgements), published


def main():
    parser = argparse.ArgumentParser(prog="tools/proof retrieval", description=__doc__.split("\n\n")[0])
    parser.add_argument("--set", action="append", dest="sets", choices=list(FIGURES), help="default: scifact; may be given several times")
    parser.add_argument("--batch", type=int, default=32)
    arguments = parser.parse_args()
    names = arguments.sets or ["scifact"]
    if not (DATA / "retrieval").is_dir():
        print(f"FAILED: no {DATA}/retrieval; CONTEX_TEST_DATA names the folder of shared fixtures", file=sys.stderr)
        return 1
    with Server() as server:
        results = {name: run(server, name, arguments.batch) for name in names}
    print(f"`{' '.join(['tools/proof retrieval', *sys.argv[1:]])}`: nDCG@{CUT}\n")
    print("| set | documents / queries | keyword | semantic | hybrid | BM25 | dense | RRF | CC w=.7 | published/s |")
    print("|" + "---|" * 10)
    for name, (scores, documents, queries, seconds) in results.items():
        own = " | ".join(f"{scores[mode]:.4f}" for mode in MODES)
        others = " | ".join(f"{figure:.4f}" for figure in FIGURES[name])
        print(f"| {name} | {documents} / {queries} | {own} | {others} | {documents / seconds:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
