"""contex-move: collections of other stores into a project of Contex."""
from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import asdict

from contex_client import Contex, ContexError

from .moving import MoveFailed, Report, State, move
from .sources import Chroma, Lines, Qdrant, Source, SourceFailed


def arguments_of(given: list[str] | None) -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--project", required=True, help="where to; it has to be empty, or --add")
    common.add_argument("--url", help="the Contex server (CONTEX_URL, else http://localhost:8001); its key is CONTEX_API_KEY")
    common.add_argument("--prefix", default="", help="put before every id: the key of the document")
    common.add_argument("--vectors", action="store_true", help="keep vectors of up to 384 numbers; else the server's model embeds the texts")
    common.add_argument("--add", action="store_true", help="into a project that has documents")
    common.add_argument("--dry-run", action="store_true", help="read all and say what would be done")
    common.add_argument("--state", help="file of what is done, for a run that goes on (.contex-move-PROJECT.json)")
    common.add_argument("--restart", action="store_true", help="begin at the first record, whatever an earlier run has done; what is there stays")
    common.add_argument("--json", action="store_true", help="print the report as JSON")
    common.add_argument("--quiet", action="store_true", help="no progress")
    parser = argparse.ArgumentParser(prog="contex-move", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for name, what in (("chroma", "a server (http://...) or a folder"), ("qdrant", "a server (http://...) or a folder of the local mode")):
        kind = kinds.add_parser(name, parents=[common])
        kind.add_argument("place", help=what)
        kind.add_argument("collection")
        if name == "qdrant":
            kind.add_argument("--text", metavar="FIELD", help="the field of the payload with the text; else a usual name is looked for")
            kind.add_argument("--vector-name", help="which of several vectors --vectors keeps")
    kind = kinds.add_parser("lines", parents=[common], description=Lines.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kind.add_argument("place", help="the file, also with gzip")
    kind.add_argument("--shape", choices=Lines.SHAPES, help="else it is seen at the first line")
    kind.add_argument("--text", metavar="FIELD")
    kind.add_argument("--id", default="id", metavar="FIELD", help="of flat lines (id)")
    kind.add_argument("--vector", default="embedding", metavar="FIELD", help="of flat lines and OpenSearch (embedding)")
    return parser.parse_args(given)


def source_of(arguments: argparse.Namespace) -> Source:
    if arguments.kind == "chroma":
        return Chroma(arguments.place, arguments.collection, arguments.vectors)
    if arguments.kind == "qdrant":
        return Qdrant(arguments.place, arguments.collection, arguments.text, arguments.vectors, arguments.vector_name)
    return Lines(arguments.place, arguments.text, arguments.shape, arguments.id, arguments.vector)


def show(report: Report) -> None:
    share = f" of {report.counted} ({100 * report.read / report.counted:.0f} %)" if report.counted else ""
    rate = report.read / report.seconds if report.seconds > 0 else 0
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"{report.read}{share}, {rate:.0f} a second", end=end, file=sys.stderr, flush=True)


def main(given: list[str] | None = None) -> int:
    arguments = arguments_of(given)
    path = arguments.state or f".contex-move-{re.sub(r'[^A-Za-z0-9_.-]', '_', arguments.project)}.json"
    try:
        with Contex(arguments.url) as contex:
            report = move(
                source_of(arguments), contex, arguments.project, prefix=arguments.prefix, keep_vectors=arguments.vectors, state=State(path),
                restart=arguments.restart, add=arguments.add, dry_run=arguments.dry_run, progress=show if not arguments.quiet else lambda _: None)
    except (SourceFailed, MoveFailed, ContexError, OSError) as error:
        print(f"contex-move: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\ncontex-move: cut off; the same command goes on ({path})", file=sys.stderr)
        return 1
    print(json.dumps({**asdict(report), "complete": report.complete}, indent=2) if arguments.json else report.text())
    return 0 if report.complete else 1


if __name__ == "__main__":
    sys.exit(main())
