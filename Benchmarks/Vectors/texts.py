#!/usr/bin/env python3
"""Real short texts: the synopses of Debian's packages and sentences of their descriptions, one a line.

    texts.py FOLDER [count]     writes FOLDER/texts.txt, 101,000 lines unless told otherwise

Synopses come from `apt-cache dumpavail`; sentences fill up to the count, from the English descriptions that apt keeps in files of
their own (fetched into FOLDER/apt when the machine's lists are without them). The order is that of the texts' SHA-256: as good as
random, and the same everywhere. The last 1,000 lines are the queries.
"""
import hashlib
import os
import re
import subprocess
import sys


def main():
    folder = os.path.abspath(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 101_000
    lists, cache = f"{folder}/apt/lists", f"{folder}/apt/cache"
    os.makedirs(f"{lists}/partial", exist_ok=True)
    os.makedirs(f"{cache}/archives/partial", exist_ok=True)
    options = ["-o", "Acquire::Languages=en", "-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={cache}"]
    if not any("Translation-en" in name for name in os.listdir(lists)):
        subprocess.run(["apt-get", *options, "update"], check=True, stdout=subprocess.DEVNULL)

    available = subprocess.run(["apt-cache", *options, "dumpavail"], check=True, capture_output=True, text=True).stdout
    synopses = sorted({line[13:].strip() for line in available.splitlines() if line.startswith("Description: ")})
    sentences = set()
    files = sorted(f"{lists}/{name}" for name in os.listdir(lists) if "Translation-en" in name)
    descriptions = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", *files], check=True, capture_output=True, text=True).stdout
    for body in re.findall(r"^Description-en: .*\n((?: .*\n)*)", descriptions, re.MULTILINE):
        for paragraph in re.split(r"^ \.\n", body, flags=re.MULTILINE):
            for sentence in re.split(r"(?<=[.!?]) ", " ".join(paragraph.split())):
                if 30 <= len(sentence) <= 300:
                    sentences.add(sentence)
    sentences -= set(synopses)

    def order(text):
        return hashlib.sha256(text.encode()).digest()

    texts = synopses + sorted(sentences, key=order)[:max(0, count - len(synopses))]
    texts = sorted(texts, key=order)[:count]
    with open(f"{folder}/texts.txt", "w", encoding="utf-8") as out:
        out.writelines(text + "\n" for text in texts)
    print(f"{len(texts)} texts: {len(synopses)} synopses, {len(sentences)} sentences to choose from")


main()
