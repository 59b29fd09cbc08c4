"""CloudFormation's templates: YAML or JSON, parameters, conditions, functions, and what depends on what."""

import base64
import ipaddress
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .calls import ACCOUNT, Refusal
from .resources import exists

ZONES = ("a", "b", "c")
_SECTIONS = {
    "AWSTemplateFormatVersion", "Conditions", "Description", "Mappings", "Metadata", "Outputs", "Parameters", "Resources",
    "Rules", "Transform",
}  # fmt: skip
LONGEST = 51_200  # bytes of a template in a request
_NO_VALUE = object()


def invalid(text: str) -> Refusal:
    return Refusal("ValidationError", text)


class Template:
    """A template whose sections have been checked. Raises Refusal, in the words of the service where they are known."""

    def __init__(self, body: str) -> None:
        if len(body.encode()) > LONGEST:
            raise invalid(
                "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length "
                f"less than or equal to {LONGEST}"
            )
        self.body = body
        document = _parse(body)
        if unknown := sorted(set(document) - _SECTIONS):
            raise invalid(f"Invalid template property or properties [{', '.join(unknown)}]")
        if "Transform" in document or "Rules" in document or "Mappings" in document:
            raise invalid("simferry's emulator has no transforms, rules and mappings of templates")
        if not isinstance(document.get("Resources"), dict) or not document["Resources"]:
            raise invalid("Template format error: At least one Resources member must be defined.")
        self.description = str(document.get("Description", ""))
        self.parameters: dict[str, dict[str, Any]] = document.get("Parameters") or {}
        self.conditions: dict[str, Any] = document.get("Conditions") or {}
        self.resources: dict[str, dict[str, Any]] = document["Resources"]
        self.outputs: dict[str, dict[str, Any]] = document.get("Outputs") or {}
        self.metadata = document.get("Metadata") or {}
        for name, one in self.resources.items():
            if not isinstance(one, dict) or "Type" not in one:
                raise invalid(
                    f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
                )
        if unknown := sorted({str(one["Type"]) for one in self.resources.values() if not exists(str(one["Type"]))}):
            raise invalid(f"Template format error: Unrecognized resource types: [{', '.join(unknown)}]")
        self._check_references()

    def _check_references(self) -> None:
        known = {*self.parameters, *self.resources}
        places = [(f"/Resources/{name}", one) for name, one in self.resources.items()]
        places += [(f"/Outputs/{name}", one) for name, one in self.outputs.items()]
        unknown = sorted(
            {name for _, part in places for name in references(part) if not name.startswith("AWS::")} - known
        )
        if unknown:
            raise invalid(
                "Template format error: Unresolved resource dependencies "
                f"[{', '.join(unknown)}] in the Resources block of the template"
            )

    @property
    def capabilities(self) -> list[str]:
        """The capabilities that a caller has to confirm."""
        iam = [one for one in self.resources.values() if str(one["Type"]).startswith("AWS::IAM::")]
        names = ("RoleName", "UserName", "GroupName", "ManagedPolicyName", "InstanceProfileName")
        named = any(name in one.get("Properties", {}) for one in iam for name in names)
        return ["CAPABILITY_NAMED_IAM"] if named else ["CAPABILITY_IAM"] if iam else []

    def values(self, given: Mapping[str, str]) -> dict[str, str]:
        """The value of each parameter. given: those of the request."""
        if unknown := sorted(set(given) - set(self.parameters)):
            raise invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
        missing = [n for n, one in self.parameters.items() if n not in given and "Default" not in one]
        if missing:
            raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
        values = {name: str(given.get(name, one.get("Default"))) for name, one in self.parameters.items()}
        for name, text in values.items():
            _check_value(name, text, self.parameters[name])
        return values

    def order(self) -> list[str]:
        """The resources in the order in which they are created: what another one needs comes first."""
        done: list[str] = []
        waiting = [*self.resources]
        while waiting:
            ready = [name for name in waiting if self.needs(name) <= set(done)]
            if not ready:
                raise invalid(f"Circular dependency between resources: [{', '.join(sorted(waiting))}]")
            done += ready
            waiting = [name for name in waiting if name not in ready]
        return done

    def needs(self, name: str) -> set[str]:
        """The resources that a resource needs before it."""
        one = self.resources[name]
        depends = one.get("DependsOn", [])
        named = {depends} if isinstance(depends, str) else set(depends)
        return (named | set(references(one.get("Properties", {})))) & set(self.resources)


def _parse(body: str) -> dict[str, Any]:
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise invalid("Template error: YAML aliases are not allowed in CloudFormation templates")
            return super().compose_node(parent, index)

    def function(loader: Any, suffix: str, node: Any) -> Any:
        if isinstance(node, yaml.ScalarNode):
            value: Any = loader.construct_scalar(node)
        elif isinstance(node, yaml.SequenceNode):
            value = loader.construct_sequence(node, deep=True)
        else:
            value = loader.construct_mapping(node, deep=True)
        if suffix == "GetAtt" and isinstance(value, str):
            value = value.split(".", 1)
        return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}

    Loader.add_multi_constructor("!", function)
    Loader.yaml_implicit_resolvers = {  # dates stay texts, as 2010-09-09 of the version
        first: [(tag, regexp) for tag, regexp in found if tag != "tag:yaml.org,2002:timestamp"]
        for first, found in Loader.yaml_implicit_resolvers.items()
    }
    try:
        document = yaml.load(body, Loader)  # a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise invalid(f"Template format error: YAML not well-formed.{where}") from None
    if not isinstance(document, dict):
        raise invalid("Template format error: unsupported structure.")
    return document


def references(part: Any) -> Iterator[str]:
    """The names that a part of a template refers to."""
    if isinstance(part, list):
        for one in part:
            yield from references(one)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key == "Ref":
                yield str(value)
            elif key == "Fn::GetAtt":
                yield str(value[0] if isinstance(value, list) else str(value).partition(".")[0])
            elif key == "Fn::Sub":
                text, names = (value[0], value[1]) if isinstance(value, list) else (value, {})
                yield from (n.partition(".")[0] for n in _named_in(text) if n.partition(".")[0] not in names)
                yield from references(names)
            elif key != "Condition":
                yield from references(value)


def _named_in(text: str) -> list[str]:
    return [name for name in re.findall(r"\$\{([^}]+)\}", text) if not name.startswith("!")]


def _check_value(name: str, text: str, declared: Mapping[str, Any]) -> None:
    """Refuse a value that a parameter's declaration excludes."""
    said = declared.get("ConstraintDescription")

    def refuse(constraint: str) -> Refusal:
        return invalid(f"Parameter {name} failed to satisfy constraint: {said or constraint}")

    allowed = [str(one) for one in declared.get("AllowedValues", [])]
    if allowed and text not in allowed:
        raise invalid(f"Parameter '{name}' must be one of AllowedValues")
    if "AllowedPattern" in declared and not re.fullmatch(str(declared["AllowedPattern"]), text):
        raise invalid(f"Parameter '{name}' must match pattern {declared['AllowedPattern']}")
    if declared.get("Type") == "Number":
        try:
            number = float(text)
        except ValueError:
            raise invalid(f"Parameter '{name}' must be a number.") from None
        if number < float(declared.get("MinValue", number)) or number > float(declared.get("MaxValue", number)):
            least, most = declared.get("MinValue"), declared.get("MaxValue")
            raise refuse(f"Parameter '{name}' must be a number between {least} and {most}")
    elif not int(declared.get("MinLength", 0)) <= len(text) <= int(declared.get("MaxLength", len(text))):
        raise refuse(
            f"Parameter '{name}' must have a length between {declared.get('MinLength')} and {declared.get('MaxLength')}"
        )


class Scope:
    """Evaluates the functions of a template.

    stack: its name, ARN and region. reference: gives the value of Ref for a resource, attribute: of GetAtt, imported: of an export.
    They raise Refusal where there is none.
    """

    def __init__(
        self,
        template: Template,
        values: Mapping[str, str],
        stack: tuple[str, str, str],
        reference: Callable[[str], str],
        attribute: Callable[[str, str], Any],
        imported: Callable[[str], str],
    ) -> None:
        self.template, self.values = template, values
        self.reference, self.attribute, self.imported = reference, attribute, imported
        name, arn, region = stack
        self.pseudo = {
            "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws", "AWS::Region": region, "AWS::StackId": arn,
            "AWS::StackName": name, "AWS::URLSuffix": "amazonaws.com",
        }  # fmt: skip

    def included(self, name: str) -> bool:
        """Whether the condition of a resource holds."""
        condition = self.template.resources[name].get("Condition")
        return condition is None or self.holds(condition)

    def holds(self, condition: str) -> bool:
        if condition not in self.template.conditions:
            raise invalid(f"Template error: Condition '{condition}' is not defined")
        return bool(self.value(self.template.conditions[condition]))

    def value(self, part: Any) -> Any:
        """A part of the template, with its functions evaluated."""
        found = self._value(part)
        return None if found is _NO_VALUE else found

    def _value(self, part: Any) -> Any:
        if isinstance(part, list):
            return [one for one in map(self._value, part) if one is not _NO_VALUE]
        if not isinstance(part, dict):
            return part
        if len(part) == 1:
            key, given = next(iter(part.items()))
            if key == "Ref":
                return self._ref(str(given))
            if key == "Condition" and isinstance(given, str) and given in self.template.conditions:
                return self.holds(given)
            if key.startswith("Fn::"):
                return self._function(key[4:], given)
        return {key: one for key, given in part.items() if (one := self._value(given)) is not _NO_VALUE}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.values:
            kind, text = str(self.template.parameters[name].get("Type", "String")), self.values[name]
            if kind.startswith("AWS::SSM::Parameter::Value"):
                return f"ami-{zlib.crc32(text.encode()):017x}"
            return [one.strip() for one in text.split(",")] if "List" in kind else text
        return self.reference(name)

    def _function(self, name: str, given: Any) -> Any:
        if name == "If":
            return self._value(given[1] if self.holds(given[0]) else given[2])
        if name == "GetAtt":
            return self.attribute(given[0], str(self._value(given[1])))
        if name == "Sub":
            return self._sub(given)
        values = self._value(given)
        if name not in _FUNCTIONS:
            if name == "GetAZs":
                return [f"{values or self.pseudo['AWS::Region']}{zone}" for zone in ZONES]
            if name == "ImportValue":
                return self.imported(str(values))
            raise invalid(f"Template error: simferry's emulator has no function Fn::{name}")
        return _FUNCTIONS[name](values)

    def _sub(self, given: Any) -> str:
        text, names = (given[0], self._value(given[1])) if isinstance(given, list) else (given, {})

        def one(match: "re.Match[str]") -> str:
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in names:
                return str(names[name])
            thing, _, attribute = name.partition(".")
            return str(self.attribute(thing, attribute) if attribute else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", one, text)


def _cidr(given: list[Any]) -> list[str]:
    block, count, bits = str(given[0]), int(given[1]), int(given[2]) if len(given) > 2 else 8
    subnets = ipaddress.ip_network(block).subnets(new_prefix=32 - bits)
    return [str(subnet) for subnet, _ in zip(subnets, range(count), strict=False)]


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "And": all,
    "Base64": lambda given: base64.b64encode(given.encode()).decode(),
    "Cidr": _cidr,
    "Equals": lambda given: str(given[0]) == str(given[1]),
    "Join": lambda given: str(given[0]).join(map(str, given[1])),
    "Not": lambda given: not given[0],
    "Or": any,
    "Select": lambda given: given[1][int(given[0])],
    "Split": lambda given: str(given[1]).split(str(given[0])),
    "ToJsonString": json.dumps,
}
