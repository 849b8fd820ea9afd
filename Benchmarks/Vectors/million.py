#!/usr/bin/env python3
"""A million real short texts, one a line: Debian's synopses and descriptions (texts.py), and sentences of dictionaries, manuals
and other books that Debian packages.

    million.py FOLDER [count]     writes FOLDER/million.txt, 1,001,000 lines unless told otherwise

The packages below are downloaded and unpacked in FOLDER/apt, not installed. Sentences are taken as texts.py takes them (30 to 300
characters, each once), when they have five words and are letters for the most part. The order is that of the texts' SHA-256: as good
as random, so that every tenth is a sample of the whole. The last 1,000 lines are the queries.
"""
import gzip
import hashlib
import html
import os
import re
import subprocess
import sys

PACKAGES = """cppreference-doc-en-html debian-policy developers-reference dict-foldoc dict-gcide dict-jargon erlang-doc fortunes
    gimp-help-en git-doc libboost1.74-doc libgtk-4-doc libreoffice-help-en-us linux-doc-6.1 llvm-14-doc octave-doc openjdk-17-doc perl-doc
    postgresql-doc-15 python3.11-doc python-django-doc python-pandas-doc python-scipy-doc python-sqlalchemy-doc qtbase5-doc-html rust-doc
    sqlite3-doc wordnet-base""".split()

HIDDEN = re.compile(r"<(script|style|pre|head|nav|code)\b.*?</\1>|<!--.*?-->", re.DOTALL | re.IGNORECASE)
BLOCK = re.compile(r"</?(p|div|li|ul|ol|td|th|tr|table|h\d|dt|dd|dl|br|section|blockquote|body|article)\b[^>]*>", re.IGNORECASE)
TAG = re.compile(r"<[^>]*>")


def paragraphs(path):
    name = os.path.basename(path)
    opened = gzip.open if name.endswith((".gz", ".dz")) else open
    with opened(path, "rb") as file:
        text = file.read().decode("utf-8", errors="replace")
    name = name.removesuffix(".gz").removesuffix(".dz")
    if name.endswith((".html", ".htm")):
        # Code within a sentence stays; code that stands alone is no sentence.
        text = re.sub(r"</?(code|tt|var|em|a)\b[^>]*>", "", text, flags=re.IGNORECASE)
        yield from html.unescape(TAG.sub(" ", BLOCK.sub("\n\n", HIDDEN.sub("\n\n", text)))).split("\n\n")
    elif name.startswith("data.") and "wordnet" in path:
        # A synset's gloss: a definition and quoted examples.
        for line in text.splitlines():
            for part in re.split(r"; ", line.partition(" | ")[2]):
                yield part.strip(' "')
    elif name.endswith((".txt", ".rst", ".pod", ".dict")) or "/games/fortunes/" in path and "." not in name:
        # Entries of dictionaries and indented examples begin with a line that stands farther out.
        yield from re.split(r"\n\s*\n|\n%\n|\n\s*\[1913 Webster\]\n", text)


def sentences(paragraph):
    for sentence in re.split(r"(?<=[.!?]) ", " ".join(paragraph.split())):
        if 30 <= len(sentence) <= 300 and sentence.count(" ") >= 4:
            if sum(c.isalpha() or c == " " for c in sentence) >= 0.88 * len(sentence) and sentence.isprintable():
                yield sentence


def main():
    folder = os.path.abspath(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1_001_000
    here = os.path.dirname(os.path.abspath(__file__))
    lists, cache = f"{folder}/apt/lists", f"{folder}/apt/cache"
    os.makedirs(f"{folder}/apt/all", exist_ok=True)
    # All that there is, apart from the 101,000 that the other parts use.
    subprocess.run([sys.executable, f"{here}/texts.py", f"{folder}/apt/all", "10000000"], check=True)
    with open(f"{folder}/apt/all/texts.txt", encoding="utf-8") as file:
        texts = set(file.read().splitlines())
    print(f"{len(texts)} of descriptions")
    debs, unpacked = f"{folder}/apt/debs", f"{folder}/apt/unpacked"
    os.makedirs(debs, exist_ok=True)
    lists = f"{folder}/apt/all/apt/lists"
    options = ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={folder}/apt/all/apt/cache"]
    for package in PACKAGES:
        if not os.path.isdir(f"{unpacked}/{package}"):
            subprocess.run(["apt-get", "-qq", *options, "download", package], cwd=debs, check=True)
            deb = next(name for name in os.listdir(debs) if name.startswith(package + "_"))
            os.makedirs(f"{unpacked}/{package}")
            subprocess.run(["dpkg-deb", "-x", f"{debs}/{deb}", f"{unpacked}/{package}"], check=True)
        before = len(texts)
        for at, _, names in os.walk(f"{unpacked}/{package}"):
            for name in names:
                path = f"{at}/{name}"
                if not os.path.islink(path):
                    for paragraph in paragraphs(path):
                        texts.update(sentences(paragraph))
        print(f"{len(texts) - before} of {package}", flush=True)
    if len(texts) < count:
        sys.exit(f"only {len(texts)} texts")
    ordered = sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest())[:count]
    with open(f"{folder}/million.txt", "w", encoding="utf-8") as out:
        out.writelines(text + "\n" for text in ordered)
    print(f"{count} of {len(texts)} texts")


main()
