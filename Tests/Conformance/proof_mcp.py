"""`query_context` of the Model Context Protocol beside the HTTP query: the same questions in turns on one connection, each asked before, so its
vector is known. Texts and questions are synopses of Debian's packages, a seeded sample. Bar: at most 1.3 times the p50.
"""
import argparse
import os
import random
import statistics
import sys
import time

import proof_throughput
from support import NO_ANSWERS, Connection, Server

BAR = 1.3
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
HEADERS = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "query_context"}


def main():
    parser = argparse.ArgumentParser(prog="tools/proof mcp", description=__doc__.split("\n\n")[0])
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    texts = proof_throughput.synopses()
    needed = arguments.documents + arguments.queries
    if len(texts) < needed:
        print(f"FAILED: apt-cache dumpavail has {len(texts)} distinct synopses, {needed} are needed (apt-get update?)", file=sys.stderr)
        return 1
    sample = random.Random(arguments.seed).sample(texts, needed)
    documents, queries = sample[:arguments.documents], sample[arguments.documents:]
    with Server(environment=NO_ANSWERS) as server:
        server.publish_texts("debian", documents, arguments.batch)
        connection = Connection(server.http_port)

        def http(query):
            answer = connection.call("POST", "/api/v1/projects/debian/query", {"query": query, "top_k": 12, "response_format": "json"})
            assert answer.status == 200, answer
            return answer

        def tool(query):
            answer = connection.call("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
                "_meta": META, "name": "query_context", "arguments": {"project": "debian", "question": query}}}, HEADERS)
            assert answer.status == 200 and b'"isError":false' in answer.body, answer
            return answer

        doors = {"HTTP query": http, "query_context": tool}
        seconds = {name: [] for name in doors}
        sizes = {name: [] for name in doors}
        print(f"{arguments.documents} texts, {arguments.queries} queries, hybrid, top 12; load {os.getloadavg()[0]:.1f} at the start")
        for turn in range(-1, arguments.rounds):
            for query in queries:
                for name, door in doors.items():
                    started = time.perf_counter()
                    answer = door(query)
                    if turn >= 0:
                        seconds[name].append(time.perf_counter() - started)
                        sizes[name].append(len(answer.body))
        print("| | p50 ms | p95 ms | bytes of an answer, mean |\n|---|---|---|---|")
        for name, taken in seconds.items():
            taken.sort()
            print(f"| {name} | {statistics.median(taken) * 1e3:.2f} | {taken[len(taken) * 95 // 100] * 1e3:.2f} | {statistics.mean(sizes[name]):.0f} |")
        ratio = statistics.median(seconds["query_context"]) / statistics.median(seconds["HTTP query"])
        print(f"ratio of the p50s: {ratio:.2f} (bar {BAR}); load {os.getloadavg()[0]:.1f} at the end")
    return 0 if ratio <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
