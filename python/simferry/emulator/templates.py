"""CloudFormation's templates: YAML or JSON, parameters, conditions, functions, and what depends on what."""

import base64
import ipaddress
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .calls import ACCOUNT, Refusal
from .schemas import exists

ZONES = ("a", "b", "c")
_SECTIONS = {
    "AWSTemplateFormatVersion", "Conditions", "Description", "Mappings", "Metadata", "Outputs", "Parameters", "Resources",
    "Rules", "Transform",
}  # fmt: skip
LONGEST = 51_200  # bytes of a template in a request
LONGEST_VALUE = 4096  # bytes of a parameter's value
MOST = {"Parameters": 200, "Resources": 500, "Outputs": 200, "Rules": 200}  # of a template
DEEPEST = 64  # levels of lists and mappings in each other; the service's own limit is not documented
# characters and list elements that the functions of a template give: each can multiply what it is given
MOST_MADE = 4_000_000
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
        document = _plain(_parse(body))
        if unknown := sorted(set(document) - _SECTIONS):
            raise invalid(f"Invalid template property or properties [{', '.join(unknown)}]")
        if "Transform" in document or "Mappings" in document:
            raise invalid("simferry's emulator has no transforms and mappings of templates")
        if not isinstance(document.get("Resources"), dict) or not document["Resources"]:
            raise invalid("Template format error: At least one Resources member must be defined.")
        self.description = str(document.get("Description") or "")
        self.parameters = _section(document, "Parameters")
        self.rules = _section(document, "Rules")
        self.conditions: dict[str, Any] = document.get("Conditions") or {}
        if not isinstance(self.conditions, dict):
            raise invalid("Template format error: Every Conditions member must be an object.")
        self.resources = _section(document, "Resources")
        self.outputs = _section(document, "Outputs")
        self.metadata = document.get("Metadata") or {}
        self._check_members()
        if unknown := sorted({one["Type"] for one in self.resources.values() if not exists(one["Type"])}):
            raise invalid(f"Template format error: Unrecognized resource types: [{', '.join(unknown)}]")
        self._check_references()

    def _check_members(self) -> None:
        """Check the form of resources, outputs and parameters."""

        def wrong(section: str, name: str, what: str) -> Refusal:
            return invalid(f"Template format error: [/{section}/{name}] {what}")

        for name, one in self.resources.items():
            if not isinstance(one.get("Type"), str):
                raise wrong("Resources", name, "Every Resources object must contain a Type member.")
            depends = one.get("DependsOn", [])
            if not all(isinstance(other, str) for other in (depends if isinstance(depends, list) else [depends])):
                raise wrong("Resources", name, "DependsOn must name resources.")
            if not isinstance(one.setdefault("Properties", {}), dict):
                raise wrong("Resources", name, "Properties must be an object.")
        for name, one in self.outputs.items():
            if "Value" not in one:
                raise wrong("Outputs", name, "Every Outputs member must contain a Value object")
            if "Export" in one and not (isinstance(one["Export"], dict) and "Name" in one["Export"]):
                raise wrong("Outputs", name, "Export must have a Name.")
        for section, members in ("Resources", self.resources), ("Outputs", self.outputs):
            for name, one in members.items():
                if not isinstance(one.get("Condition", ""), str):
                    raise wrong(section, name, "Condition must name a condition.")
        for name, one in self.parameters.items():
            for key, value in one.items():
                if isinstance(value, dict) or isinstance(value, list) != (key == "AllowedValues"):
                    raise wrong("Parameters", name, f"{key} has a wrong form.")

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
        self._check_rules(values)
        return values

    def _check_rules(self, values: Mapping[str, str]) -> None:
        """Refuse values that a rule excludes. Rules see parameters only. What the service says is not documented."""

        def unknown(*_: str) -> str:
            raise invalid("Template error: rules refer to parameters only")

        scope = Scope(self, values, ("", "", ""), unknown, unknown, unknown)
        for name, rule in self.rules.items():
            if "RuleCondition" in rule and not scope.value(rule["RuleCondition"]):
                continue
            assertions = rule.get("Assertions")
            if not isinstance(assertions, list) or not all(isinstance(a, dict) and "Assert" in a for a in assertions):
                raise invalid(f"Template format error: [/Rules/{name}] Every Rules object must contain Assertions.")
            for one in assertions:
                if not scope.value(one["Assert"]):
                    raise invalid(f"Rule {name} is not satisfied: {one.get('AssertDescription', '')}")

    def order(self) -> list[str]:
        """The resources in the order in which they are created: what another one needs comes first."""
        done: list[str] = []
        waiting = [*self.resources]
        needs = {name: self.needs(name) for name in waiting}
        while waiting:
            finished = set(done)
            ready = [name for name in waiting if needs[name] <= finished]
            if not ready:
                raise invalid(f"Circular dependency between resources: [{', '.join(sorted(waiting))}]")
            done += ready
            waiting = [name for name in waiting if needs[name] - finished]
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
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise invalid(f"Template format error: YAML not well-formed.{where}") from None
    except ValueError:  # such as a number with more digits than Python reads
        raise invalid("Template format error: YAML not well-formed.") from None
    if not isinstance(document, dict):
        raise invalid("Template format error: unsupported structure.")
    return document


def _plain(part: Any, path: str = "", level: int = 0) -> Any:
    """A part of a template whose keys are texts, and whose functions have arguments of the right form, as far as that can be told
    before they are evaluated."""
    if level > DEEPEST:
        raise invalid(f"Template format error: [{path}] is nested in more than {DEEPEST} levels.")
    if isinstance(part, list):
        return [_plain(one, f"{path}/{number}", level + 1) for number, one in enumerate(part)]
    if not isinstance(part, dict):
        if isinstance(part, str | int | float | None):
            return part
        raise invalid(f"Template format error: [{path}] is a {type(part).__name__}.")
    plain = {str(key): _plain(one, f"{path}/{key}", level + 1) for key, one in part.items()}
    for key, right in _FORMS.items():
        if key in plain and not right(plain[key]):
            raise invalid(f"Template error: the argument of {key} in [{path}] has a wrong form")
    return plain


def _texts(given: Any, count: int) -> bool:
    return isinstance(given, list) and len(given) == count and isinstance(given[0], str)


_FORMS: dict[str, Callable[[Any], bool]] = {
    "Ref": lambda given: isinstance(given, str),
    "Fn::GetAtt": lambda given: _texts(given, 2) or (isinstance(given, str) and "." in given),
    "Fn::If": lambda given: _texts(given, 3),
    "Fn::Sub": lambda given: isinstance(given, str) or (_texts(given, 2) and isinstance(given[1], dict)),
}


def _section(document: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """A section of a template: mappings by their names."""
    section = document.get(name) or {}
    if not isinstance(section, dict) or not all(isinstance(one, dict) for one in section.values()):
        raise invalid(f"Template format error: Every {name} member must be an object.")
    if len(section) > MOST[name]:
        raise invalid(
            f"Template format error: Number of {name.lower()}, {len(section)}, is greater than maximum allowed, {MOST[name]}"
        )
    return section


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

    if len(text.encode()) > LONGEST_VALUE:
        raise invalid(f"Parameter '{name}' must have at most {LONGEST_VALUE} bytes")
    allowed = [str(one) for one in declared.get("AllowedValues", [])]
    if allowed and text not in allowed:
        raise invalid(f"Parameter '{name}' must be one of AllowedValues")
    try:
        fits = bool(re.fullmatch(str(declared.get("AllowedPattern", ".*")), text, re.DOTALL))
    except re.error:
        raise invalid(f"Template format error: the AllowedPattern of parameter {name} is no pattern") from None
    if not fits:
        raise invalid(f"Parameter '{name}' must match pattern {declared['AllowedPattern']}")
    is_number = declared.get("Type") == "Number"
    least, most = (declared.get(f"{end}{'Value' if is_number else 'Length'}") for end in ("Min", "Max"))
    try:
        size = float(text) if is_number else len(text)
    except ValueError:
        raise invalid(f"Parameter '{name}' must be a number.") from None
    try:
        fits = (least is None or float(least) <= size) and (most is None or size <= float(most))
    except (OverflowError, ValueError):
        raise invalid(f"Template format error: the limits of parameter {name} are no numbers") from None
    if not fits:
        raise refuse(
            f"Parameter '{name}' must {'be a number' if is_number else 'have a length'} between {least} and {most}"
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
        self._conditions: dict[str, bool | None] = {}  # None: is being evaluated
        self._made = 0
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
        if condition not in self._conditions:
            self._conditions[condition] = None
            self._conditions[condition] = bool(self.value(self.template.conditions[condition]))
        if (held := self._conditions[condition]) is None:
            raise invalid(f"Template error: Condition '{condition}' refers to itself")
        return held

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
            thing, key = given.split(".", 1) if isinstance(given, str) else given
            return self.attribute(thing, str(self._value(key)))
        if name == "Sub":
            return self._sub(given)
        values = self._value(given)
        if name not in _FUNCTIONS:
            if name == "GetAZs":
                return [f"{values or self.pseudo['AWS::Region']}{zone}" for zone in ZONES]
            if name == "ImportValue":
                return self.imported(str(values))
            raise invalid(f"Template error: simferry's emulator has no function Fn::{name}")
        try:
            if name == "Join":  # before it is made
                self._count(len(str(values[0])) * len(values[1]))
            made = _FUNCTIONS[name](values)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise invalid(f"Template error: Fn::{name} can't be evaluated: {error}") from None
        self._count(len(made) if isinstance(made, str | list) else 0)
        return made

    def _count(self, made: int) -> None:
        self._made += made
        if self._made > MOST_MADE:
            raise invalid("Template error: the functions of the template give more than simferry's emulator takes")

    def _sub(self, given: Any) -> str:
        text, names = (given[0], self._value(given[1])) if isinstance(given, list) else (given, {})

        def one(match: "re.Match[str]") -> str:
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in names:
                found = str(names[name])
            else:
                thing, _, attribute = name.partition(".")
                found = str(self.attribute(thing, attribute) if attribute else self._ref(name))
            self._count(len(found))
            return found

        return re.sub(r"\$\{([^}]+)\}", one, text)


def _cidr(given: list[Any]) -> list[str]:
    block, count, bits = ipaddress.ip_network(str(given[0])), int(given[1]), int(given[2]) if len(given) > 2 else 8
    if not 1 <= count <= 256:
        raise ValueError(f"{count} blocks, not 1 to 256")
    subnets = block.subnets(new_prefix=block.max_prefixlen - bits)
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
