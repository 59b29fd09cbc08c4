"""Templates: what is read, what the functions give, and what is refused."""

import pytest
from simferry.emulator.calls import Refusal
from simferry.emulator.templates import LONGEST, Scope, Template, references

ARN = "arn:aws:cloudformation:us-west-2:123456789012:stack/lab/1"


def template(resources="  A: {Type: AWS::Logs::LogGroup}", **sections):
    return Template("\n".join([*(f"{name}: {text}" for name, text in sections.items()), "Resources:", resources]))


def scope(made: Template, **given) -> Scope:
    def attribute(name, key):
        return f"{name}.{key}"

    values = made.values(given)
    return Scope(made, values, ("lab", ARN, "us-west-2"), lambda n: f"id-{n}", attribute, lambda n: f"export-{n}")


def value(text, **given):
    made = template(
        f"  A: {{Type: AWS::Logs::LogGroup}}\n  B: {{Type: AWS::Logs::LogGroup, Properties: {{LogGroupName: {text}}}}}",
        Parameters="{P: {Type: String, Default: p}, L: {Type: CommaDelimitedList, Default: 'a, b'}}",
        Conditions="{Is: !Equals [!Ref P, p], Not: !Not [!Condition Is], Both: !And [!Condition Is, !Condition Not],"
        " Me: !Not [!Condition Me]}",
    )
    return scope(made, **given).value(made.resources["B"]["Properties"]["LogGroupName"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!Ref P", "p"),
        ("!Ref L", ["a", "b"]),
        ("!Ref A", "id-A"),
        ("!Ref AWS::Region", "us-west-2"),
        ("!GetAtt A.Arn", "A.Arn"),
        ("{'Fn::GetAtt': [A, Arn]}", "A.Arn"),
        ('!Sub "${AWS::StackName}-${P}-${A}-${A.Arn}-${!kept}"', "lab-p-id-A-A.Arn-${kept}"),
        ('!Sub ["${x}${P}", {x: !Ref A}]', "id-Ap"),
        ("!If [Is, 1, 2]", 1),
        ("!If [Not, 1, !Ref P]", "p"),
        ("!If [Both, 1, 2]", 2),
        ("[1, !If [Not, 2, !Ref AWS::NoValue]]", [1]),
        ("{a: !If [Not, 2, !Ref AWS::NoValue], b: 1}", {"b": 1}),
        ("!Join ['-', [a, !Ref P]]", "a-p"),
        ("!Select [1, !Split [',', 'x,y']]", "y"),
        ("!Select [0, !Cidr [10.0.0.0/16, 2, 7]]", "10.0.0.0/25"),
        ("!Select [1, !GetAZs '']", "us-west-2b"),
        ("!Base64 hello", "aGVsbG8="),
        ("!ImportValue there", "export-there"),
        ("2012-10-17", "2012-10-17"),  # a text, not a date
        ("!Ref AWS::NoValue", None),
    ],
)
def test_functions(text, expected):
    assert value(text) == expected


def multiplied(levels):
    text = "x"
    for _ in range(levels):
        text = f'!Sub ["{"${a}" * 16}", {{a: {text}}}]'
    return text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("!Cidr [0.0.0.0/0, 4000000000, 1]", "4000000000 blocks, not 1 to 256"),
        ("!Cidr [there, 1, 1]", "Fn::Cidr can't be evaluated"),
        ("!Select [2, [a]]", "Fn::Select can't be evaluated"),
        ("!Join [1]", "Fn::Join can't be evaluated"),
        ("!Base64 [1]", "Fn::Base64 can't be evaluated"),
        (multiplied(9), "give more than"),
        ("!Join [" * 8 + "xxxxxxxxxx" + f", [{', '.join([chr(39) * 2] * 20)}]]" * 8, "give more than"),
        ("!If [Me, 1, 2]", "Condition 'Me' refers to itself"),
    ],
)
def test_functions_that_end_nowhere(text, words):
    with pytest.raises(Refusal) as caught:
        value(text)
    assert words in caught.value.message


def test_conditions_are_evaluated_once():
    names = ", ".join(f"C{n}: !And [!Condition C{n - 1}, !Condition C{n - 1}]" for n in range(1, 60))
    assert scope(template(Conditions=f"{{C0: !Equals [1, 1], {names}}}")).holds("C59")


def test_a_parameter_decides_conditions():
    assert value("!If [Is, 1, 2]", P="q") == 2


def test_the_order_is_that_of_needs():
    made = template("""
  A: {Type: AWS::Logs::LogGroup, DependsOn: C}
  B: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Sub "${A}-b"}}
  C: {Type: AWS::Logs::LogGroup}""")
    assert made.order() == ["C", "A", "B"] and made.needs("B") == {"A"}
    assert list(references(made.resources["B"])) == ["A"]
    with pytest.raises(Refusal) as caught:
        template("""
  A: {Type: AWS::Logs::LogGroup, DependsOn: B}
  B: {Type: AWS::Logs::LogGroup, DependsOn: A}""").order()
    assert "Circular dependency between resources: [A, B]" in caught.value.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("a: [", "YAML not well-formed. (line "),
        ("just text", "unsupported structure"),
        ("Resourcen: {}", "Invalid template property or properties [Resourcen]"),
        ("Description: x", "At least one Resources member"),
        ("Resources: {A: {Properties: {}}}", "[/Resources/A] Every Resources object must contain a Type member"),
        ("Resources: {A: {Type: AWS::S3::Buckt}}", "Unrecognized resource types: [AWS::S3::Buckt]"),
        ("Resources: {A: {Type: AWS::S3::Bucket, Properties: {BucketName: !Ref B}}}", "Unresolved resource dependencies [B]"),
        ("Transform: x\nResources: {A: {Type: AWS::S3::Bucket}}", "no transforms"),
        ("a: &x {}\nb: *x", "aliases are not allowed"),
        (f"Description: {'x' * LONGEST}", "less than or equal to 51200"),
        ("Resources: " + "[" * 5000, "YAML not well-formed"),
        (f"Metadata: {'1' * 5000}", "YAML not well-formed"),
        ("Metadata: " + "[" * 70 + "]" * 70, "more than 64 levels"),
        ("Resources: {A: {Type: 1}}", "must contain a Type member"),
        ("Resources: {A: {Type: AWS::S3::Bucket, Properties: [1]}}", "[/Resources/A] Properties must be"),
        ("Resources: {A: {Type: AWS::S3::Bucket, DependsOn: [[B]]}}", "[/Resources/A] DependsOn must name"),
        ("Resources: {A: {Type: AWS::S3::Bucket, Properties: {BucketName: !Sub [1]}}}", "Fn::Sub in [/Resources/A/Properties/BucketName]"),
        ("Resources: {A: {Type: AWS::S3::Bucket, Properties: {BucketName: !If [1, 2]}}}", "argument of Fn::If"),
        ("Outputs: {O: {Vale: 1}}\nResources: {A: {Type: AWS::S3::Bucket}}", "[/Outputs/O] Every Outputs member"),
        ("Outputs: {O: {Value: 1, Export: x}}\nResources: {A: {Type: AWS::S3::Bucket}}", "Export must have a Name"),
        ("Outputs: {O: {Value: 1, Condition: [x]}}\nResources: {A: {Type: AWS::S3::Bucket}}", "must name a condition"),
        ("Parameters: {P: {Type: [x]}}\nResources: {A: {Type: AWS::S3::Bucket}}", "Type has a wrong form"),
        ("Conditions: [x]\nResources: {A: {Type: AWS::S3::Bucket}}", "Every Conditions member must"),
        ("Outputs: 1\nResources: {A: {Type: AWS::S3::Bucket}}", "Every Outputs member must be an object"),
        ("Resources: {" + ", ".join(f"A{n}: {{Type: AWS::S3::Bucket}}" for n in range(501)) + "}", "greater than maximum allowed, 500"),
    ],
)  # fmt: skip
def test_a_wrong_template_is_refused(body, words):
    with pytest.raises(Refusal) as caught:
        Template(body)
    assert words in caught.value.message and caught.value.code == "ValidationError"


@pytest.mark.parametrize(
    ("declared", "given", "words"),
    [
        ("{Type: Number, MinValue: 1, MaxValue: 9}", "10", "between 1 and 9"),
        ("{Type: Number}", "ten", "must be a number"),
        ("{Type: String, AllowedValues: [a, b]}", "c", "one of AllowedValues"),
        ("{Type: String, AllowedPattern: '[a-z]+'}", "A", "must match pattern"),
        ("{Type: String, MaxLength: 2}", "abc", "length between"),
        ("{Type: String}", "x" * 4097, "at most 4096 bytes"),
        ("{Type: String, AllowedPattern: '('}", "a", "is no pattern"),
        ("{Type: String, MinLength: few}", "a", "limits of parameter P are no numbers"),
        ("{Type: Number, MinValue: 1}", "nan", "a number between 1 and None"),
        ("{Type: Number, MinValue: 1, ConstraintDescription: at least one}", "0", "at least one"),
    ],
)
def test_a_wrong_parameter_is_refused(declared, given, words):
    made = template(Parameters=f"{{P: {declared}}}")
    with pytest.raises(Refusal) as caught:
        made.values({"P": given})
    assert words in caught.value.message
    with pytest.raises(Refusal):
        made.values({})  # no default
    with pytest.raises(Refusal):
        made.values({"P": "1", "Q": "1"})


@pytest.mark.parametrize(
    ("resources", "needed"),
    [
        ("  A: {Type: AWS::Logs::LogGroup}", []),
        ("  A: {Type: AWS::IAM::Role}", ["CAPABILITY_IAM"]),
        ("  A: {Type: AWS::IAM::Role, Properties: {RoleName: a}}", ["CAPABILITY_NAMED_IAM"]),
    ],
)
def test_capabilities(resources, needed):
    assert template(resources).capabilities == needed


def test_rules_of_parameters():
    made = template(
        Parameters="{P: {Type: String, Default: a}}",
        Rules="{R: {RuleCondition: !Not [!Equals [!Ref P, c]], Assertions: [{Assert: !Equals [!Ref P, b], AssertDescription: it is b}]}}",
    )
    assert made.values({"P": "b"}) == {"P": "b"} and made.values({"P": "c"}) == {"P": "c"}
    with pytest.raises(Refusal, match="Rule R is not satisfied: it is b"):
        made.values({})
    for rules, words in (
        ("{R: {Assertions: [{Assert: !Ref A}]}}", "refer to parameters only"),
        ("{R: {Assertions: 3}}", "must contain Assertions"),
        ("{R: 3}", "Every Rules member must be an object"),
    ):
        with pytest.raises(Refusal, match=words):
            template(Rules=rules).values({})
