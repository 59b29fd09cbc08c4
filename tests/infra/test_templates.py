"""The template in the package: what cfn-lint, in `make lint`, does not find; and templates of users."""

import re

import pytest
from simferry.emulator.calls import Refusal
from simferry.emulator.templates import Template
from simferry.errors import UsageError
from simferry.infra import templates

TEXTS = {name: templates.template(name) for name in templates.names()}
NAMES = ("BucketName", "RepositoryName", "RoleName", "ManagedPolicyName", "LogGroupName", "UserName", "GroupName")


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


def test_there_is_one():
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
    """Bucket, repository, roles and the command to connect."""
    base = {"Bucket", "Store", "Repository", "JobRole", "SubmitterPolicy", "SubmitterRole", "Command"}
    assert base <= set(Template(TEXTS["base"]).outputs)
    rstudio = {"BaseStack", "RStudioInstance", "RStudioRole", "RStudioPolicy", "RStudioPassword", "RStudioCommand"}
    assert rstudio <= set(Template(TEXTS["rstudio"]).outputs)


def test_nothing_has_a_fixed_name(template):
    """Else an account could have the stack only once."""
    assert not [name for one in template.resources.values() for name in NAMES if name in one.get("Properties", {})]


def test_policies_allow_no_more_than_they_must(template):
    without_resource = set()
    for one in statements(template):
        actions = listed(one["Action"])
        if one["Effect"] == "Allow":
            assert not [action for action in actions if "*" in action], one
            if one.get("Resource") == "*":
                without_resource.update(actions)
    # AWS has no resources for these, or, of metrics, only a condition
    assert without_resource <= {
        "cloudwatch:PutMetricData", "ec2:DescribeInstances", "ecr:GetAuthorizationToken", "pricing:GetProducts",
        "sagemaker:ListProcessingJobs",
    }  # fmt: skip
    trusting = [
        one for one in statements(template) if "Service" in str(one.get("Principal")) and one["Effect"] == "Allow"
    ]
    # EC2 says of no account: an instance's role can be given by its own account only
    assert trusting and all("aws:SourceAccount" in str(one) or "ec2.amazonaws.com" in str(one) for one in trusting)


def test_roles_are_passed_to_one_service_only():
    (passing,) = [one for one in statements(Template(TEXTS["base"])) if one["Action"] == "iam:PassRole"]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert passing["Resource"] == {"Fn::GetAtt": ["JobRole", "Arn"]}


def test_nothing_comes_in(text, template):
    assert "Ingress" not in text and "KeyName" not in text
    for name, one in template.resources.items():
        if "0.0.0.0/0" in str(one):  # the way out
            assert one["Type"] in ("AWS::EC2::Route", "AWS::EC2::SecurityGroup"), name


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


def test_what_holds_data_says_what_is_done_at_a_deletion(template):
    for name, one in template.resources.items():
        if one["Type"] in ("AWS::S3::Bucket", "AWS::ECR::Repository", "AWS::Logs::LogGroup"):
            assert "DeletionPolicy" in one and "UpdateReplacePolicy" in one, name
    if "Bucket" in template.resources:
        assert template.resources["Bucket"]["DeletionPolicy"] == "RetainExceptOnCreate"


def test_what_can_have_tags_has_one(template):
    without = [
        n
        for n, one in template.resources.items()
        if {"Key": "made-by", "Value": "simferry"} not in one.get("Properties", {}).get("Tags", [])
        and "'made-by'" not in str(one.get("Properties", {}).get("TagSpecifications"))
    ]
    none = {  # in CloudFormation
        "AWS::CloudFormation::WaitCondition", "AWS::CloudFormation::WaitConditionHandle", "AWS::EC2::Route",
        "AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::VPCGatewayAttachment", "AWS::IAM::InstanceProfile",
        "AWS::IAM::ManagedPolicy", "AWS::S3::BucketPolicy",
    }  # fmt: skip
    assert {template.resources[name]["Type"] for name in without} <= none


def test_users_of_the_stack_may_do_what_docs_iam_says():
    """But make no repositories: the stack has one."""
    from simferry.aws.policies import policy

    template = Template(TEXTS["base"])
    values = {name: "x" for name in ("Account", "Bucket", "Prefix", "Region", "Role")}
    said = {action for one in policy("user", **values)["Statement"] for action in listed(one["Action"])}
    document = template.resources["SubmitterPolicy"]["Properties"]["PolicyDocument"]
    given = {action for one in document["Statement"] for action in listed(one["Action"])}
    repositories = {"ecr:CreateRepository", "ecr:DeleteRepository", "ecr:PutLifecyclePolicy", "ecr:TagResource"}
    assert said - given == repositories and given <= said
    role = {action for one in policy("role", **values)["Statement"] for action in listed(one["Action"])}
    document = template.resources["JobRole"]["Properties"]["Policies"]
    assert {a for one in document for s in one["PolicyDocument"]["Statement"] for a in listed(s["Action"])} == role
    document = Template(TEXTS["rstudio"]).resources["UserPolicy"]["Properties"]["PolicyDocument"]
    said = policy("rstudio", Account="1", Region="r", Stack="s")["Statement"]
    of = [{a for one in found for a in listed(one["Action"])} for found in (document["Statement"], said)]
    assert of[0] == of[1]


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
