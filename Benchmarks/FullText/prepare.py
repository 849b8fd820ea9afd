#!/usr/bin/env python3
"""prepare.py DATA: writes short.txt, long.txt and their queries out of the descriptions of Debian's packages.

Reads `apt-cache dumpavail` and the English translations that `apt-get update` fetched (Acquire::Languages "en"), from the
folder that APT_LISTS names or the system's own. long.txt: one description a line, each once. short.txt: 100,000 of their sentences.
Queries: three to six different words of one text, no stop words, in lower case; 1,000 of each kind, seeded.
"""
import os
import random
import re
import subprocess
import sys

STOP = set("a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was will with".split())


def descriptions():
    """The long ones, by the translation files that lie beside the package lists."""
    lists = os.environ.get("APT_LISTS", "/var/lib/apt/lists")
    options = ["-o", f"Dir::State::Lists={lists}", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "-o", "Acquire::Languages=en"]
    found = {}
    stanzas = subprocess.run(["apt-cache", *options, "dumpavail"], capture_output=True, text=True, check=True).stdout.split("\n\n")
    helper = "/usr/lib/apt/apt-helper"
    for name in sorted(os.listdir(lists)):
        if "Translation-en" in name:
            out = subprocess.run([helper, "cat-file", os.path.join(lists, name)], capture_output=True, text=True, check=True).stdout
            stanzas += out.split("\n\n")
    for stanza in stanzas:
        match = re.search(r"^Description(?:-en)?: (.*(?:\n .*)*)", stanza, re.M)
        if match:
            text = " ".join(line.strip() for line in match.group(1).split("\n") if line.strip() != ".")
            found[re.sub(r"\s+", " ", text).strip()] = None
    return list(found)


def queries(texts, rng):
    made = []
    while len(made) < 1_000:
        words = sorted({word for word in re.findall(r"[a-z]{3,}", rng.choice(texts).lower()) if word not in STOP})
        count = rng.randint(3, 6)
        if len(words) >= count:
            made.append(" ".join(rng.sample(words, count)))
    return made


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    rng = random.Random(5)
    everything = descriptions()
    long = [text for text in everything if len(text) > 80]
    sentences = dict.fromkeys(part.strip() for text in long for part in re.split(r"(?<=[.!?:])\s+", text) if 30 <= len(part.strip()) <= 200)
    short = rng.sample(sorted(sentences), 100_000)
    long = long[:63_000]
    for name, texts in (("short", short), ("long", long)):
        with open(os.path.join(folder, f"{name}.txt"), "w") as out:
            out.writelines(text + "\n" for text in texts)
        with open(os.path.join(folder, f"{name}.queries.txt"), "w") as out:
            out.writelines(text + "\n" for text in queries(texts, rng))
        print(name, len(texts), "texts, mean", sum(map(len, texts)) // len(texts), "characters")


main()
