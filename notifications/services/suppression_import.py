"""Many addresses for the suppression list at once: from CSV files (RFC 4180) and JSON, and out again as CSV.

Columns: ``address`` (also called email, phone, …), and if there are any ``channel`` (else it follows from the
address), ``reason`` (else manual), ``detail``, ``expires_at`` (ISO 8601 with offset). Exports of providers have more
columns; those are ignored. A file with addresses alone needs no heading.
"""

from __future__ import annotations

import csv
import datetime as dt
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils.dateparse import parse_datetime

from accounts.models import Organization
from castcomm.common.errors import InvalidInput
from notifications.models import Suppression, SuppressionReason
from notifications.services.suppressions import Entry, checked_entry, put_on_list
from notifications.vocabulary import Channel

MAX_ROWS = 10_000  # in one call of the API or the admin; the command takes any number
BATCH = 1_000
MAX_ERRORS = 100  # told one by one; the rest is counted

FIELDS = ("channel", "address", "reason", "detail", "expires_at")
_ADDRESS_NAMES = frozenset(
    {"address", "email", "e-mail", "emailaddress", "phone", "phonenumber", "number", "recipient"}
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was given. ``line`` is its line in the file, from 1, or its position in a list, from 0.

    ``strict`` refuses fields that the list has not, where somebody wrote them for CastComm.
    """

    line: int
    fields: Mapping[str, Any]
    strict: bool = False


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row was not taken: the field, a code for programs, a sentence."""

    line: int
    attr: str
    code: str
    message: str


@dataclass(slots=True)
class ImportReport:
    """What came of an import. ``unchanged`` were there for a stronger reason, or twice in the file. ``kept`` are the
    addresses, changed or not, for which the list keeps a stronger reason or a later end than the file gives."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    kept: int = 0
    refused: int = 0
    errors: list[RowError] = field(default_factory=list)

    def refuse(self, line: int, error: InvalidInput) -> None:
        self.refused += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(RowError(line, error.attr or "", error.code, error.message))


class _NothingTaken(Exception):
    """Rolls back."""


def import_suppressions(
    *, organization: Organization, rows: Iterable[Row], all_or_nothing: bool = False
) -> ImportReport:
    """Put the rows on the list in batches and say which were not taken, and why.

    With ``all_or_nothing`` one wrong row keeps all from being written; the report then has the errors alone. Without
    it, rows that cannot even be read (InvalidInput out of ``rows``) end the import with an error of its own.
    """
    report = ImportReport()
    if not all_or_nothing:
        _import_batches(organization, rows, report)
        return report
    try:
        with transaction.atomic():
            _import_batches(organization, rows, report)
            if report.refused:
                raise _NothingTaken
    except _NothingTaken:
        report.added = report.changed = report.unchanged = report.kept = 0
    return report


def _import_batches(organization: Organization, rows: Iterable[Row], report: ImportReport) -> None:
    given = iter(rows)
    line = 0
    is_more = True
    while is_more:
        batch: list[Entry] = []
        count = 0
        try:
            for row in itertools.islice(given, BATCH):
                count += 1
                line = row.line
                _check_into(row, batch, report)
        except InvalidInput as error:
            report.refuse(line + 1, error)
        done = put_on_list(organization_id=organization.id, entries=batch)
        report.added += done.added
        report.changed += done.changed
        report.unchanged += len(batch) - done.added - done.changed
        report.kept += done.kept
        is_more = count == BATCH


def _check_into(row: Row, batch: list[Entry], report: ImportReport) -> None:
    try:
        unknown = sorted(row.fields.keys() - set(FIELDS)) if row.strict else []
        if unknown:
            raise InvalidInput("There is no such field.", attr=unknown[0], code="unknown_field")
        batch.append(_entry(row.fields))
    except InvalidInput as error:
        report.refuse(row.line, error)


def _entry(fields: Mapping[str, Any]) -> Entry:
    for name in FIELDS:
        if not isinstance(fields.get(name) or "", str):
            raise InvalidInput("This must be text.", attr=name)
    given = {name: (fields.get(name) or "").strip() for name in FIELDS}
    if not given["address"]:
        raise InvalidInput("This is needed.", attr="address", code="required")
    return checked_entry(
        channel=given["channel"].lower() or _channel_of(given["address"]),
        address=given["address"],
        reason=given["reason"].lower() or SuppressionReason.MANUAL,
        detail=given["detail"],
        expires_at=_moment(given["expires_at"]),
    )


def _channel_of(address: str) -> str:
    if "@" in address:
        return Channel.EMAIL
    if any(one.isdigit() for one in address):
        return Channel.SMS
    raise InvalidInput("This is neither an e-mail address nor a phone number.", attr="address")


def _moment(text: str) -> dt.datetime | None:
    if not text:
        return None
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None or found.utcoffset() is None:
        raise InvalidInput("Write it like 2030-01-31T12:00:00Z.", attr="expires_at")
    return found


def bounded(rows: Iterable[Row]) -> list[Row]:
    """All rows in memory; raises InvalidInput for more than MAX_ROWS, and for what cannot be read."""
    found = list(itertools.islice(rows, MAX_ROWS + 1))
    if len(found) > MAX_ROWS:
        raise InvalidInput(
            f"At most {MAX_ROWS} rows at once; manage.py import_suppressions takes more.",
            attr="rows",
            code="too_many",
        )
    return found


def read_csv(content: Iterable[bytes]) -> Iterator[Row]:
    """The rows of a CSV file in UTF-8, given in pieces that end at line ends; comma, semicolon or tab between columns.

    Raises InvalidInput (attr ``file``), while it is read, for what is no such file.
    """
    lines = _text(content)
    first = next(lines, "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(itertools.chain([first], lines), delimiter=delimiter, strict=True)
    columns: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            if columns is None and any(cells):
                columns, is_heading = _columns(cells)
                if is_heading:
                    line = reader.line_num + 1
                    continue
            if columns is not None and any(cell.strip() for cell in cells):
                yield Row(line, dict(zip(columns, cells, strict=False)))
            line = reader.line_num + 1
    except csv.Error as error:
        raise InvalidInput(f"This is no CSV: {error} (line {reader.line_num}).", attr="file") from error


def _text(content: Iterable[bytes]) -> Iterator[str]:
    for number, piece in enumerate(content, start=1):
        try:
            yield piece.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InvalidInput(f"The file is not UTF-8 (line {number}).", attr="file") from error


def _columns(cells: list[str]) -> tuple[list[str], bool]:
    """The fields of the columns, and whether this first line named them."""
    names = [cell.strip().lower().replace(" ", "_") for cell in cells]
    named = [position for position, name in enumerate(names) if name.replace("_", "") in _ADDRESS_NAMES]
    if len(named) > 1:
        raise InvalidInput("Only one column may be the address.", attr="file")
    if named:
        names[named[0]] = "address"
        return names, True
    if len([name for name in names if name]) == 1 and ("@" in names[0] or names[0].startswith("+")):
        return ["address"], False
    raise InvalidInput("The first line must name the columns; one of them is address.", attr="file")


def csv_rows(rows: Iterable[Suppression]) -> Iterator[list[str]]:
    """The list as rows of CSV, heading first; ``read_csv`` takes them back."""
    yield list(FIELDS)
    for row in rows:
        ends = row.expires_at.isoformat() if row.expires_at else ""
        yield [row.channel, _harmless(row.address), row.reason, _harmless(row.detail), ends]


def _harmless(text: str) -> str:
    """Text that a spreadsheet does not take for a formula; phone numbers begin with + and may."""
    is_formula = text[:1] in {"=", "-", "@", "\t", "\r"} or (text[:1] == "+" and not text[1:].isdigit())
    return f"'{text}" if is_formula else text
