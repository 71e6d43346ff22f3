"""What a release is made from: versions, workflows, wheels and the image agree with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VERSION = PROJECT["project"]["version"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def citation(name: str) -> str:
    found = re.search(
        rf'^{name}: "?([^"\n]+)"?$', (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M
    )
    assert found, name
    return found[1]


def test_the_citation_is_of_this_version() -> None:
    assert citation("version") == VERSION
    # Beside it a wheel is under the licence of what is compiled in.
    assert citation("license") in PROJECT["project"]["license"].split(" AND ")
    heading = f"## [{VERSION}] - {citation('date-released')}\n"
    assert heading in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_python_that_is_promised_has_a_wheel() -> None:
    promised = {
        name.rpartition(" ")[2].replace(".", "")
        for name in PROJECT["project"]["classifiers"]
        if re.search(r":: 3\.\d+$", name)
    }
    built = {name.removeprefix("cp").removesuffix("-*") for name in _cibuildwheel()["build"]}
    assert built == promised
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=").replace(".", "")
    assert min(promised, key=int) == oldest


def _cibuildwheel() -> dict[str, list[str]]:
    settings: dict[str, list[str]] = PROJECT["tool"]["cibuildwheel"]
    return settings


def test_wheels_are_tested_as_here() -> None:
    command = PROJECT["tool"]["cibuildwheel"]["test-command"]
    assert command == "python {project}/scripts/try_wheel.py"
    lines = (ROOT / "tests" / "environments.txt").read_text(encoding="utf-8").split()
    for line in lines:
        assert (ROOT / line.removeprefix("--ignore=")).exists(), line
    wanted = {name.partition(">")[0] for name in _cibuildwheel()["test-requires"]}
    for script in ("try_pythons.sh", "try_bounds.sh"):
        words = re.findall(r"[\w-]+", (ROOT / "scripts" / script).read_text(encoding="utf-8"))
        assert wanted <= set(words), script


def test_actions_are_pinned_and_rights_are_few() -> None:
    assert {path.name for path in WORKFLOWS} == {"audit.yml", "check.yml", "wheels.yml"}
    for path in WORKFLOWS:
        text = path.read_text(encoding="utf-8")
        used = re.findall(r"uses: (.*)", text)
        assert used
        for action in used:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
        assert "permissions:\n  contents: read\n\n" in text
        assert "secrets." not in text
        assert not re.search(r"https?://", text), "no host is named"
    text = (ROOT / ".github" / "workflows" / "wheels.yml").read_text(encoding="utf-8")
    building, _, rest = text.partition("  publish:\n")
    publish, _, release = rest.partition("  release:\n")
    assert "write" not in building
    for job, right in ((publish, "id-token"), (release, "contents")):
        assert "if: github.event_name == 'push' && github.ref_type == 'tag'" in job
        assert re.findall(r"([\w-]+): write", job) == [right]
        assert "checkout" not in job, "only what was built and tested before"


def test_a_release_is_made_of_what_is_locked_and_says_what_is_in_it() -> None:
    text = (ROOT / ".github" / "workflows" / "wheels.yml").read_text(encoding="utf-8")
    assert "--require-hashes -r .ci/build.txt" in text
    assert "--sdist --no-isolation" in text
    settings = PROJECT["tool"]["cibuildwheel"]
    assert settings["build-frontend"] == {"name": "build", "args": ["--no-isolation"]}
    assert "--require-hashes -r {project}/.ci/build.txt" in settings["before-build"]
    publish = text.partition("  publish:\n")[2]
    assert "needs: [sdist, wheels, bill-of-materials]" in publish
    assert "run: sh scripts/sbom.sh" in text


def test_the_image_runs_as_a_user_and_is_made_of_what_the_build_needs() -> None:
    commands = re.findall(r"^([A-Z]+) (.*)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert [words for name, words in commands if name == "USER"] == ["1000:1000"]
    assert commands[-2:] == [("ENTRYPOINT", '["warpzone"]'), ("CMD", '["--help"]')]
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    project, build = PROJECT["project"], PROJECT["build-system"]
    needed = {"pyproject.toml", "CMakeLists.txt", "native", project["readme"]}
    assert allowed == {*needed, *project["license-files"], *build["backend-path"], "src"}
