"""What a plain script does: one processing job for each condition. Arguments: image, role, bucket, how many. Prints seconds."""

import sys
import time

import boto3

image, role, bucket, count = *sys.argv[1:4], int(sys.argv[4])
begin = time.perf_counter()
sagemaker = boto3.client("sagemaker")
for i in range(count):
    sagemaker.create_processing_job(
        ProcessingJobName=f"plain-{time.time_ns()}-{i}",
        AppSpecification={
            "ImageUri": image,
            "ContainerEntrypoint": ["Rscript", "/opt/ml/processing/input/code/simulate.R"],
            "ContainerArguments": [str(i)],
        },
        ProcessingInputs=[
            {
                "InputName": "code",
                "S3Input": {
                    "S3Uri": f"s3://{bucket}/code/",
                    "LocalPath": "/opt/ml/processing/input/code",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
        ],
        ProcessingResources={
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30}
        },
        RoleArn=role,
    )
print(time.perf_counter() - begin)
