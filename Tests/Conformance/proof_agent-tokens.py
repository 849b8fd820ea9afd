"""Tokens that an agent spends to answer questions about a project: with our MCP, with grep and read, and with what mcp-server-qdrant answers.

The project is docs/ of this repository; the 50 questions, each with words that stand in its answer, are agent_questions.json. The agent is a script, the
same for all: it asks in the words of the question, and stops as soon as the words of the answer stand in what it was given. What counts are cl100k
tokens of the list of tools (once for all questions), of calls and of results.

  contex      query_context with a budget of 400; not there: query_context with 2,000; not there: get of the best key that was only named
  grep, read  grep for the words of the question that are no stop words, 100 lines at most; then whole files, those with the most of the words
              first, three at most, 2,000 lines each
  thrifty     the same grep, 40 lines; then 60 lines around the places where the most of the words stand together, in three files
  qdrant      qdrant-find with its ten entries: sections of the files, at the best cosines of the same model's vectors, in that server's own form

Bar: at most half the tokens of either at no lower hit rate.
"""
import argparse
import base64
import collections
import json
import math
import pathlib
import re
import sys

from support import CHECKOUT, MODEL, Server

BAR = 0.5
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
STOP = set((
    "a about after all an and any are as at be by can do does for from get had has have how i if in into is it its long many "
    "may me more most much must my no not of on one or other our per say says should so some such than that the their then "
    "there these they this to until up use used was what when where which who why will with without you your ").split())


class Tokens:
    """cl100k: byte pairs by their ranks. Letters are what Python's \\w calls so, which for these texts are the same."""
    SPLIT = re.compile(r"'(?i:[sdmt]|ll|ve|re)|(?:(?![\r\n])[\W_])?+[^\W\d_]++|\d{1,3}+| ?(?:[^\s\w]|_)++[\r\n]*|\s++$|\s*[\r\n]|\s+(?!\S)|\s")

    def __init__(self, path):
        self.ranks = {base64.b64decode(word): int(rank) for word, rank in (line.split() for line in path.read_text().splitlines())}
        self.known = {}

    def _of(self, word):
        parts = [word[at:at + 1] for at in range(len(word))]
        while len(parts) > 1:
            best = min(range(len(parts) - 1), key=lambda at: self.ranks.get(parts[at] + parts[at + 1], math.inf))
            if parts[best] + parts[best + 1] not in self.ranks:
                break
            parts[best:best + 2] = [parts[best] + parts[best + 1]]
        return len(parts)

    def count(self, text):
        total = 0
        for found in self.SPLIT.finditer(text):
            word = found[0].encode()
            if word not in self.known:
                self.known[word] = 1 if word in self.ranks else self._of(word)
            total += self.known[word]
        return total


def words(text):
    return " ".join(re.findall(r"\w+", text.lower()))


class Agent:
    """What it has spent, and whether it has been given the words of the answer."""

    def __init__(self, tokens):
        self.tokens, self.spent, self.calls, self.given = tokens, 0, 0, ""

    def call(self, name, arguments, result):
        self.spent += self.tokens.count(json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)) + self.tokens.count(result)
        self.calls += 1
        self.given += " " + words(result)

    def has(self, answer):
        return f" {words(answer)} " in f" {self.given} "


# MARK: Contex

class ContexTools:
    name = "contex"

    def __init__(self, server, files):
        self.server, self.empty = server, 0
        for key, text in files.items():
            server.publish("docs", key, text, data_format="markdown")

    def request(self, method, params, name=None):
        headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, **({"Mcp-Name": name} if name else {})}
        answer = self.server.call("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": META, **params}}, headers)
        assert answer.status == 200, answer
        return answer.json["result"]

    def tools(self):
        return self.request("tools/list", {})["tools"]

    def use(self, agent, name, **arguments):
        result = self.request("tools/call", {"name": name, "arguments": arguments}, name)
        text = "\n".join(part["text"] for part in result["content"] if part["type"] == "text")
        agent.call(name, arguments, text)
        return result

    def ask(self, agent, question, answer):
        matches = []
        for budget in (400, 2_000):
            result = self.use(agent, "query_context", project="docs", question=question, budget_tokens=budget)
            matches = result.get("structuredContent", {}).get("matches", matches)
            if agent.has(answer):
                return
        self.empty += not matches
        brief = [match for match in matches if "data" not in match and "passage" not in match]
        if brief:
            self.use(agent, "get", project="docs", key=brief[0]["key"], **({"path": brief[0]["path"]} if brief[0].get("path") else {}))


# MARK: Files

class Files:
    name = "grep, read"

    def __init__(self, files, thrifty=False):
        self.files = {key: text.split("\n") for key, text in files.items()}
        self.thrifty = thrifty
        if thrifty:
            self.name = "thrifty"

    def tools(self):
        path = {"path": {"type": "string", "description": "File or folder"}}
        return [
            {"name": "grep", "description": "Search file contents with a regular expression. Prints path:line:text.", "inputSchema": {
                "type": "object", "required": ["pattern"], "properties": {"pattern": {"type": "string"}, **path, "limit": {"type": "integer"}}}},
            {"name": "read", "description": "Read a file, with line numbers; the first 2,000 lines unless offset and limit say otherwise.", "inputSchema": {
                "type": "object", "required": ["path"], "properties": {**path, "offset": {"type": "integer"}, "limit": {"type": "integer"}}}}]

    def ask(self, agent, question, answer):
        wanted = [word for word in dict.fromkeys(re.findall(r"[\w*]+", question.lower())) if word.strip("*") and word not in STOP and len(word) > 2]
        pattern = re.compile("|".join(re.escape(word) for word in wanted), re.I)
        hits = [(key, number, line) for key, lines in self.files.items() for number, line in enumerate(lines, 1) if pattern.search(line)]
        if self.thrifty:  # what has the most of the words first, as an agent would look through them
            hits.sort(key=lambda hit: -len({word for word in wanted if word in hit[2].lower()}))
        limit = 40 if self.thrifty else 100
        agent.call("grep", {"pattern": "|".join(wanted), "path": "docs", "limit": limit},
                   "\n".join(f"docs/{key}:{number}:{line}" for key, number, line in hits[:limit]))
        if agent.has(answer):
            return
        places = collections.defaultdict(dict)  # of each file the distinct words, and the lines they stand in
        for key, number, line in hits:
            for word in wanted:
                if word in line.lower():
                    places[key].setdefault(word, []).append(number)
        ranked = sorted(places, key=lambda key: (-len(places[key]), -sum(map(len, places[key].values())), key))
        for key in ranked[:3]:
            if self.thrifty:
                numbers = [(number, word) for word, held in places[key].items() for number in held]
                start = max((max(1, number - 5) for number, _ in numbers),
                            key=lambda first: len({word for number, word in numbers if first <= number < first + 60}))
                lines = list(enumerate(self.files[key], 1))[start - 1:start + 59]
                arguments = {"path": f"docs/{key}", "offset": start, "limit": 60}
            else:
                lines = list(enumerate(self.files[key], 1))[:2_000]
                arguments = {"path": f"docs/{key}"}
            agent.call("read", arguments, "\n".join(f"{number:6}\t{line}" for number, line in lines))
            if agent.has(answer):
                return


# MARK: What mcp-server-qdrant answers

def sections(text):
    """A heading with what stands under it, at most some 1,500 characters: what a sensible agent stores as one entry."""
    for part in re.split(r"\n(?=#)", text):
        piece = ""
        for paragraph in part.split("\n\n"):
            if piece and len(piece) + len(paragraph) > 1_500:
                yield piece.strip()
                piece = ""
            piece += paragraph + "\n\n"
        if piece.strip():
            yield piece.strip()


class Qdrant:
    """mcp-server-qdrant 0.8.1 with its defaults: the same model, ten entries, its own form of an entry. Its vectors are computed by the server here."""
    name = "qdrant"

    def __init__(self, server, files):
        self.server = server
        self.entries = [(key, piece) for key, text in files.items() for piece in sections(text)]
        self.vectors = self.embed([piece for _, piece in self.entries])

    def embed(self, texts):
        vectors = []
        for start in range(0, len(texts), 64):
            answer = self.server.call("POST", "/api/v1/embeddings", {"model": "any", "input": texts[start:start + 64]}, timeout=600)
            assert answer.status == 200, answer
            vectors += [item["embedding"] for item in answer.json["data"]]
        return vectors

    def tools(self):
        name = {"collection_name": {"description": "The collection to search in", "title": "Collection Name", "type": "string"}}
        return [
            {"name": "qdrant-find", "description": "Look up memories in Qdrant. Use this tool when you need to: \n - Find memories by their content \n"
             " - Access memories for further analysis \n - Get some personal information about the user", "inputSchema": {
                 "properties": {"query": {"description": "What to search for", "title": "Query", "type": "string"}, **name},
                 "required": ["query", "collection_name"], "type": "object"}},
            {"name": "qdrant-store", "description": "Keep the memory for later use, when you are asked to remember something.", "inputSchema": {
                "properties": {"information": {"description": "Text to store", "title": "Information", "type": "string"},
                               "collection_name": {"description": "The collection to store the information in", "title": "Collection Name", "type": "string"},
                               "metadata": {"anyOf": [{"additionalProperties": True, "type": "object"}, {"type": "null"}], "default": None, "title": "Metadata",
                                            "description": "Extra metadata stored along with memorised information. Any json is accepted."}},
                "required": ["information", "collection_name"], "type": "object"}}]

    def ask(self, agent, question, answer):
        asked = self.embed([question])[0]
        best = sorted(range(len(self.entries)), key=lambda at: -sum(map(float.__mul__, asked, self.vectors[at])))[:10]
        lines = [f"Results for the query '{question}'"]
        lines += [f"<entry><content>{self.entries[at][1]}</content><metadata>{json.dumps({'file': self.entries[at][0]})}</metadata></entry>" for at in best]
        agent.call("qdrant-find", {"query": question, "collection_name": "docs"}, "\n".join(lines))


def main():
    parser = argparse.ArgumentParser(prog="tools/proof agent-tokens", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threshold", type=float, help="CONTEX_SIMILARITY_THRESHOLD of the server (default: its own, 0.5)")
    parser.add_argument("--misses", action="store_true", help="print the questions that went without an answer")
    arguments = parser.parse_args()
    tokens = Tokens(pathlib.Path(MODEL) / "cl100k_base.tiktoken")
    questions = json.loads((CHECKOUT / "Tests/Conformance/agent_questions.json").read_text())
    files = {str(path.relative_to(CHECKOUT / "docs")): path.read_text() for path in sorted((CHECKOUT / "docs").rglob("*.md"))}
    for question, answer, name in questions:
        assert f" {words(answer)} " in f" {words(files[name])} ", f"{name} does not say: {answer}"
    print(f"{len(files)} files, {sum(map(tokens.count, files.values()))} tokens; {len(questions)} questions")
    rows = {}
    with Server(environment={} if arguments.threshold is None else {"CONTEX_SIMILARITY_THRESHOLD": str(arguments.threshold)}) as server:
        for way in (ContexTools(server, files), Files(files), Files(files, thrifty=True), Qdrant(server, files)):
            listed = tokens.count(json.dumps(way.tools(), ensure_ascii=False))
            agents = []
            for question, answer, _ in questions:
                agent = Agent(tokens)
                way.ask(agent, question, answer)
                agents.append((agent.spent, agent.calls, agent.has(answer)))
                if arguments.misses and not agents[-1][2]:
                    print(f"  {way.name}: {question}")
            if way.name == "contex":
                print(f"  contex: {way.empty} questions had no match at all")
            rows[way.name] = (listed + sum(spent for spent, _, _ in agents), sum(found for _, _, found in agents))
            print(f"{way.name:11} list {listed:5}, calls {sum(calls for _, calls, _ in agents):4}, tokens {rows[way.name][0]:8}, a question "
                  f"{rows[way.name][0] / len(questions):7.0f}; answered {rows[way.name][1]} of {len(questions)}")
    own, found = rows["contex"]
    missed = 0
    for name, (spent, answered) in rows.items():
        if name != "contex":
            held = own <= BAR * spent and found >= answered
            missed += not held
            print(f"{own / spent:.2f} x {name}, {found} answered beside {answered}: bar {BAR} at no lower hit rate {'held' if held else 'MISSED'}")
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
