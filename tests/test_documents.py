"""What documents promise about citing, protocols and reports of bugs."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
BUG = ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.md"
PAPER = "https://arxiv.org/abs/2511.09540"


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_readme_and_citation_file_cite_one_paper():
    cited = yaml.safe_load(text("CITATION.cff"))["preferred-citation"]
    (entry,) = re.findall(r"```bibtex\n(.*?)```", text("README.md"), re.DOTALL)
    fields = dict(re.findall(r"(\w+) +=\s*\{(.*)\}", entry))
    assert fields["title"].replace("{", "").replace("}", "") == cited["title"]
    assert fields["author"] == " and ".join(f"{who['family-names']}, {who['given-names']}" for who in cited["authors"])
    assert (fields["year"], fields["booktitle"]) == (str(cited["year"]), cited["collection-title"])
    assert fields["url"] == cited["url"] == PAPER


def test_licence_is_the_one_that_is_named():
    licence = yaml.safe_load(text("CITATION.cff"))["license"]
    assert text("LICENSE").startswith(f"{licence} License") and f"under the {licence} licence" in text("README.md")


def test_two_documents_of_nearly_one_name_name_each_other_at_once():
    for name, other in (("PROTOCOL", "PROTOCOLS"), ("PROTOCOLS", "PROTOCOL")):
        assert f"({other}.md)" in "\n".join(text(f"docs/{name}.md").splitlines()[:5])


@pytest.mark.parametrize("path", ["docs/PROTOCOL.md", ".github/ISSUE_TEMPLATE/bug.md"])
def test_commands_of_a_document_are_there(path):
    modules = re.findall(r"python -m ([\w.]+)", text(path))
    assert modules and all(find_spec(name) for name in modules)
    assert all((ROOT / name).is_file() for name in re.findall(r"python (\w+/\w+\.py)", text(path)))


def test_an_issue_asks_for_the_report_and_for_no_picture():
    head, about = BUG.read_text(encoding="utf-8").split("---\n")[1:]
    assert set(yaml.safe_load(head)) == {"name", "about", "labels"}
    assert "`python -m runs.bugreport RUN`" in about and "no picture" in about
    assert "python -m runs.bugreport RUN" in text("README.md").rpartition("\n## ")[2]
