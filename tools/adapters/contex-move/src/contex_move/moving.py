"""The way of a record into a project, and the report of what became of all of them."""
from __future__ import annotations

import json
import os
import random
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Callable

from contex_client import Contex, ContexError, NotFoundError, PublishItem
from contex_client.errors import BadRequestError, InvalidError, LimitedError, NoAnswerError, TooLargeError, UnavailableError

from .sources import Record, Source

#: Of a request: records, and about the bytes of their JSON.
BATCH = 200
BATCH_BYTES = 2 << 20
#: Of the vectors that Contex keeps; shorter ones are filled up with zeros, which changes no cosine.
DIMENSION = 384
#: Records that are read back at the end.
COMPARED = 50


class MoveFailed(Exception):
    pass


@dataclass
class Report:
    source: str
    project: str
    counted: int | None = None
    read: int = 0
    published: int = 0
    #: The same was there already.
    unchanged: int = 0
    #: By code, with an id for each.
    refused: dict[str, int] = field(default_factory=dict)
    refused_ids: dict[str, str] = field(default_factory=dict)
    #: What has no place in Contex: kind -> how many records.
    left_out: dict[str, int] = field(default_factory=dict)
    without_text: int = 0
    documents_before: int = 0
    documents: int | None = None
    compared: int = 0
    different: list[str] = field(default_factory=list)
    dry_run: bool = False
    resumed: bool = False
    seconds: float = 0

    @property
    def complete(self) -> bool:
        """All that was counted was read, and is there as it was read."""
        refused = sum(self.refused.values())
        return (self.counted in (None, self.read) and not refused and not self.different
                and (self.dry_run or self.documents == self.documents_before + self.read))

    def text(self) -> str:
        lines = [f"{self.source} -> project {self.project}" + (" (dry run: nothing was published)" if self.dry_run else "")]
        lines.append(f"  records in the source   {self.counted if self.counted is not None else 'not known'}")
        lines.append(f"  read                    {self.read}" + (", some of them by an earlier run" if self.resumed else ""))
        if not self.dry_run:
            lines.append(f"  published               {self.published}, {self.unchanged} were there already")
            lines.append(f"  documents in the project {self.documents}, {self.documents_before} of them from before")
            lines.append(f"  read back and compared  {self.compared}, different: {len(self.different)} {' '.join(self.different[:5])}".rstrip())
        if self.without_text:
            lines.append(f"  without a text          {self.without_text}: all their fields are the document")
        lines += [f"  left out: {what} ({count} records)" for what, count in sorted(self.left_out.items())]
        lines += [f"  refused: {code} ({count} records, for instance {self.refused_ids[code]})" for code, count in sorted(self.refused.items())]
        lines.append("complete" if self.complete else "NOT COMPLETE: the counts differ or something was refused")
        return "\n".join(lines)


def item_of(record: Record, prefix: str, keep_vectors: bool, report: Report) -> PublishItem:
    """What is published of a record: as the adapters for frameworks keep theirs, so that their stores find it."""
    item: PublishItem = {"data_key": prefix + record.id}
    if record.text is not None:
        item["data"], item["data_format"] = {"text": record.text}, "json"
        if record.fields:
            item["metadata"] = record.fields
    else:
        report.without_text += 1
        item["data"], item["data_format"] = record.fields, "json"
    if record.vector is not None:
        if not keep_vectors:
            _count(report.left_out, "vectors; the server's model makes its own")
        elif len(record.vector) > DIMENSION:
            _count(report.left_out, f"vectors of {len(record.vector)} numbers, over {DIMENSION}; the server's model makes its own")
        else:
            item["vector"] = [*record.vector, *[0.0] * (DIMENSION - len(record.vector))]
    for name in record.other_vectors:
        _count(report.left_out, f"the vector {name!r}: a document has one")
    return item


def _count(counts: dict[str, int], key: str) -> None:
    counts[key] = counts.get(key, 0) + 1


class State:
    """What a run that was cut off has done: the mark behind the last acknowledged batch, and the report so far."""

    def __init__(self, path: str):
        self.path = path

    def load(self, source: str, project: str) -> tuple[Any, Report | None]:
        try:
            with open(self.path, encoding="utf-8") as file:
                kept = json.load(file)
        except FileNotFoundError:
            return None, None
        except ValueError:
            raise MoveFailed(f"{self.path} is no state of a move: remove it, or begin anew with --restart") from None
        report = Report(**kept["report"])
        if (report.source, report.project) != (source, project):
            raise MoveFailed(f"{self.path} is of another move ({report.source} to {report.project}): name another --state, or --restart")
        return kept["mark"], report

    def save(self, mark: Any, report: Report) -> None:
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump({"mark": mark, "report": asdict(report)}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.path + ".new", self.path)

    def remove(self) -> None:
        if os.path.exists(self.path):
            os.remove(self.path)


def move(
    source: Source, contex: Contex, project: str, *, prefix: str = "", keep_vectors: bool = False, state: State | None = None, restart: bool = False,
    add: bool = False, dry_run: bool = False, progress: Callable[[Report], None] = lambda _: None, patience: float = 300, seed: int = 0,
) -> Report:
    """Moves all records of a source. Called again after it was cut off it goes on; a record that was sent twice is the same again, and no event."""
    mark, report = (None, None) if restart or state is None or dry_run else state.load(source.name, project)
    if report is None:
        report = Report(source.name, project, counted=source.count(), dry_run=dry_run)
        report.documents_before = documents_of(contex, project)
        if report.documents_before and not add and not dry_run:
            raise MoveFailed(f"the project {project} has {report.documents_before} documents: another one, or --add (keys that are there are replaced)")
        if state is not None and not dry_run:
            state.save(None, report)  # before anything is published: a run that is killed now has begun
    else:
        report.resumed = True
    started = time.monotonic() - report.seconds
    target, chance = contex.project(project), random.Random(seed)
    sample: list[PublishItem] = []
    batch: list[PublishItem] = []
    size, last = 0, mark

    def flush() -> None:
        nonlocal batch, size
        if batch and not dry_run:
            for item, outcome in zip(batch, publish(target, batch, patience)):
                if isinstance(outcome, ContexError):
                    _count(report.refused, outcome.code or str(outcome.status))
                    report.refused_ids.setdefault(outcome.code or str(outcome.status), item["data_key"])
                elif outcome.unchanged:
                    report.unchanged += 1
                else:
                    report.published += 1
        report.seconds = time.monotonic() - started
        if state is not None and not dry_run:
            state.save(last, report)
        batch, size = [], 0
        progress(report)

    for record in source.records(mark):
        item = item_of(record, prefix, keep_vectors, report)
        about = len(json.dumps(item))
        if batch and (len(batch) >= BATCH or size + about > BATCH_BYTES):
            flush()
        batch.append(item)
        size, last = size + about, record.mark
        report.read += 1
        # Each record of this run is as likely as any other to be among those that are read back.
        if len(sample) < COMPARED:
            sample.append(item)
        elif (place := chance.randrange(report.read)) < COMPARED:
            sample[place] = item
    flush()
    if not dry_run:
        compare(target, sample, report)
        report.documents = documents_of(contex, project)
        if state is not None and report.complete:
            state.remove()
    return report


def publish(target: Any, batch: list[PublishItem], patience: float) -> list[Any]:
    """Again and again while the server is busy, away or without room; what is equal to what its key has changes nothing."""
    deadline, pause = time.monotonic() + patience, 0.5
    while True:
        try:
            outcomes: list[Any] = target.publish_many(batch)
            passing = [one for one in outcomes if isinstance(one, (LimitedError, UnavailableError))]
            if not passing:
                return outcomes
            error: ContexError = passing[0]
        except (NoAnswerError, LimitedError, UnavailableError) as failure:
            error = failure
        except (InvalidError, BadRequestError, TooLargeError) as refused:
            # A request is refused whole for one item that has not the form of a publish: which, the halves tell.
            if len(batch) == 1:
                return [refused]
            half = len(batch) // 2
            return publish(target, batch[:half], patience) + publish(target, batch[half:], patience)
        if time.monotonic() + pause > deadline:
            raise MoveFailed(f"the server does not take it: {error}") from error
        time.sleep(max(pause, error.retry_after or 0))
        pause = min(2 * pause, 10)


def documents_of(contex: Contex, project: str) -> int:
    return next((found.documents for found in contex.projects() if found.project_id == project), 0)


def compare(target: Any, sample: list[PublishItem], report: Report) -> None:
    """Reads some records back."""
    refused = set(report.refused_ids.values())
    for item in sample:
        if item["data_key"] in refused:
            continue
        report.compared += 1
        try:
            found = target.get(item["data_key"])
            same = found.data == item["data"] and (found.metadata or {}) == (item.get("metadata") or {})
        except NotFoundError:
            same = False
        if not same:
            report.different.append(item["data_key"])
