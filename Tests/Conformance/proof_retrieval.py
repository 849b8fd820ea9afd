"""nDCG@10 of the server's own answers on the shared relevance sets, through the door that a user takes: published and asked over HTTP.

Sets: those of shared/data/retrieval, every query as it is. Shapes, as people publish:

    text    one plain text, title and text a paragraph each (its nodes are sentences or passages of them)
    pair    {"title": ..., "text": ...}, a flat object: one node
    own     the document's own structure: bfcl-static's JSON as JSON, cosqa-dev's functions as code, articles as Markdown under their title

A document is as good as its best node among the best 50. Where the server knows group_by, a row more says what it makes of that itself.
The columns to the right are others' figures: BM25 (Lucene), exact dense search, RRF and a convex combination, of title + " " + text.
"""
import argparse
import json
import math
import pathlib
import sys
import time

from support import DATA, NO_ANSWERS, Connection, Server

FIGURES = {
    "scifact": (0.6828, 0.6451, 0.7180, 0.7342),
    "cacm": (0.4802, 0.4442, 0.5551, 0.5612),
    "bfcl-static": (0.8538, 0.7874, 0.8439, 0.8656),
    "cosqa-dev": (0.3828, 0.6031, 0.5261, 0.5759),
}
SHAPES = ["text", "pair", "own"]
MODES = ["keyword", "semantic", "hybrid"]
CUT = 10
NODES = 50


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


def document(name, record, shape):
    """What is published of a record: fields of the publish request."""
    title, text = record.get("title", ""), record["text"]
    if shape == "pair":
        return {"data_format": "json", "data": {"title": title, "text": text}}
    if shape == "own":
        if name == "bfcl-static":
            return {"data_format": "json", "data": json.loads(text)}
        if name == "cosqa-dev":
            return {"data_format": "text", "data": f"```python\n{text}\n```\n" if "```" not in text else text, "kind": "code"}
        return {"data_format": "markdown", "data": f"# {title}\n\n{text}\n" if title else text}
    return {"data_format": "text", "data": "\n\n".join(part for part in (title, text) if part)}


def publish(connection, name, shape, batch_size):
    """The project's name and the rate; a project that is there already stays as it is."""
    corpus = read(name)[0]
    project = f"{name}-{shape}"
    there = connection.call("GET", f"/api/v1/projects/{project}/data?limit=1")
    if there.status == 200 and there.json.get("total", there.json.get("count", 0)):
        return project, 0.0
    started = time.perf_counter()
    for start in range(0, len(corpus), batch_size):
        body = []
        for number in range(start, min(start + batch_size, len(corpus))):
            fields = document(name, corpus[number], shape)
            if fields.pop("kind", None) == "code":
                fields["data_format"] = "markdown"
            body.append({"project_id": project, "data_key": f"d{number}", **fields})  # ids of the sets may hold anything
        answer = connection.call("POST", "/api/v1/batch/publish", body)
        assert answer.status == 200 and answer.json["failed"] == 0, answer
        print(f"\r{project}: {start + len(body)} of {len(corpus)} published", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return project, len(corpus) / (time.perf_counter() - started)


def documents(answer, ids):
    """Ids of documents in the order of their best nodes."""
    places = {}
    for match in answer["matches"]:
        places.setdefault(match["data_key"].split(".", 1)[0], None)
    return [ids[int(key[1:])] for key in places]


def measure(connection, name, project, mode, more, limit=None):
    """nDCG@10, and the seconds that a query took in the middle."""
    corpus, queries, judgements = read(name)
    ids = [record["_id"] for record in corpus]
    total, times = 0.0, []
    asked = list(judgements.items())[:limit]
    for query, judged in asked:
        body = {"query": queries[query], "mode": mode, "threshold": 0, "top_k": NODES, "response_format": "json", **more}
        started = time.perf_counter()
        answer = connection.call("POST", f"/api/v1/projects/{project}/query", body)
        times.append(time.perf_counter() - started)
        assert answer.status == 200, answer
        total += ndcg(documents(answer.json, ids), judged)
    return total / len(asked), sorted(times)[len(times) // 2]


def knows_groups(connection):
    answer = connection.call("GET", "/openapi.json")
    return answer.status == 200 and b'"group_by"' in answer.body


def main():
    parser = argparse.ArgumentParser(prog="tools/proof retrieval", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", dest="sets", choices=list(FIGURES), help="default: all; may be given several times")
    parser.add_argument("--shape", action="append", dest="shapes", choices=SHAPES, help="default: all; may be given several times")
    parser.add_argument("--mode", action="append", dest="modes", choices=MODES, help="default: all; may be given several times")
    parser.add_argument("--syntax", choices=["signs", "plain"], help="what signs in the queries are (default: the server's)")
    parser.add_argument("--data", metavar="FOLDER", help="a data folder that is kept: what it holds is not published again")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--precision", choices=["float32", "int8"], help="of the embeddings (default: the server's)")
    parser.add_argument("--queries", type=int, metavar="N", help="the first N of each set only")
    arguments = parser.parse_args()
    sets, shapes, modes = arguments.sets or list(FIGURES), arguments.shapes or SHAPES, arguments.modes or MODES
    if not (DATA / "retrieval").is_dir():
        print(f"FAILED: no {DATA}/retrieval; CONTEX_TEST_DATA names the folder of shared fixtures", file=sys.stderr)
        return 1
    folder = str(pathlib.Path(arguments.data).resolve()) if arguments.data else None
    more = {"syntax": arguments.syntax} if arguments.syntax else {}
    command = " ".join(["tools/proof retrieval", *sys.argv[1:]])
    print(f"`{command}`: nDCG@{CUT}, every query over HTTP\n")
    print("| set, published as | " + " | ".join(modes) + " | BM25 | dense | RRF | CC w=.7 | documents/s |")
    print("|" + "---|" * (len(modes) + 6))
    means = {}
    with Server(folder, flags=["--embedding-precision", arguments.precision] if arguments.precision else [], environment=NO_ANSWERS) as server:
        connection = Connection(server.http_port, timeout=3600)
        ways = {"": {}}
        if knows_groups(connection):
            ways[", grouped"] = {"group_by": "document"}
        for shape in shapes:
            for name in sets:
                project, rate = publish(connection, name, shape, arguments.batch)
                for way, fields in ways.items():
                    scores = [measure(connection, name, project, mode, {**more, **fields}, arguments.queries)[0] for mode in modes]
                    means.setdefault((shape, way), []).append(scores)
                    others = " | ".join(f"{figure:.4f}" for figure in FIGURES[name])
                    rates = f"{rate:.0f}" if rate else ""
                    print(f"| {name}, {shape}{way} | " + " | ".join(f"{score:.4f}" for score in scores) + f" | {others} | {rates} |", flush=True)
        connection.close()
    for (shape, way), rows in means.items():
        if len(rows) > 1:
            print(f"| mean, {shape}{way} | " + " | ".join(f"{sum(column) / len(rows):.4f}" for column in zip(*rows)) + " | | | | | |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
