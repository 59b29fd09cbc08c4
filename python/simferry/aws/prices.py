"""On-demand prices of SageMaker Processing, and the cost of jobs. docs/decisions/prices.md has their source.

An instance costs the same in an endpoint. Types that only endpoints have (t2) are 1.2 times the price of EC2.

The package has a dated table. `refresh` asks AWS's price list API, if the user wants it, and stores the answer in the user's cache
folder. It then replaces the package's table. Prices of the user's own, in the file that SIMFERRY_PRICES names, come before both.
"""

import csv
import datetime
import io
import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..errors import StoreError, UsageError
from ..hints import Command, Text, Variable
from ..system.files import cache_folder
from ..words import counted
from . import session
from .instances import instance

REGION = "us-east-1"  # its prices are used for regions that the table does not have
START_UP_SECONDS = 240.0  # from a job's start until its first replication; it is paid for
VARIABLE = "SIMFERRY_PRICES"
_REFRESH = Command("plan", ..., backend="sagemaker", refresh_prices=True) + "  asks AWS for today's prices."
_YOURS = Variable(VARIABLE, "prices.csv") + "  takes yours: a table with instance_type and dollars_per_hour."
REMEDY = Text(_REFRESH, "  ", _YOURS)  # for prices that are missing, or those of another region
_COLUMNS = ("region", "instance_type", "dollars_per_hour", "date")
_COMPUTED = "; types of the 6th and 7th generation: 1.2 x the price of EC2"


@dataclass(frozen=True)
class Price:
    """The price of an instance. region: of this price. date: YYYY-MM-DD. source: the table that has it."""

    dollars_per_hour: float
    region: str
    date: str
    source: str


@dataclass(frozen=True)
class Prices:
    """The prices of one region, in US dollars an hour, by instance type. asked: the region for which they are used. remark: on some
    of the types."""

    asked: str
    region: str
    date: str
    source: str
    dollars_per_hour: dict[str, float]
    remark: str = ""

    @property
    def note(self) -> str:
        """The region and the date of the prices."""
        other = "" if self.asked == self.region else f" ({self.asked} is not in the table)"
        return f"prices of {self.region}{other}, {self.date}, {self.source}{self.remark}"

    def of(self, instance_type: str) -> float:
        """US dollars an hour. Raises UsageError for a type that doesn't exist or has no price here."""
        if instance_type not in self.dollars_per_hour:
            instance(instance_type, hosting=True)  # does it exist? The nearest one is named
            raise UsageError(f"there is no price for {instance_type} among the {self.note}", REMEDY)
        return self.dollars_per_hour[instance_type]


def price(instance_type: str, region: str) -> Price:
    """The price of an instance for an hour. Raises UsageError for a type that does not exist or has no price there."""
    table = prices(region)
    return Price(table.of(instance_type), table.region, table.date, table.source)


def prices(region: str) -> Prices:
    """The user's own prices of a region, then the newest known ones; without any, those of us-east-1."""
    found, refreshed, own = _packaged(region), _cached(region), _own(region)
    if refreshed and (found is None or refreshed.date >= found.date):
        found = refreshed
    if own and found:
        remark = f"{found.remark}; {counted(len(own.dollars_per_hour), 'type')}: {own.source}"
        return replace(found, dollars_per_hour={**found.dollars_per_hour, **own.dollars_per_hour}, remark=remark)
    return own or found or replace(prices(REGION), asked=region)


def _own(region: str) -> Prices | None:
    """The prices in the user's file: rows of this region, then those without one."""
    if not (name := os.environ.get(VARIABLE)):
        return None
    path = Path(name).expanduser()
    try:
        of: dict[str, dict[str, float]] = {"": {}, region: {}}  # a price of the region wins, wherever it stands
        for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))):
            name, price = row["instance_type"].strip(), float(row["dollars_per_hour"])
            where = (row.get("region") or "").strip()
            if where in of and not 0 < price < math.inf:
                raise ValueError(f"the price of {name} is {price}")
            if where in of and of[where].setdefault(name, price) != price:
                raise ValueError(f"it has two prices of {name}")
        dollars = {**of[""], **of[region]}
        for name in dollars:
            instance(name, hosting=True)  # raises for a type that does not exist
        date = datetime.date.fromtimestamp(path.stat().st_mtime)
    except UsageError as error:
        raise UsageError(f"{VARIABLE}: {path}: {error.message}", error.hint) from None
    except KeyError as error:
        raise UsageError(f"{VARIABLE}: {path} has no column {error.args[0]}", _YOURS) from None
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{VARIABLE}: {path} is no table of prices ({why})", _YOURS) from None
    return Prices(region, region, date.isoformat(), f"{path.name} ({VARIABLE})", dollars) if dollars else None


@cache
def _packaged(region: str) -> Prices | None:
    text = files(__package__).joinpath("prices.csv").read_text(encoding="utf-8")
    return _read(text, region, "simferry's table")


def _cached(region: str) -> Prices | None:
    path = cache_file(region)
    try:
        found = _read(path.read_text(encoding="utf-8"), region, "AWS's price list")
        if found is None:
            raise ValueError(f"no rows of {region}")
        return found
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is no table of prices ({error})", "Remove it, or  " + _REFRESH) from None


def _read(text: str, region: str, source: str) -> Prices | None:
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row.get("region") == region]
    if not rows:
        return None
    dollars = {row["instance_type"]: float(row["dollars_per_hour"]) for row in rows}
    date = min(datetime.date.fromisoformat(row["date"]) for row in rows)
    computed = any(row.get("source") == "computed" for row in rows)
    return Prices(region, region, date.isoformat(), source, dollars, _COMPUTED if computed else "")


def cache_file(region: str) -> Path:
    """The file of refreshed prices."""
    return cache_folder() / f"prices-{region}.csv"


# ---- the price list API ----


def refresh(region: str) -> Prices:
    """Ask AWS for today's prices of a region, and store them. The credentials have to allow pricing:GetProducts."""
    from ..system.files import write_whole, writing

    dollars: dict[str, float] = {}
    # the API has three endpoints, for the prices of all regions
    client = session.client("pricing", "us-east-1")
    filters = {"productFamily": "ML Instance", "component": "Processing", "regionCode": region}
    with session.asking("the price list"):
        pages = client.get_paginator("get_products").paginate(
            ServiceCode="AmazonSageMaker",
            Filters=[{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in filters.items()],
        )
        for page in pages:
            for product in map(json.loads, page["PriceList"]):
                name = product["product"]["attributes"].get("instanceName", "")
                for hourly in _hourly(product):
                    dollars[name] = max(hourly, dollars.get(name, 0.0))
    dollars.pop("", None)
    if not dollars:
        raise session.AwsError(
            f"the price list has no prices of SageMaker Processing in {region}",
            "Is the region's name right?  " + Variable("AWS_DEFAULT_REGION", "us-west-2"),
        )
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerows([_COLUMNS, *((region, name, f"{dollars[name]:g}", date) for name in sorted(dollars))])
    path = cache_file(region)
    with writing(path, "XDG_CACHE_HOME names another folder."):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, table.getvalue().encode())
    return prices(region)


def _hourly(product: dict[str, Any]) -> Iterator[float]:
    """A product's on-demand prices, without one-off fees (other units) and free tiers (0 dollars)."""
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            dollars = float(dimension["pricePerUnit"].get("USD", 0))
            if dimension["unit"] in ("Hrs", "Hours") and dollars > 0:
                yield dollars


# ---- money ----

# US dollars for a GB of memory and a second, in us-east-1 (SageMaker's pricing page, November 2026); data cost 0.016 a GB in and out
SERVERLESS = 0.00002


def serverless_dollars_an_hour(memory_mb: int, concurrency: int) -> float:
    """What a serverless endpoint costs at most: while all of it is busy. Idle it costs nothing."""
    return memory_mb / 1024 * concurrency * 3600 * SERVERLESS


# start, end, instance type, number of instances
Job = tuple[datetime.datetime | None, datetime.datetime | None, str, int]


def cost_so_far(jobs: Iterable[Job], now: datetime.datetime, region: str) -> float:
    """The cost of jobs until now, in US dollars; each second from the start counts. Raises UsageError as `price` does."""
    table = prices(region)
    dollars = 0.0
    for started, ended, instance_type, count in jobs:
        if started is not None:
            seconds = max(0.0, ((ended or now) - started).total_seconds())
            dollars += seconds / 3600 * count * table.of(instance_type)
    return dollars


def affordable_seconds(
    remaining_dollars: float, jobs: int, instance_type: str, region: str, start_up_seconds: float = START_UP_SECONDS
) -> float:
    """The seconds that each job may run so that all together cost at most what remains; 0 if that does not pay for their start-up.

    Raises UsageError as `price` does.
    """
    per_second = jobs * price(instance_type, region).dollars_per_hour / 3600
    return max(0.0, remaining_dollars / per_second - start_up_seconds)
