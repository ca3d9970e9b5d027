"""The guardrails of a file, for every verb alike: policy documents, or a section `guardrails` by itself.

Of policies it is what a sidecar makes of all their sections together, with the detectors that nobody names; a
section by itself is exactly the detectors in it.
"""

from __future__ import annotations

from pathlib import Path

from mesh.policy import PolicyInvalid, load_texts, yaml_tree
from mesh.policy.content import guardrails_of
from mesh.policy.documents import AgentPolicy, Mode
from mesh.policy.errors import ErrorLog
from mesh.policy.fields import Place, Sheet
from mesh.policy.guardrail_schema import read_guardrails
from mesh.policy.guardrails import Guardrails
from mesh.policy.panel import Speaker
from mesh.policy.rules import Rule

_SECTION = "guardrails"
_OF_OBJECTS = ("apiVersion", "kind")


class NothingSaid(Exception):
    """The file says nothing of content; whoever named it is at fault."""


class PolicyUnreadable(Exception):
    """The file is not there, or no text; whoever named it is at fault."""


def read_policy(path: str) -> Guardrails:
    """What the file, folder or `-` says. Raises NothingSaid, PolicyUnreadable, PolicyInvalid, ManifestInvalid."""
    text = _text(path)
    found = None if text is None else _by_itself(path, text)
    return _of_policies(path) if found is None else found


def _text(path: str) -> str | None:
    if path == "-" or Path(path).is_dir():
        return None
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PolicyUnreadable(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PolicyUnreadable(f"{path}: is not UTF-8 text (byte {error.start})") from error


def _by_itself(path: str, text: str) -> Guardrails | None:
    """The section, or what stands below its name; None where the file holds something else."""
    log = ErrorLog(path)
    nodes = yaml_tree.read_documents(text, log)
    if log.errors or len(nodes) != 1 or not isinstance(node := nodes[0], yaml_tree.Mapping):
        return None
    keys = [entry.key for entry in node.entries]
    if any(key in keys for key in _OF_OBJECTS):
        return None
    section = node.entries[0].value if keys == [_SECTION] else node
    found = read_guardrails(section, Place(Sheet(log), ""))
    if log.errors or not isinstance(found, Guardrails):
        raise PolicyInvalid(tuple(log.listed()))
    return found


def _of_policies(path: str) -> Guardrails:
    """What all guardrails sections of a file make together."""
    from cli.policy.reading import read  # what it needs of clusters and webhooks is half a second

    documents = load_texts(read([path]).texts)
    speakers = [speaker for policy in documents.policies if (speaker := _speaker(policy)).rules]
    if not speakers:
        raise NothingSaid(
            f"{path}: no policy in there has a section guardrails; name policies that have one, "
            "write such a section by itself, or leave --policy out"
        )
    return guardrails_of(speakers)


def _speaker(policy: AgentPolicy) -> Speaker:
    sections = [rule.guardrails for rule in policy.outbound]
    sections += [rule.guardrails for rule in policy.inbound or ()]
    rules = [Rule(policy.name, None, guardrails=section) for section in sections if section is not None]
    return Speaker(policy.name, policy.mode is Mode.ENFORCE, tuple(rules))
