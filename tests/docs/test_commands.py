"""What the documentation says to type, set and click exists."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from itertools import dropwhile

from pihupulse_provider.cli.main import COMMANDS
from pihupulse_provider.provider_info import get_provider_info
from tests.docs.pages import ROOT, Block, blocks, commands, name_of, pages

SETTING = re.compile(r"AIRFLOW__PIHUPULSE__(\w+?)(?:_CMD|_SECRET)?\b(?!_)")
OPTIONS = {command.name: {argument.flag for argument in command.arguments} for command in COMMANDS}
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")


def _starting_with(*first: str) -> list[list[str]]:
    lines = [_words(line) for line in commands()]
    return [line for line in lines if tuple(line[: len(first)]) == first]


def _words(line: str) -> list[str]:
    """Return the words of a command, without the variables that are set for it."""
    words = shlex.split(line)
    return list(dropwhile(lambda word: re.match(r"\w+=", word), words))


def _options(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("--")}


def _subcommand(words: list[str]) -> str | None:
    return next((word for word in words[:1] if word in OPTIONS), None)


def _settings(block: Block) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(block.text)
    named = parser.options("pihupulse") if parser.has_section("pihupulse") else []
    return [name.removesuffix("_cmd").removesuffix("_secret") for name in named]


@cache
def _help(module: str) -> str:
    ended = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def _known(module: str, subcommand: str | None) -> set[str]:
    """Return the options of a module, or of one of our commands, which the module's help then names."""
    if subcommand is None:
        return set(re.findall(r"--[a-z-]+", _help(module)))
    assert subcommand in _help(module)
    return OPTIONS[subcommand]


def test_the_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {word for line in _starting_with("make") for word in line[1:] if "=" not in word}

    assert named
    assert named <= targets


def test_the_modules_take_the_options_shown() -> None:
    unknown = {
        (module, option)
        for _, _, module, *rest in _starting_with("python", "-m")
        for option in _options(rest) - _known(module, _subcommand(rest))
    }

    assert not unknown


def test_the_airflow_commands_exist_with_their_options() -> None:
    unknown = {
        (name, option)
        for _, _, name, *rest in _starting_with("airflow", "pihupulse")
        for option in _options(rest) - OPTIONS[name]
    }

    assert not unknown


def test_the_installations_name_this_package_and_its_extras() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [re.sub(r"--\S+ \S+", "", " ".join(line[2:])) for line in _starting_with("pip", "install")]
    wanted = [word.partition("==")[0].rstrip("]").partition("[") for line in lines for word in line.split()]

    assert {name for name, _, _ in wanted} == {project["name"], ".", "apache-airflow", "pytest"}
    assert {extras for _, _, extras in wanted if extras} <= set(project["optional-dependencies"])


def test_the_settings_shown_exist() -> None:
    named = {name for page in pages() for block in blocks(page, "ini") for name in _settings(block)}

    assert named
    assert named <= _declared()


def test_an_environment_variable_names_a_setting() -> None:
    named = {name.lower() for page in pages() for name in SETTING.findall(page.read_text("utf-8"))}

    assert named <= _declared()


def test_a_relative_link_leads_to_a_file() -> None:
    broken = [
        f"{name_of(page)}: {target}"
        for page in pages()
        for target in LINK.findall(page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]

    assert not broken


def test_every_operator_sensor_and_trigger_has_its_place_in_a_guide() -> None:
    guides = "".join(page.read_text("utf-8") for page in pages())
    public = re.compile(r"^class (PihuPulse\w+(?:Operator|Sensor|Trigger|Hook|Policy))\b", re.MULTILINE)
    package = ROOT / "pihupulse_provider"
    names = {name for source in package.rglob("*.py") for name in public.findall(source.read_text("utf-8"))}

    assert {name for name in names - {"PihuPulseOperator"} if name not in guides} == set()


def _declared() -> set[str]:
    return set(get_provider_info()["config"]["pihupulse"]["options"])
