#!/usr/bin/env python3
"""Writes the demo's lake: examples/data/lake/raw/..., the files that `meesh demo` serves from its S3 bucket `lake`.

The files are small and committed; this script says how they came to be. It needs pyarrow, draws from a
fixed seed, and writes the same rows on every run.

    python examples/data/make_lake.py
"""

import datetime as dt
import json
import random
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

RAW = Path(__file__).parent / "lake" / "raw"
DAYS = [dt.date(2026, 3, day) for day in range(1, 8)]

# email, and how keen the customer is: visits a day, about
VISITORS = [
    ("ada.becker@example.com", 3), ("bruno.costa@example.com", 2), ("david.ekberg@example.com", 1),
    ("elena.farkas@example.com", 2), ("felix.grabowski@example.com", 2), ("greta.holm@example.com", 2),
    ("hugo.iversen@example.com", 1), ("ines.jurado@example.com", 3), ("jonas.keller@example.com", 1),
    ("mila.novak@example.com", 4), ("niels.olsen@example.com", 1), ("olga.petrova@example.com", 1),
    ("chiara.damiani@example.com", 1), ("rosa.santos@example.com", 1), (None, 14),
]
PAGES = ["/", "/products/sensors", "/products/gateways", "/products/storage", "/analytics", "/pricing", "/support"]
REFERRERS = [None, None, "https://search.example/", "https://social.example/feed", "https://news.example/iot?id=7"]
DEVICES = ["desktop", "mobile", "tablet"]

TRAFFIC = pa.schema([
    pa.field("visit_id", pa.int64(), nullable=False),
    pa.field("visited_at", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("customer_email", pa.string()),
    pa.field("page", pa.string(), nullable=False),
    pa.field("referrer", pa.string()),
    pa.field("device", pa.dictionary(pa.int8(), pa.string())),
    pa.field("duration_seconds", pa.int32(), nullable=False),
    pa.field("scroll_depth", pa.float64()),
    pa.field("converted", pa.bool_(), nullable=False),
])


def website_traffic(rng: random.Random) -> None:
    """One Parquet file a day, below `date=YYYY-MM-DD/`."""
    visit_id = 70000
    for day in DAYS:
        rows = []
        for email, keenness in VISITORS:
            for _ in range(rng.randint(max(0, keenness - 1), keenness + 1)):
                second = rng.randint(6 * 3600, 22 * 3600)
                since_midnight = dt.timedelta(seconds=second, milliseconds=rng.randint(0, 999))
                rows.append({
                    "visited_at": dt.datetime.combine(day, dt.time(), dt.UTC) + since_midnight,
                    "customer_email": email, "page": rng.choice(PAGES),
                    "referrer": rng.choice(REFERRERS), "device": rng.choices(DEVICES, [6, 3, 1])[0],
                    "duration_seconds": rng.randint(3, 900),
                    "scroll_depth": rng.choice([None, 0.25, 0.5, 0.75, 1.0]),
                    "converted": email is not None and rng.random() < 0.15,
                })
        rows.sort(key=lambda row: row["visited_at"])
        for row in rows:
            visit_id += 1
            row["visit_id"] = visit_id
        folder = RAW / "website_traffic" / f"date={day}"
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=TRAFFIC), folder / "part-0.parquet", compression="zstd")


def regional_targets() -> None:
    """A CSV with quoted commas, an unquoted empty field (NULL) and a quoted one ('')."""
    rows = [
        ("region", "quarter", "target", "manager", "confirmed", "remark"),
        ("north", "2026-Q1", "12000.00", "Sørensen, Kim", "true", '"stretch", says Kim'),
        ("south", "2026-Q1", "18000.00", "Rossi, Gianna", "true", None),
        ("east", "2026-Q1", "20000.00", "Horák, Jan", "true", ""),
        ("west", "2026-Q1", "4000.00", "Meier, Ruth", "false", "new territory"),
        ("north", "2026-Q2", "14000.50", "Sørensen, Kim", "false", None),
        ("south", "2026-Q2", "21000.00", "Rossi, Gianna", "false", None),
        ("east", "2026-Q2", "22500.00", None, "false", "Jan is leaving"),
        ("west", "2026-Q2", "6000.00", "Meier, Ruth", "false", None),
    ]
    with open(RAW / "regional_targets.csv", "w", newline="", encoding="utf-8") as file:
        for row in rows:
            file.write(",".join(_csv_field(value) for value in row) + "\n")


def _csv_field(value: str | None) -> str:
    if value is None:
        return ""
    if value == "" or any(c in value for c in ',"\n'):
        return '"' + value.replace('"', '""') + '"'
    return value


def support_tickets() -> None:
    """Newline-delimited JSON: a nested customer, a list of tags, a list of messages, and fields that come and go."""
    def ticket(number, opened, email, region, priority, status, subject, tags, messages, satisfaction=None):
        row = {
            "ticket_id": number, "opened_at": opened, "customer": {"email": email, "region": region},
            "priority": priority, "status": status, "subject": subject, "tags": tags,
            "messages": [{"author": author, "text": text} for author, text in messages],
        }
        if satisfaction is not None:
            row["satisfaction"] = satisfaction
        return row

    felix = "felix.grabowski"
    tickets = [
        ticket(9001, "2026-02-24T09:12:00Z", "ada.becker@example.com", "north", "low", "closed", "Invoice address",
               ["billing"], [("ada.becker", "Please change our street."), ("support", "Done.")], 5.0),
        ticket(9002, "2026-02-26T14:40:31Z", "felix.grabowski@example.com", "east", "high", "closed", "Gateway reboots",
               ["hardware", "gateway"], [(felix, "Every night at 2:00."), ("support", "Firmware 2.1 helps.")], 3.5),
        ticket(9003, "2026-03-01T07:05:00Z", "ines.jurado@example.com", "south", "medium", "open", "Sensor drifts",
               ["hardware"], [("ines.jurado", "Two degrees too high \u2014 in the sun.")]),
        ticket(9004, "2026-03-02T10:59:59Z", "mila.novak@example.com", "east", "high", "open", "Export fails",
               ["software", "analytics"], [("mila.novak", "Error 500 on CSV export."), ("support", "We see it, too.")]),
        ticket(9005, "2026-03-02T16:21:10Z", "greta.holm@example.com", "north", "low", "closed", "How to add a user?",
               ["software"],
               [("greta.holm", "Where?"), ("support", "Settings, Users."), ("greta.holm", "Thanks!")], 4.5),
        ticket(9006, "2026-03-03T12:00:00Z", None, None, "low", "closed", "(spam)", [], []),
        ticket(9007, "2026-03-04T08:30:45Z", "mila.novak@example.com", "east", "medium", "open", "Second site",
               ["billing"], [("mila.novak", "Can we have one invoice for both?")]),
        ticket(9008, "2026-03-05T19:44:02Z", "bruno.costa@example.com", "south", "medium", "closed",
               "Delivery at the gate", ["delivery"],
               [("bruno.costa", "The gate was open."), ("support", "We'll tell the driver.")], 4.0),
        ticket(9009, "2026-03-06T11:11:11Z", "elena.farkas@example.com", "east", "low", "open", "Student discount",
               ["billing"], [("elena.farkas", "Does it cover \"Pro\"?")]),
        ticket(9010, "2026-03-07T20:02:03Z", "felix.grabowski@example.com", "east", "high", "open",
               "Gateway reboots again", ["hardware", "gateway"], [(felix, "Now at 3:00.")]),
    ]
    with open(RAW / "support_tickets.ndjson", "w", encoding="utf-8") as file:
        for row in tickets:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def costs() -> None:
    """A JSON array, pretty-printed over many lines."""
    rows = [
        {"campaign_id": campaign, "month": month, "kind": kind, "amount": amount,
         "invoice": invoice and {"number": invoice[0], "paid": invoice[1]}}
        for campaign, month, kind, amount, invoice in [
            (1, "2026-02-01", "agency", 450.0, ("A-17", True)),
            (2, "2026-02-01", "agency", 900.5, ("A-18", True)),
            (3, "2026-02-01", "booth", 4200.0, ("M-02", True)),
            (3, "2026-02-01", "travel", 1310.25, None),
            (4, "2026-02-01", "design", 300.0, ("D-91", False)),
            (7, "2026-03-01", "design", 640.75, ("D-95", False)),
            (None, "2026-03-01", "overhead", 1000.0, None),
        ]
    ]
    (RAW / "costs.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    shutil.rmtree(RAW, ignore_errors=True)
    RAW.mkdir(parents=True)
    website_traffic(random.Random(20260301))
    regional_targets()
    support_tickets()
    costs()
    for path in sorted(RAW.rglob("*")):
        if path.is_file():
            print(f"{path.relative_to(RAW.parent)}  {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
