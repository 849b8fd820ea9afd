#!/usr/bin/env python3
"""compare.py DATA PROGRAM [ROUNDS]: Contex beside tantivy, bm25s and SQLite FTS5, the same texts and queries, in one run.

    pip install tantivy bm25s numba PyStemmer

DATA is what prepare.py made, PROGRAM the built FullTextBenchmark. Queries are ORs of three to six terms, top 10, one thread.
Builds and query passes alternate, ROUNDS times (default 5); printed are medians, lowest and highest. Queries and analysis are in processor time (all are
single-threaded), builds in real time, since they wait for the disk. Sizes of Contex are the pages of the table. tantivy: tokenizer en_stem,
frequencies without positions, one thread, one segment; its queries are parsed by it in every pass ("parsed before" aside).
bm25s: all queries in one call of its numba back end. FTS5: porter over unicode61, 40 queries only.
"""
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

import bm25s
import Stemmer
import tantivy


def timed(body, clock=time.process_time):
    """Processor time: the same when others use the machine as well."""
    start = clock()
    result = body()
    return clock() - start, result


def size(folder):
    return sum(os.path.getsize(os.path.join(root, name)) for root, _, names in os.walk(folder) for name in names)


class Contex:
    def __init__(self, program, texts, queries):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask(f"open {texts} {queries}")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Tantivy:
    def __init__(self, texts, queries):
        self.texts, self.queries = texts, queries

    def build(self):
        folder = tempfile.mkdtemp()
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("body", stored=False, tokenizer_name="en_stem", index_option="freq")
        index = tantivy.Index(builder.build(), path=folder)
        writer = index.writer(heap_size=500_000_000, num_threads=1)

        def run():
            for text in self.texts:
                writer.add_document(tantivy.Document(body=text))
            writer.commit()

        self.wall, _ = timed(run, time.perf_counter)
        seconds = self.wall
        writer.wait_merging_threads()
        index.reload()
        self.index, self.searcher = index, index.searcher()
        self.bytes, self.segments = size(folder), self.searcher.num_segments
        self.prepared = [index.parse_query(query, ["body"]) for query in self.queries]
        shutil.rmtree(folder)
        return seconds

    def search(self):
        return timed(lambda: [self.searcher.search(self.index.parse_query(query, ["body"]), 10) for query in self.queries])[0]

    def search_prepared(self):
        return timed(lambda: [self.searcher.search(query, 10) for query in self.prepared])[0]


class BM25S:
    def __init__(self, texts, queries):
        self.texts, self.stemmer = texts, Stemmer.Stemmer("english")
        self.queries = queries

    def tokens(self, texts):
        return bm25s.tokenize(texts, stopwords="en", stemmer=self.stemmer, show_progress=False)

    def build(self):
        def run():
            self.retriever = bm25s.BM25(k1=1.2, b=0.75, backend="numba")
            self.retriever.index(self.tokens(self.texts), show_progress=False)

        seconds, _ = timed(run)
        folder = tempfile.mkdtemp()
        self.retriever.save(folder)
        self.bytes = size(folder)
        shutil.rmtree(folder)
        self.query_tokens = self.tokens(self.queries)
        self.search()
        return seconds

    def search(self):
        return timed(lambda: self.retriever.retrieve(self.query_tokens, k=10, n_threads=1, show_progress=False))[0]


class FTS5:
    def __init__(self, texts, queries):
        self.texts, self.queries = texts, queries[:40]

    def build(self):
        folder = tempfile.mkdtemp()
        base = sqlite3.connect(os.path.join(folder, "base"))
        base.execute("CREATE VIRTUAL TABLE t USING fts5(body, content='', detail=none, tokenize='porter unicode61')")

        def run():
            with base:
                base.executemany("INSERT INTO t(rowid, body) VALUES (?, ?)", enumerate(self.texts))

        seconds, _ = timed(run)
        self.base, self.bytes = base, size(folder)
        return seconds

    def search(self):
        sql = "SELECT rowid FROM t WHERE t MATCH ? ORDER BY rank LIMIT 10"
        return timed(lambda: [self.base.execute(sql, (query.replace(" ", " OR "),)).fetchall() for query in self.queries])[0]


def spread(values, form="{:,.0f}"):
    return f"{form.format(statistics.median(values))} ({form.format(min(values))} to {form.format(max(values))})"


def main():
    data, program = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    kinds = sys.argv[4].split(",") if len(sys.argv) > 4 else ["short", "long"]
    for kind in kinds:
        paths = [os.path.join(data, f"{kind}.txt"), os.path.join(data, f"{kind}.queries.txt")]
        texts, queries = [open(path).read().splitlines() for path in paths]
        contex, rivals = Contex(program, *paths), [Tantivy(texts, queries), BM25S(texts, queries), FTS5(texts, queries)]
        tantivy_, bm25s_, fts5 = rivals
        builds, searches = {}, {}

        def note(table, name, value):
            table.setdefault(name, []).append(value)

        for _ in range(max(2, rounds // 2)):
            note(builds, "tantivy", len(texts) / tantivy_.build())
            note(builds, "Contex, groups of 256 with fsync", len(texts) / contex.ask("build 256 0")["seconds"])
            contex.ask("queries 10")
            note(builds, "Contex, analysis alone", len(texts) / contex.ask("analyze")["seconds"])
            bulk = contex.ask("build 0 0")
            note(builds, "Contex, bulk", len(texts) / bulk["seconds"])
        sizes = {"Contex, bulk": bulk["pages"], "  records alone": bulk["records"]}
        grown = contex.ask("build 256 0")
        sizes["Contex, groups of 256"], sizes["  with pages free to reuse"] = grown["pages"], grown["file"]
        note(builds, "bm25s", len(texts) / bm25s_.build())
        note(builds, "FTS5", len(texts) / fts5.build())
        for rival, name in zip(rivals, ("tantivy", "bm25s", "FTS5")):
            sizes[name] = rival.bytes
        for _ in range(rounds):
            note(searches, "tantivy", len(queries) / tantivy_.search())
            note(searches, "Contex", len(queries) / contex.ask("queries 10")["seconds"])
            note(searches, "tantivy, parsed before", len(queries) / tantivy_.search_prepared())
            note(searches, "Contex, analysed before", len(queries) / contex.ask("prepared 10")["seconds"])
            note(searches, "bm25s", len(queries) / bm25s_.search())
        note(searches, "FTS5", len(fts5.queries) / fts5.search())
        sizes["Contex, positions too"] = contex.ask("build 256 1")["pages"]
        print(f"\n{kind}: {len(texts):,} texts, {len(queries)} queries; tantivy has {tantivy_.segments} segment(s)")
        for title, table in (("queries/s, top 10", searches), ("texts/s, index", builds)):
            print(f"  {title}")
            for name, values in table.items():
                ratio = statistics.median(values) / statistics.median(table["tantivy"])
                print(f"    {name:36} {spread(values):36} {ratio:5.2f} x tantivy")
        print("  size")
        for name, value in sizes.items():
            print(f"    {name:36} {value / 1e6:8.2f} MB {value / sizes['tantivy']:30.2f} x tantivy")
        contex.process.stdin.close()
        contex.process.wait()


main()
