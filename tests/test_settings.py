"""`--set name=value`."""

from __future__ import annotations

from typing import ClassVar

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from warpzone.errors import ConfigError
from warpzone.settings import (
    apply,
    describe,
    format_override,
    merge,
    parse_overrides,
    setting_names,
)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    noop_max: int = 0
    levels: dict[str, float] = {}


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    env: Inner = Inner()
    spare: Inner | None = None
    lr: float = 1e-4
    name: str = ""
    amp: bool | None = None


def test_values_are_json_or_text() -> None:
    texts = ["lr=3e-4", "amp=null", "name=run one", "env.noop_max=5", 'env.levels={"1-1": 2}']
    assert parse_overrides(texts, Settings) == {
        "lr": 3e-4,
        "amp": None,
        "name": "run one",
        "env": {"noop_max": 5, "levels": {"1-1": 2}},
    }


@pytest.mark.parametrize(
    "value", ["run one", "", "1", "null", " a", '"', "a=b", 3e-4, None, True, [1, 2], {"1-1": 2.0}]
)
def test_a_setting_written_down_is_read_back(value: object) -> None:
    assert parse_overrides([format_override("name", value)], Settings) == {"name": value}


def test_value_may_hold_an_equals_sign() -> None:
    assert parse_overrides(["name=a=b"], Settings) == {"name": "a=b"}


def test_dashes_are_underscores() -> None:
    class Dashed(BaseModel):
        num_envs: int = 1

    assert parse_overrides(["num-envs=4"], Dashed) == {"num_envs": 4}


def test_names_of_nested_and_optional_models() -> None:
    assert list(setting_names(Settings)) == [
        "env",
        "env.noop_max",
        "env.levels",
        "spare",
        "spare.noop_max",
        "spare.levels",
        "lr",
        "name",
        "amp",
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("nme=x", "Did you mean name?"),
        ("env.noop=1", "Did you mean env.noop_max"),
        ("noop_max=1", "env.noop_max"),
        ("zzzzzz=1", "Known settings: env, env.noop_max"),
    ],
)
def test_unknown_name_suggests(text: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_overrides([text], Settings)
    assert hint in str(caught.value)


@pytest.mark.parametrize("text", ["lr", "=3", ""])
def test_form_of_the_option(text: str) -> None:
    with pytest.raises(ConfigError, match="name=value"):
        parse_overrides([text], Settings)


def test_part_of_a_setting_that_was_set_as_a_whole() -> None:
    with pytest.raises(ConfigError, match="already set as a whole"):
        parse_overrides(["spare=null", "spare.noop_max=1"], Settings)


def test_merge_is_deep_and_leaves_its_inputs() -> None:
    base = {"env": {"noop_max": 0, "levels": {}}, "lr": 1.0}
    merged = merge(base, {"env": {"noop_max": 3}, "lr": 2.0})
    assert merged == {"env": {"noop_max": 3, "levels": {}}, "lr": 2.0}
    assert base == {"env": {"noop_max": 0, "levels": {}}, "lr": 1.0}


def test_apply_keeps_the_rest_and_checks() -> None:
    settings = Settings(lr=1.0, env=Inner(noop_max=4))
    assert apply(settings, {"env": {"levels": {"1-1": 1}}}) == Settings(
        lr=1.0, env=Inner(noop_max=4, levels={"1-1": 1.0})
    )
    with pytest.raises(ConfigError, match="no such setting"):
        apply(settings, {"sped": 1})


class Renamed(Settings):
    OTHER_NAMES: ClassVar[dict[str, str]] = {"learning_rate": "lr", "env.noops": "env.noop_max"}


@pytest.mark.parametrize(
    ("text", "right"), [("learning-rate=1", "lr"), ("env.noops=1", "env.noop_max")]
)
def test_who_knows_a_setting_by_another_name_is_told_ours(text: str, right: str) -> None:
    with pytest.raises(ConfigError, match=f"It is called {right} here"):
        parse_overrides([text], Renamed)
    name, _, value = text.replace("-", "_").partition("=")
    changes = {"env": {"noops": 1}} if "." in name else {name: value}
    with pytest.raises(ConfigError, match=f"no such setting. It is called {right} here"):
        apply(Renamed(), changes)


@pytest.mark.parametrize("value", ["[" * 100_000, "1" * 10_000, "1e999", "NaN", '"' * 5_000])
def test_values_beyond_all_reason_are_one_short_message(value: str) -> None:
    for name in ("env", "env.noop_max", "amp"):
        changes = parse_overrides([f"{name}={value}"], Settings)
        with pytest.raises(ConfigError) as caught:
            apply(Settings(), changes)
        assert caught.value.args[0].startswith(f"{name}: ")
        assert len(str(caught.value)) < 300


def test_describe_names_every_fault_and_its_value() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"lr": "fast", "env": {"noop_max": "many"}, "sped": 1})
    text = describe(caught.value)
    assert "lr:" in text
    assert "'fast'" in text
    assert "env.noop_max:" in text
    assert "'many'" in text
    assert "sped: there is no such setting (given: 1)" in text


def test_describe_shows_what_a_terminal_can_show() -> None:
    hostile = {"\x1b[2J\xa0": 1, "n" * 10_000: 2, "name": ["\x07"]}
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(hostile)
    text = describe(caught.value)
    assert len(text) < 600
    assert all(line.isprintable() for line in text.split("\n"))
    assert r"\x1b[2J\xa0: there is no such setting" in text


class Levels(BaseModel):
    levels: list[str]

    @field_validator("levels")
    @classmethod
    def known(cls, levels: list[str]) -> list[str]:
        raise ValueError(f"there is no level {levels[0]}: give one of 1-1, 1-2")


def test_what_is_wrong_stays_short_where_it_repeats_a_long_value() -> None:
    """The words before and after the value are what helps."""
    with pytest.raises(ValidationError) as caught:
        Levels.model_validate({"levels": ["long " * 20_000]})
    text = describe(caught.value)
    assert len(text) < 1000
    assert text.startswith("levels: there is no level long long")
    assert ": give one of 1-1, 1-2 (given: " in text


def test_many_long_faults_are_one_message_that_can_be_read() -> None:
    class Many(BaseModel):
        each: list[Levels]

    with pytest.raises(ValidationError) as caught:
        Many.model_validate({"each": [{"levels": ["x" * 5_000]}] * 12})
    text = describe(caught.value)
    assert len(text) < 4000
    assert text.endswith(" more")
    assert (
        sum("there is no level" in line for line in text.split("\n")) + int(text.split()[-2]) == 12
    )
