"""A data file is damaged in ways that disks, copies and people damage it, one way at a time, and the release binary is asked: `contex check`, then
a server that everything is read from. Nothing may be answered wrongly without a word, and no process may die of it.

    tools/proof damage [--flips 500] [--pages 100] [--cuts 100] [--every 10] [--seed N]

| fault | what is done |
|---|---|
| F4 | one bit of the pages in use is turned |
| F5 | a page is zeroed; is written over with another one; two are exchanged; one is taken from an older copy of the store |
| F6 | the file ends somewhere |

What the check says is held against the content hash: a check that finds nothing must stand on a store that says what the sound one says.
A server is started on every n-th damaged store, also on those that the check would refuse: each of its answers is the sound store's, or an
error. The outcomes:

  told        the check ends with 1 (or refuses to open the store) and names it
  harmless    nothing is found, and nothing is different: the page was free, or the bit is of no meaning
  silent      nothing is found, and the store says something else            must be 0
  died        the check ended by a signal                                    must be 0
  served      every answer is the sound one
  refused     some answers are errors, or the server does not start; none is wrong
  wrong       an answer with status 200 that is another than the sound store's   must be 0 where the check found nothing
  crashed     the server ended by a signal
"""
import argparse
import collections
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

from support import BINARY, Server, ServerFailed

PAGE = 4096
WORDS = "login token retry queue index replica backup quota alert metric deploy branch schema cache socket lion zebra".split()


def run(*arguments):
    """Exit code (negative: a signal) and what was said."""
    done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def make(folder, generator):
    """A store with some of everything, and the file of an earlier moment."""
    with Server(folder) as server:
        def publish(project, key, words):
            server.publish(project, key, {"text": " ".join(generator.choice(WORDS) for _ in range(words)), "n": generator.randrange(9)})
        for name in ("a", "b"):
            server.register("damaged", f"agent-{name}", ["how are tokens retried", "backup quota"])
        for number in range(60):
            publish("damaged", f"k{number % 40}", 4 + 40 * (number % 7 == 0) + 900 * (number % 20 == 0))
    older = read(folder)
    with Server(folder) as server:
        def publish(project, key, words):
            server.publish(project, key, {"text": " ".join(generator.choice(WORDS) for _ in range(words))})
        for number in range(30):
            publish("damaged", f"k{number}", 12)
            publish("other", f"o{number % 5}", 6)
        server.call("DELETE", "/api/v1/projects/damaged/data/k39")
        server.register("damaged", "agent-c", ["zebra"])
    return read(folder), older


def read(folder):
    with open(os.path.join(folder, "store", "data.mdb"), "rb") as file:
        content = file.read()
    newest = max((content[:PAGE], content[PAGE:2 * PAGE]), key=lambda page: struct.unpack_from("<Q", page, 144)[0])
    return content[:(struct.unpack_from("<Q", newest, 136)[0] + 1) * PAGE]


def write(folder, content, exact=False):
    with open(os.path.join(folder, "store", "data.mdb"), "wb") as file:
        file.write(content)
        if not exact:
            file.truncate(len(content) + (16 << 20))


QUESTIONS = ["login token", "how are tokens retried", "zebra", "backup quota alert"]
TIMES = re.compile(rb'"(duration_ms|timestamp|request_id|response_time_ms|query_time_ms|uptime_seconds)":\s*("[^"]*"|[0-9.eE+-]+)')


def requests():
    yield "GET", "/api/v1/projects", None
    yield "GET", "/api/v1/agents", None
    for project, keys in (("damaged", [f"k{n}" for n in range(40)]), ("other", [f"o{n}" for n in range(5)])):
        for path in ("data", "events?count=1000", "agents", "settings"):
            yield "GET", f"/api/v1/projects/{project}/{path}", None
        for key in keys:
            yield "GET", f"/api/v1/projects/{project}/data/{key}", None
            yield "GET", f"/api/v1/versions/projects/{project}/data/{key}/history", None
        for question in QUESTIONS:
            yield "POST", f"/api/v1/projects/{project}/query", {"query": question, "response_format": "json"}
        yield "GET", f"/api/v1/projects/{project}/data?as_of=12", None
    for agent in "abc":
        yield "GET", f"/api/v1/agents/agent-{agent}", None
        yield "GET", f"/api/v1/projects/damaged/agents/agent-{agent}/inbox", None


def answers(server):
    """Of every request: status, and the body without what is of the moment."""
    found = {}
    for method, path, body in requests():
        answer = server.call(method, path, body, timeout=30)
        found[method, path, json.dumps(body)] = (answer.status, TIMES.sub(rb'"\1":0', answer.body))
    return found


def serve(folder, sound):
    """(outcome, what for)"""
    server = Server(folder)
    try:
        try:
            server.launch()
            server.wait_until_healthy(seconds=20)
        except ServerFailed as failure:
            code = server.process.poll()
            return ("crashed" if code is not None and code < 0 else "refused"), str(failure).splitlines()[-1:]
        try:
            found = answers(server)
        except OSError as error:
            time.sleep(0.2)
            code = server.process.poll()
            return ("crashed", f"signal {-code}") if code is not None and code < 0 else ("refused", str(error))
        # A listing names what is in quarantine, and says no more of it.
        for path, (status, body) in found.items():
            if path[1] == "/api/v1/projects" and status == 200 and b'"quarantined"' in body:
                entries = {entry["project_id"]: entry for entry in json.loads(body)["projects"]}
                before = {entry["project_id"]: entry for entry in json.loads(sound[path][1])["projects"]}
                if entries.keys() == before.keys() and all(e == before[p] or e.get("status") == "quarantined" for p, e in entries.items()):
                    found[path] = (500, body)
        wrong = [path for path, (status, body) in found.items() if status < 400 and (status, body) != sound[path]]
        gone = [path for path, (status, _) in found.items() if status == 404 and sound[path][0] == 200]
        if wrong or gone:
            return "wrong", (wrong + gone)[:3]
        return ("served" if all(found[path] == sound[path] for path in found) else "refused"), ""
    finally:
        server.kill() if server.process and server.process.poll() is None else None
        server.own_folder = False


class Trial:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.folder = tempfile.mkdtemp(prefix="contex-damage-")
        self.data = os.path.join(self.folder, "data")
        self.sound, self.older = make(self.data, random.Random(7))
        with Server(self.data) as server:
            first = answers(server)
            self.answers = answers(server)
        shaky = [path for path in first if first[path] != self.answers[path]]
        assert not shaky, f"answers of a sound store differ: {shaky[:5]}"
        failing = [path for path in first if first[path][0] >= 500]
        assert not failing, failing
        self.sound = read(self.data)
        code, self.hash = run("check", "--data-dir", self.data, "--content-hash")
        assert code == 0, self.hash
        self.counts = collections.defaultdict(collections.Counter)
        self.problems = []
        self.number = 0
        self.pages = len(self.sound) // PAGE
        used = sum(1 for _, (status, _) in self.answers.items() if status == 200)
        print(f"a store of {self.pages} pages, {len(self.answers)} requests ({used} with 200), seed {options.seed}", flush=True)

    def try_(self, fault, what, content, exact=False):
        self.number += 1
        write(self.data, content, exact)
        code, said = run("check", "--data-dir", self.data)
        if code < 0:
            outcome = "died"
        elif code != 0:
            outcome = "told"
        else:
            code, said = run("check", "--data-dir", self.data, "--content-hash")
            outcome = "harmless" if code == 0 and said == self.hash else "silent"
        self.counts[fault][outcome] += 1
        if outcome in ("died", "silent"):
            self.problems.append(f"{fault} {what}: {outcome}: {said.strip()[:200]}")
        if self.number % self.options.every == 0:
            served, why = serve(self.data, self.answers)
            self.counts[fault][served] += 1
            if served == "wrong" and outcome != "told":
                self.problems.append(f"{fault} {what}: the check found nothing, and {why} is wrong")
            if served in ("wrong", "crashed"):
                self.counts[fault][f"{served}, told"] += outcome == "told"
                print(f"  {fault} {what}: check: {outcome}, server: {served}: {why}", flush=True)

    def page(self, number):
        return self.sound[number * PAGE:(number + 1) * PAGE]

    def with_page(self, number, page):
        return self.sound[:number * PAGE] + page + self.sound[(number + 1) * PAGE:]

    def run(self):
        options, generator = self.options, self.random
        for _ in range(options.flips):
            place, bit = generator.randrange(len(self.sound)), generator.randrange(8)
            content = bytearray(self.sound)
            content[place] ^= 1 << bit
            self.try_("F4 bit", f"{place // PAGE}:{place % PAGE}.{bit}", bytes(content))
        for _ in range(options.pages):
            number = generator.randrange(self.pages)
            self.try_("F5 zeroed", number, self.with_page(number, bytes(PAGE)))
            other = generator.randrange(self.pages)
            self.try_("F5 doubled", f"{other} over {number}", self.with_page(number, self.page(other)))
            content = bytearray(self.with_page(number, self.page(other)))
            content[other * PAGE:(other + 1) * PAGE] = self.page(number)
            self.try_("F5 exchanged", f"{number} and {other}", bytes(content))
            number = generator.randrange(min(self.pages, len(self.older) // PAGE))
            self.try_("F5 older", number, self.with_page(number, self.older[number * PAGE:(number + 1) * PAGE]))
        for _ in range(options.cuts):
            length = generator.randrange(len(self.sound))
            self.try_("F6 cut", length, self.sound[:length], exact=True)
        for fault, counts in self.counts.items():
            print(f"{fault}: {sum(counts[o] for o in ('told', 'harmless', 'silent', 'died'))} tried: "
                  + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
        for problem in self.problems[:20]:
            print("PROBLEM:", problem)
        shutil.rmtree(self.folder, ignore_errors=True)
        return not self.problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=500)
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--every", type=int, default=10, help="a server is started on each n-th damaged store (default: 10)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    sys.exit(0 if Trial(parser.parse_args()).run() else 1)


if __name__ == "__main__":
    main()
