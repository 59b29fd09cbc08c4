"""Prices of SageMaker Processing: the package's table, AWS's price list, and the money that jobs have cost."""

import datetime
import json

import boto3
import pytest
from botocore.stub import Stubber
from simferry.aws import prices, session
from simferry.aws.instances import hosting_instances
from simferry.errors import StoreError, UsageError

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.timezone.utc)
AN_HOUR_AGO = NOW - datetime.timedelta(hours=1)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(prices.VARIABLE, raising=False)
    return tmp_path / "simferry"


def product(name, dollars, component="Processing", unit="Hrs", region="us-west-2"):
    """A product as GetProducts answers it: JSON in a string."""
    attributes = {
        "regionCode": region,
        "servicecode": "AmazonSageMaker",
        "instanceName": name,
        "instanceType": f"{name}-{component}",
        "component": component,
        "usagetype": f"USW2-{component}:{name}",
        "locationType": "AWS Region",
        "operation": "RunInstance",
    }
    dimension = {"unit": unit, "pricePerUnit": {"USD": f"{dollars:.10f}"}, "beginRange": "0", "endRange": "Inf"}
    term = {"priceDimensions": {"SKU.JRTCKXETXF.6YS6EN2CT7": dimension}, "offerTermCode": "JRTCKXETXF"}
    return json.dumps(
        {
            "product": {"productFamily": "ML Instance", "attributes": attributes, "sku": "SKU"},
            "serviceCode": "AmazonSageMaker",
            "terms": {"OnDemand": {"SKU.JRTCKXETXF": term}},
            "publicationDate": "2026-11-20T19:08:35Z",
        }
    )


@pytest.fixture
def price_list(monkeypatch):
    """AWS's price list with these pages of products; checks what it is asked."""
    client = boto3.client("pricing", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    monkeypatch.setattr(session, "client", lambda service, region: client)
    with Stubber(client) as stubber:

        def answers(*pages, region="us-west-2"):
            wanted = {"productFamily": "ML Instance", "component": "Processing", "regionCode": region}
            asked = {
                "ServiceCode": "AmazonSageMaker",
                "Filters": [{"Type": "TERM_MATCH", "Field": f, "Value": v} for f, v in wanted.items()],
            }
            for i, page in enumerate(pages):
                more = {"NextToken": f"page {i + 1}"} if i + 1 < len(pages) else {}
                stubber.add_response("get_products", {"PriceList": page, **more}, asked)
                asked = {**asked, **more}
            return stubber

        yield answers


def test_prices_are_those_of_the_table_with_their_date():
    found = prices.price("ml.c5.4xlarge", "us-east-1")
    assert found == prices.Price(0.816, "us-east-1", "2026-09-27", "simferry's table")


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "eu-north-1", "ap-northeast-1", "sa-east-1"])
def test_every_type_of_the_table_is_one_of_processings_and_is_priced_by_its_size(region):
    table = prices.prices(region).dollars_per_hour
    known = hosting_instances()
    assert set(table) <= set(known) and len(table) > 50
    for name, dollars in table.items():
        family = name.split(".")[1]
        large = next(n for n in table if n.split(".")[1] == family)
        per_core = table[large] / known[large].cores
        if family not in ("t2", "t3"):
            assert dollars / known[name].cores == pytest.approx(per_core, rel=0.01), name


def test_the_table_has_the_prices_of_many_regions_each_with_its_date():
    assert prices.price("ml.t2.medium", "eu-west-1").dollars_per_hour == 0.06  # 1.2 x EC2's
    # of AWS's bill in eu-west-1 for a processing job; of its list of prices for the others
    for region, name, dollars in (
        ("eu-west-1", "ml.m5.xlarge", 0.257), ("eu-central-1", "ml.c5.4xlarge", 0.931), ("us-west-2", "ml.c5.xlarge", 0.204),
        ("ap-northeast-1", "ml.t3.medium", 0.065), ("ap-southeast-2", "ml.r5.xlarge", 0.362), ("us-east-2", "ml.m5.large", 0.115),
    ):  # fmt: skip
        assert prices.price(name, region) == prices.Price(dollars, region, "2025-12-05", "simferry's table")
    found = prices.prices("eu-west-1")
    assert found.note == (
        "prices of eu-west-1, 2025-12-05, simferry's table; types of the 6th and 7th generation: 1.2 x the price of EC2"
    )
    assert "1.2 x" not in prices.prices("us-east-1").note
    cheap = prices.prices("us-east-1").dollars_per_hour
    assert all(dollars >= cheap[name] - 1e-9 for name, dollars in found.dollars_per_hour.items())


def test_a_region_without_prices_takes_those_of_us_east_1_and_says_so():
    found = prices.prices("us-gov-west-1")
    assert found.of("ml.c5.xlarge") == 0.204
    assert "prices of us-east-1 (us-gov-west-1 is not in the table), 2026-09-27" in found.note
    assert prices.price("ml.c5.xlarge", "us-gov-west-1").region == "us-east-1"
    assert "not in the table" not in prices.prices("us-east-1").note


def own(tmp_path, monkeypatch, text):
    (tmp_path / "own.csv").write_text(text)
    monkeypatch.setenv(prices.VARIABLE, str(tmp_path / "own.csv"))


def test_prices_of_the_users_own_come_first(tmp_path, monkeypatch):
    own(tmp_path, monkeypatch, "instance_type,dollars_per_hour,region\nml.c5.xlarge,0.15,\nml.p5.4xlarge,7,us-east-1\n")
    found = prices.prices("us-east-1")
    assert (found.of("ml.c5.xlarge"), found.of("ml.p5.4xlarge"), found.of("ml.m5.xlarge")) == (0.15, 7, 0.23)
    assert found.note == "prices of us-east-1, 2026-09-27, simferry's table; 2 types: own.csv (SIMFERRY_PRICES)"
    with pytest.raises(UsageError, match=r"no price for ml.p5.4xlarge.*\n.*SIMFERRY_PRICES"):
        prices.price("ml.p5.4xlarge", "eu-west-1")
    # in a region that no table has, theirs are not mixed with another's
    assert prices.prices("us-gov-west-1").dollars_per_hour == {"ml.c5.xlarge": 0.15}
    assert "prices of us-gov-west-1, " in prices.prices("us-gov-west-1").note


def test_a_price_of_the_region_comes_before_one_without_whatever_their_order(tmp_path, monkeypatch):
    own(tmp_path, monkeypatch, "region,instance_type,dollars_per_hour\nus-east-1,ml.c5.xlarge,9\n,ml.c5.xlarge,0.5\n")
    assert [prices.price("ml.c5.xlarge", where).dollars_per_hour for where in ("us-east-1", "eu-west-1")] == [9, 0.5]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type,price\nml.c5.xlarge,1\n", "has no column instance_type"),
        ("instance_type,dollars_per_hour\nml.c5.xlarge,free\n", "is no table of prices"),
        ("instance_type,dollars_per_hour\nml.c5.xlarge\n", "is no table of prices"),
        ("instance_type,dollars_per_hour\nml.c5.xlarge,-1\n", "the price of ml.c5.xlarge is -1"),
        ("instance_type,dollars_per_hour\nml.c5.xlarge,nan\n", "the price of ml.c5.xlarge is nan"),
        ("instance_type,dollars_per_hour\nml.c5.xlarg,1\n", "own.csv: there is no instance type 'ml.c5.xlarg'"),
        ("instance_type,dollars_per_hour\nml.c5.xlarge,1\nml.c5.xlarge,2\n", "it has two prices of ml.c5.xlarge"),
        (None, "No such file"),
    ],
)
def test_a_table_of_ones_own_that_is_none_is_named(tmp_path, monkeypatch, text, words):
    own(tmp_path, monkeypatch, text or "")
    if text is None:
        (tmp_path / "own.csv").unlink()
    with pytest.raises(UsageError, match=words):
        prices.price("ml.c5.xlarge", "us-east-1")


def test_types_that_do_not_exist_or_have_no_price_are_refused():
    with pytest.raises(UsageError, match=r"there is no instance type 'ml.c5.5xlarge'\nDid you mean"):
        prices.price("ml.c5.5xlarge", "us-east-1")
    with pytest.raises(
        UsageError,
        match=r"no price for ml.p5.4xlarge among the prices of us-east-1.*\n.*refresh_prices=True.*SIMFERRY_PRICES",
    ):
        prices.price("ml.p5.4xlarge", "us-east-1")


def test_refreshed_prices_are_kept_and_win(price_list, cache):
    first = [product("ml.c5.xlarge", 0.3), product("ml.p5.4xlarge", 7.912)]
    answered = price_list(first, [product("ml.c5.2xlarge", 0.6)])
    found = prices.refresh("us-west-2")
    answered.assert_no_pending_responses()
    assert found.dollars_per_hour == {"ml.c5.xlarge": 0.3, "ml.c5.2xlarge": 0.6, "ml.p5.4xlarge": 7.912}
    assert prices.price("ml.c5.2xlarge", "us-west-2").source == "AWS's price list"
    assert (cache / "prices-us-west-2.csv").read_text().startswith("region,instance_type,dollars_per_hour,date\n")
    assert prices.price("ml.c5.xlarge", "us-east-1").dollars_per_hour == 0.204  # another region's stay


def test_fees_and_free_tiers_are_no_hourly_prices(price_list):
    page = [product("ml.c5.xlarge", 0.3), product("ml.c5.xlarge", 0.0), product("ml.c5.xlarge", 13.57, unit="Quantity")]
    page.append(product("ml.t3.medium", 0.0))
    price_list(page)
    assert prices.refresh("us-west-2").dollars_per_hour == {"ml.c5.xlarge": 0.3}


def test_refreshed_prices_older_than_the_table_are_not_used(cache):
    cache.mkdir()
    kept = "region,instance_type,dollars_per_hour,date\nus-east-1,ml.c5.xlarge,9,{}\n"
    prices.cache_file("us-east-1").write_text(kept.format("2026-09-26"))
    assert prices.price("ml.c5.xlarge", "us-east-1").dollars_per_hour == 0.204
    prices.cache_file("us-east-1").write_text(kept.format("2026-09-28"))
    assert prices.price("ml.c5.xlarge", "us-east-1").dollars_per_hour == 9


@pytest.mark.parametrize("content", ["<html>", "region,instance_type,dollars_per_hour,date\nus-east-1,ml.c5.xlarge,x,2026-01-01\n",
                                     "region,dollars_per_hour\nus-east-1,1\n"])  # fmt: skip
def test_a_damaged_table_in_the_cache_is_named(cache, content):
    cache.mkdir()
    prices.cache_file("us-east-1").write_text(content)
    with pytest.raises(StoreError, match=r"prices-us-east-1.csv is no table of prices.*\nRemove it"):
        prices.price("ml.c5.xlarge", "us-east-1")


def test_a_region_that_the_price_list_does_not_have_is_an_error_and_nothing_is_kept(price_list, cache):
    price_list([], region="us-wets-2")
    with pytest.raises(session.AwsError, match="no prices of SageMaker Processing in us-wets-2"):
        prices.refresh("us-wets-2")
    assert not cache.exists()


def test_a_refusal_of_the_price_list_is_told(price_list):
    price_list().add_client_error("get_products", "AccessDeniedException", "not authorized: pricing:GetProducts")
    with pytest.raises(session.AwsError, match="access to the price list is denied"):
        prices.refresh("us-west-2")


def test_cost_so_far():
    half_ago = NOW - datetime.timedelta(minutes=30)
    jobs = [
        (None, None, "ml.c5.xlarge", 1),  # waits
        (half_ago, None, "ml.c5.xlarge", 2),  # runs, on two instances
        (AN_HOUR_AGO, half_ago, "ml.m5.xlarge", 1),  # has ended
        (NOW + datetime.timedelta(seconds=5), None, "ml.c5.xlarge", 1),  # the clock here is a little late
    ]
    assert prices.cost_so_far(jobs, NOW, "us-east-1") == pytest.approx(0.5 * 2 * 0.204 + 0.5 * 0.23)
    assert prices.cost_so_far([], NOW, "us-east-1") == 0


@pytest.mark.parametrize("dollars", [0.5, 3, 20])
@pytest.mark.parametrize("jobs", [1, 7])
def test_jobs_stopped_at_what_is_affordable_cost_what_remains(dollars, jobs):
    seconds = prices.affordable_seconds(dollars, jobs, "ml.c5.4xlarge", "us-east-1")
    assert seconds > 0
    ended = AN_HOUR_AGO + datetime.timedelta(seconds=prices.START_UP_SECONDS + seconds)
    cost = prices.cost_so_far([(AN_HOUR_AGO, ended, "ml.c5.4xlarge", 1)] * jobs, NOW, "us-east-1")
    assert cost == pytest.approx(dollars, rel=1e-6)


def test_what_can_not_even_start_has_no_seconds():
    assert prices.affordable_seconds(0.01, 10, "ml.c5.4xlarge", "us-east-1") == 0
    assert prices.affordable_seconds(-5, 1, "ml.c5.4xlarge", "us-east-1") == 0
    assert prices.affordable_seconds(0.816, 1, "ml.c5.4xlarge", "us-east-1", start_up_seconds=0) == pytest.approx(3600)
