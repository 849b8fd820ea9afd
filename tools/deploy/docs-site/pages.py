"""The pages of tools/docs-site: docs/ and README, with links that leave docs/ turned into the names of files, and the API's reference.

The reference is what a server says of itself at /openapi.json: a page a tag, every operation with its fields and example.
"""
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = os.environ.get("CONTEX_BINARY") or str(ROOT / ".build/release/contex")
MODEL = os.environ.get("CONTEX_MODEL_DIR") or str(ROOT / ".models/all-MiniLM-L6-v2")
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")


def openapi():
    with tempfile.TemporaryDirectory() as folder, socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
        place.close()
        server = subprocess.Popen([BINARY, "serve", "--data-dir", folder + "/data", "--model-dir", MODEL, "--http-port", str(port), "--resp-port", "off",
                                   "--wire-port", "off"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(600):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json") as answer:
                        return json.load(answer)
                except OSError:
                    if server.poll() is not None:
                        break
                    time.sleep(0.1)
        finally:
            server.terminate()
            server.wait()
    sys.exit(f"docs-site: FAILED: {BINARY} gave no /openapi.json")


def page(path, text):
    """A document with its links as they stand in the site."""
    def replaced(found):
        words, target = found[1], found[2]
        place, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target) or not place:
            return found[0]
        file = (path.parent / place).resolve()
        if not file.exists():
            sys.exit(f"docs-site: FAILED: {path.relative_to(ROOT)} links to {target}, which is not there")
        if file.is_relative_to(ROOT / "docs") and file.is_file():
            base = ROOT / "docs" if path.parent == ROOT else path.parent
            return f"[{words}]({os.path.relpath(file, base)}{'#' + anchor if anchor else ''})"
        if file.is_dir() and file.is_relative_to(ROOT / "docs"):
            return f"{words} (`{file.relative_to(ROOT)}`)"
        name = str(file.relative_to(ROOT))
        return words if name in words else f"{words} (`{name}`)"
    parts = re.split(r"(^```.*?^```|`[^`\n]+`(?!\]))", text, flags=re.M | re.S)
    return "".join(part if at % 2 else LINK.sub(replaced, part) for at, part in enumerate(parts))


def schema_words(schema, document):
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](schemas.md#{name.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(schema_words(one, document) for one in schema[several]))
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"list of {schema_words(schema.get('items', {}), document)}"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    bounds = [f"{words} {schema[name]}" for name, words in (("minimum", "from"), ("maximum", "to"), ("minLength", "at least"), ("maxLength", "at most"))
              if name in schema]
    return " ".join([kind, *bounds])


def cell(text):
    return " ".join(str(text).split()).replace("|", "\\|")


def members(schema, document):
    needed = schema.get("required", [])
    lines = ["| member | type | meaning |", "|---|---|---|"]
    for name, one in schema.get("properties", {}).items():
        default = f" Default: `{json.dumps(one['default'], ensure_ascii=False)}`." if "default" in one else ""
        lines.append(f"| `{name}`{'' if name in needed else '?'} | {cell(schema_words(one, document))} | {cell(one.get('description', '') + default)} |")
    return lines if len(lines) > 2 else []


def reference(folder, document):
    folder.mkdir()
    tags = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tags.setdefault((operation.get("tags") or ["other"])[0], []).append((method.upper(), path, operation))
    index = ["# API reference", "",
             f"HTTP API {document['info'].get('version', '')}, as a server describes itself at `/openapi.json`. `?`: may be left out.", ""]
    for tag, operations in sorted(tags.items()):
        name = re.sub(r"\W+", "-", tag.lower()).strip("-")
        index += [f"## [{tag}]({name}.md)", "", "| | |", "|---|---|"]
        lines = [f"# {tag}", ""]
        for method, path, operation in operations:
            title = f"{method} {path}"
            index.append(f"| `{title}` | {cell(operation.get('summary', ''))} |")
            lines += [f"## `{title}`", "", operation.get("summary", ""), "", operation.get("description", ""), ""]
            parameters = operation.get("parameters", [])
            if parameters:
                lines += ["| parameter | in | type | meaning |", "|---|---|---|---|"]
                lines += [f"| `{one['name']}`{'' if one.get('required') else '?'} | {one['in']} | {cell(schema_words(one.get('schema', {}), document))} "
                          f"| {cell(one.get('description', ''))} |" for one in parameters] + [""]
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                schema = content.get("schema", {})
                lines += [f"Body, `{kind}`: {schema_words(schema, document)}", ""]
                lines += [*members(schema, document), ""]
                if "example" in content:
                    lines += ["```json", json.dumps(content["example"], indent=2, ensure_ascii=False), "```", ""]
            lines += ["| status | |", "|---|---|"]
            lines += [*(f"| {status} | {cell(answer.get('description', ''))} |" for status, answer in operation["responses"].items()), ""]
        (folder / f"{name}.md").write_text("\n".join(lines))
        index.append("")
    schemas = document.get("components", {}).get("schemas", {})
    lines = ["# Schemas", ""]
    for name, schema in sorted(schemas.items()):
        lines += [f"## {name}", "", schema.get("description", ""), "", *members(schema, document), ""]
    (folder / "schemas.md").write_text("\n".join(lines))
    (folder / "index.md").write_text("\n".join(index))
    return sum(map(len, tags.values()))


def main():
    target = pathlib.Path(sys.argv[1])
    for path in sorted((ROOT / "docs").rglob("*")):
        if path.is_file():
            copy = target / path.relative_to(ROOT / "docs")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(page(path, path.read_text())) if path.suffix == ".md" else copy.write_bytes(path.read_bytes())
    (target / "index.md").write_text(page(ROOT / "README.md", (ROOT / "README.md").read_text()))
    print(f"docs-site: {reference(target / 'reference', openapi())} operations in the reference")


if __name__ == "__main__":
    main()
