"""The template in the package: what cfn-lint, in `make lint`, does not find; and templates of users."""

import re

import pytest
from simferry.aws.policies import policy
from simferry.backends import batch_queue
from simferry.emulator.calls import Refusal
from simferry.emulator.templates import Template
from simferry.errors import UsageError
from simferry.infra import templates

QUEUES = {"SpotQueue", "DemandQueue", "FargateQueue"}
TEXTS = {name: templates.template(name) for name in templates.names()}
NAMES = (
    "BucketName", "RepositoryName", "RoleName", "ManagedPolicyName", "LogGroupName", "UserName", "GroupName",
    "ComputeEnvironmentName", "JobQueueName", "JobDefinitionName", "LaunchTemplateName", "InstanceProfileName",
)  # fmt: skip
# which have no resources in AWS, or, of metrics, only a condition
WITHOUT_RESOURCE = {
    "base": {
        "cloudwatch:PutMetricData", "ecr:GetAuthorizationToken", "pricing:GetProducts", "sagemaker:ListProcessingJobs",
        "sagemaker:ListTrainingJobs",
    },
    "batch": {
        "batch:DescribeComputeEnvironments", "batch:DescribeJobDefinitions", "batch:DescribeJobQueues", "batch:DescribeJobs",
        "batch:ListJobs", "ecr:GetAuthorizationToken", "servicequotas:GetServiceQuota",
    },
}  # fmt: skip


@pytest.fixture(params=sorted(TEXTS))
def text(request):
    return TEXTS[request.param]


@pytest.fixture
def template(text):
    return Template(text)


def parts(one):
    """All mappings in a part of a template."""
    if isinstance(one, dict):
        yield one
    for inner in one.values() if isinstance(one, dict) else one if isinstance(one, list) else ():
        yield from parts(inner)


def statements(template):
    for resource in template.resources.values():
        for part in parts(resource):
            if "Effect" in part:
                yield part


def listed(one):
    return one if isinstance(one, list) else [one]


def test_there_is_one_for_each_stack():
    assert sorted(TEXTS) == sorted(templates.SUFFIX)


def test_it_can_be_uploaded_by_hand(text, template):
    assert len(text.encode()) <= templates.LONGEST and text.isascii()
    assert template.description.startswith("simferry")
    assert template.capabilities == ["CAPABILITY_IAM"]
    for name, parameter in template.parameters.items():
        assert parameter["Description"].endswith(".") and "Default" in parameter, name
    groups = template.metadata["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(template.parameters)
    assert all(output["Description"] for output in template.outputs.values())


def test_what_they_tell():
    """Bucket, repository, queues, roles and the command to connect."""
    base = {"Bucket", "Store", "Repository", "JobRole", "SubmitterPolicy", "SubmitterRole", "Command"}
    assert base <= set(Template(TEXTS["base"]).outputs)
    batch = {"BaseStack", "BatchJobRole", "BatchSubmitterPolicy", "ExecutionRole", "LogGroup", *QUEUES, "BatchCommand"}
    assert batch <= set(Template(TEXTS["batch"]).outputs)
    assert not set(Template(TEXTS["base"]).outputs) & set(Template(TEXTS["batch"]).outputs)  # `infra show` has both
    rstudio = {"BaseStack", "RStudioInstance", "RStudioRole", "RStudioPolicy", "RStudioPassword", "RStudioCommand"}
    assert rstudio <= set(Template(TEXTS["rstudio"]).outputs)


def test_nothing_has_a_fixed_name(template):
    """Else an account could have the stack only once."""
    assert not [name for one in template.resources.values() for name in NAMES if name in one.get("Properties", {})]


@pytest.mark.parametrize("name", WITHOUT_RESOURCE)
def test_policies_allow_no_more_than_they_must(name):
    template = Template(TEXTS[name])
    without_resource = set()
    for one in statements(template):
        actions = listed(one["Action"])
        if one["Effect"] == "Allow":
            assert not [action for action in actions if "*" in action or action.startswith("iam:Create")], one
            if one.get("Resource") == "*":
                without_resource.update(actions)
    assert without_resource == WITHOUT_RESOURCE[name]
    (passing,) = [one for one in statements(template) if one["Action"] == "iam:PassRole"]
    service = {"base": "sagemaker.amazonaws.com", "batch": "ecs-tasks.amazonaws.com"}[name]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": service}}
    roles = {"base": ["JobRole"], "batch": ["JobRole", "ExecutionRole"]}[name]
    assert listed(passing["Resource"]) == [{"Fn::GetAtt": [role, "Arn"]} for role in roles]


def test_roles_are_for_this_account_only(template):
    trusting = [
        one for one in statements(template) if "Service" in str(one.get("Principal")) and one["Effect"] == "Allow"
    ]
    # EC2 tells of no account: the role of an instance can be given by its own account only
    assert trusting and all("aws:SourceAccount" in str(one) or "ec2.amazonaws.com" in str(one) for one in trusting)


def test_nothing_comes_in(text, template):
    assert "Ingress" not in text and "KeyName" not in text
    for name, one in template.resources.items():
        if "0.0.0.0/0" in str(one):  # the way out
            assert one["Type"] in ("AWS::EC2::Route", "AWS::EC2::SecurityGroup"), name
        if one["Type"] == "AWS::EC2::SecurityGroup":
            assert "SecurityGroupIngress" not in one["Properties"] and one["Properties"]["SecurityGroupEgress"]


def test_machines_keep_their_disk_and_their_keys():
    """Encrypted, no metadata without a token, and none for containers; the image is not looked up anew at each update."""
    template = Template(TEXTS["rstudio"])
    data = template.resources["LaunchTemplate"]["Properties"]["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert [one["Ebs"]["Encrypted"] for one in data["BlockDeviceMappings"]] == [True]
    assert data["ImageId"].startswith("resolve:ssm:/aws/service/canonical/")
    assert not [one for one in template.parameters.values() if "SSM" in one["Type"]]
    assert template.resources["Instance"]["Properties"]["InstanceInitiatedShutdownBehavior"] == "stop"


def test_the_licence_has_to_be_accepted():
    template = Template(TEXTS["rstudio"])
    assert "AGPL" in template.parameters["AcceptLicence"]["Description"]
    with pytest.raises(Refusal, match="AGPL"):
        template.values({})
    assert template.values({"AcceptLicence": "yes"})["IdleMinutes"] == "60"


def test_the_bucket_is_closed():
    template = Template(TEXTS["base"])
    bucket = template.resources["Bucket"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (deny,) = [one for one in statements(template) if one["Effect"] == "Deny"]
    assert deny["Principal"] == "*" and deny["Condition"] == {"Bool": {"aws:SecureTransport": False}}
    assert template.resources["Repository"]["Properties"]["ImageTagMutability"] == "IMMUTABLE"


def of_type(template, kind):
    return {name: one for name, one in template.resources.items() if one["Type"] == kind}


def test_nothing_costs_by_the_hour_while_nothing_runs(template):
    idle = {
        "AWS::EC2::NatGateway", "AWS::EC2::EIP", "AWS::EC2::TransitGateway", "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "AWS::KMS::Key", "AWS::EFS::FileSystem",
    }  # fmt: skip
    assert not idle & {one["Type"] for one in template.resources.values()}
    assert all(
        one["Properties"]["VpcEndpointType"] == "Gateway" for one in of_type(template, "AWS::EC2::VPCEndpoint").values()
    )
    for name, one in of_type(template, "AWS::Batch::ComputeEnvironment").items():
        resources = one["Properties"]["ComputeResources"]
        fargate = resources["Type"].startswith("FARGATE")
        assert ("MinvCpus" in resources) != fargate and resources.get("MinvCpus", 0) == 0, name
        assert "DesiredvCpus" not in resources, name  # an update would set it back


def test_machines_have_encrypted_disks_and_no_metadata_for_containers(template):
    for one in of_type(template, "AWS::EC2::LaunchTemplate").values():
        data = one["Properties"]["LaunchTemplateData"]
        assert data["MetadataOptions"] == {
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 1,
            "HttpEndpoint": "enabled",
        }
        disks = [disk["Ebs"] for disk in data["BlockDeviceMappings"]]
        assert disks and all(disk["Encrypted"] and disk["DeleteOnTermination"] for disk in disks)


def test_compute_environments_can_be_updated_and_find_a_way_out():
    template = Template(TEXTS["batch"])
    environments = of_type(template, "AWS::Batch::ComputeEnvironment")
    kinds = {name: one["Properties"]["ComputeResources"]["Type"] for name, one in environments.items()}
    assert kinds == {"Spot": "SPOT", "Demand": "EC2", "Fargate": "FARGATE"}
    associations = of_type(template, "AWS::EC2::SubnetRouteTableAssociation")
    for name, one in environments.items():
        given = one["Properties"]
        assert given["ReplaceComputeEnvironment"] is False and "ServiceRole" not in given, (
            name
        )  # or it can't be updated
        assert {"RouteOut", *associations} <= set(one["DependsOn"]), name
        resources = given["ComputeResources"]
        assert len(resources["Subnets"]) == 2 and listed(resources["SecurityGroupIds"]) == [{"Ref": "SecurityGroup"}]
        if kinds[name] != "FARGATE":
            assert resources["AllocationStrategy"] in ("SPOT_PRICE_CAPACITY_OPTIMIZED", "BEST_FIT_PROGRESSIVE")
            assert given["UpdatePolicy"]["TerminateJobsOnUpdate"] is False and "LaunchTemplate" in resources, name
    assert template.resources["RouteOut"]["DependsOn"] == "GatewayAttachment"
    zones = [one["Properties"]["AvailabilityZone"] for one in of_type(template, "AWS::EC2::Subnet").values()]
    assert len({str(zone) for zone in zones}) == 2


def test_queues_end_jobs_that_can_not_start():
    """With each reason that the service gives, within the limits that it has."""
    template = Template(TEXTS["batch"])
    limit = template.parameters["GiveUpAfterSeconds"]
    assert (limit["MinValue"], limit["MaxValue"]) == (600, 86_400)
    queues = of_type(template, "AWS::Batch::JobQueue")
    assert set(queues) == QUEUES
    for name, one in queues.items():
        actions = one["Properties"]["JobStateTimeLimitActions"]
        assert {(act["Action"], act["State"], str(act["MaxTimeSeconds"])) for act in actions} == {
            ("CANCEL", "RUNNABLE", str({"Ref": "GiveUpAfterSeconds"}))
        }
        assert {act["Reason"] for act in actions} == set(batch_queue._WAITS), name
        assert one["Properties"]["ComputeEnvironmentOrder"] == [
            {"Order": 1, "ComputeEnvironment": {"Ref": name.removesuffix("Queue")}}
        ]


def test_job_definitions_are_not_in_stacks(template):
    """They are registered for each image, with attempts and timeouts: see backends/batch_requests.py."""
    assert not of_type(template, "AWS::Batch::JobDefinition")


def test_what_holds_data_says_what_is_done_at_a_deletion(template):
    for name, one in template.resources.items():
        if one["Type"] in ("AWS::S3::Bucket", "AWS::ECR::Repository", "AWS::Logs::LogGroup"):
            assert "DeletionPolicy" in one and "UpdateReplacePolicy" in one, name
    kept = {name for name, one in template.resources.items() if one.get("DeletionPolicy", "Delete") != "Delete"}
    assert kept == {name for name in template.resources if name == "Bucket"}
    assert all(template.resources[name]["DeletionPolicy"] == "RetainExceptOnCreate" for name in kept)


# which have no tags in CloudFormation
WITHOUT_TAGS = {
    "AWS::CloudFormation::WaitCondition", "AWS::CloudFormation::WaitConditionHandle", "AWS::EC2::Route",
    "AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::VPCGatewayAttachment", "AWS::IAM::InstanceProfile",
    "AWS::IAM::ManagedPolicy", "AWS::S3::BucketPolicy",
}  # fmt: skip


def test_what_can_have_tags_has_one(template):
    for name, one in template.resources.items():
        if one["Type"] not in WITHOUT_TAGS:
            tags = [part for part in parts(one) if part.get("made-by") == "simferry" or part.get("Key") == "made-by"]
            assert tags, name


def test_the_bill_knows_whose_the_machines_and_their_disks_are(template):
    """CloudFormation gives a stack's tags to its resources, but not to the instances of Batch, nor to the disks of any."""
    tag = {"Key": "simferry:stack", "Value": {"Ref": "BaseStack"}}
    for one in of_type(template, "AWS::EC2::LaunchTemplate").values():
        (disk,) = one["Properties"]["LaunchTemplateData"]["TagSpecifications"]
        assert disk["ResourceType"] == "volume" and tag in disk["Tags"]
    for one in of_type(template, "AWS::Batch::ComputeEnvironment").values():
        resources = one["Properties"]["ComputeResources"]
        if resources["Type"] != "FARGATE":  # whose tasks have the tags of their jobs
            assert resources["Tags"]["simferry:stack"] == tag["Value"]


def given_by(template, logical):
    """The actions of a policy, or of a role's policies."""
    properties = template.resources[logical]["Properties"]
    inline = [one["PolicyDocument"] for one in properties.get("Policies", [])]
    documents = inline or [properties["PolicyDocument"]]
    return {action for document in documents for one in document["Statement"] for action in listed(one["Action"])}


def test_users_of_the_stack_may_do_what_docs_iam_says():
    """But make no repositories: the stack has one."""
    values = {name: "x" for name in ("Account", "Bucket", "Prefix", "Region", "Role", "Stack")}

    def said(name):
        return {action for one in policy(name, **values)["Statement"] for action in listed(one["Action"])}

    base, batch = Template(TEXTS["base"]), Template(TEXTS["batch"])
    given = given_by(base, "SubmitterPolicy")
    repositories = {"ecr:CreateRepository", "ecr:DeleteRepository", "ecr:PutLifecyclePolicy", "ecr:TagResource"}
    assert said("user") - given == repositories and given <= said("user")
    assert given_by(base, "JobRole") == said("role")
    assert given_by(batch, "SubmitterPolicy") == said("batch")
    objects = {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"}
    assert given_by(batch, "JobRole") == {*objects, "s3:ListBucket"}
    assert not given_by(batch, "JobRole") & given_by(batch, "ExecutionRole")
    assert given_by(Template(TEXTS["rstudio"]), "UserPolicy") == said("rstudio")


def test_a_name_that_is_none():
    with pytest.raises(UsageError, match="there is no template bse\nDid you mean base"):
        templates.template("bse")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "can't be read: No such file"),
        (b"\xff\xfe", "can't be read: it is no text"),
        (b" \n", "is empty"),
        (b"x" * 51_201, "has more than 51,200 bytes"),
    ],
)
def test_a_file_that_is_no_template(tmp_path, content, words):
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=re.escape(f"the template {path} {words}")):
        templates.read(path)
