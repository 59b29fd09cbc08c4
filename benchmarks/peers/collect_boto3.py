"""python collect_boto3.py BUCKET FOLDER OUT: the CSV objects below a folder, fetched by 16 threads, into one Parquet file."""

import io
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
import pandas as pd
from botocore.config import Config

bucket, folder, out = sys.argv[1:]
s3 = boto3.client("s3", config=Config(max_pool_connections=16))
pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder)
keys = [one["Key"] for page in pages for one in page["Contents"]]


def read(key: str) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))


with ThreadPoolExecutor(16) as threads:
    pd.concat(threads.map(read, keys), ignore_index=True).to_parquet(out)
