"""What verl reads from every row of the data files: a prompt that is a list of messages, and its truth."""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute
from omegaconf import DictConfig, OmegaConf

from mt_grpo_recipe.config import ConfigError, MTGRPOConfig
from mt_grpo_recipe.verl_plugin.checks.datasets import dataset_class, reads_files

pc: Any = pyarrow.compute  # whose functions are made when it is imported, without types
NOT_ROLES = ("human", "gpt")
"""Of messages as ShareGPT writes them: chat templates leave them out, many without a word."""
READ_OF_EVERY_ROW = ("data_source", "reward_model", "__rollout_n__")
"""Columns beside the prompt; verl assumes nothing for one of these that some rows have and others lack."""
SHOWN = reprlib.Repr()
SHOWN.maxstring, SHOWN.maxdict, SHOWN.maxlevel = 60, 6, 3


@dataclass(frozen=True)
class RowForm:
    """The form that rows must have for a run.

    Args:
        prompt_key: the column of the prompts.
        makes_prompts: whether the dataset class makes the prompts itself, from whatever the column holds.
        any_role: whether the chat template is the user's own, which may know other roles.
        needs_truth: whether `reward_model` needs a field `ground_truth`.
    """

    prompt_key: str = "prompt"
    makes_prompts: bool = False
    any_role: bool = False
    needs_truth: bool = True

    @classmethod
    def of(cls, config: DictConfig, makes_prompts: bool) -> RowForm:
        """What this training config asks of a row.

        Args:
            config: verl's whole training config, or the section `data` alone.
            makes_prompts: as above.
        """
        data = config.get("data", config)
        source = OmegaConf.select(config, "reward.reward_manager.source", default="register")
        return cls(
            prompt_key=data.get("prompt_key", "prompt"),
            makes_prompts=makes_prompts,
            any_role=OmegaConf.select(config, "actor_rollout_ref.model.custom_chat_template") is not None,
            # All reward managers of verl read it. A reward model, or a manager or an agent loop of the user's own that
            # gives the reward itself, may do without.
            needs_truth=source == "register"
            and not OmegaConf.select(config, "reward.reward_model.enable")
            and OmegaConf.select(config, "actor_rollout_ref.rollout.agent.agent_loop_config_path") is None,
        )

    def column_faults(self, columns_of: Mapping[str, Collection[str]]) -> list[str]:
        """A sentence about each column that files lack.

        Args:
            columns_of: file -> its columns.
        """
        needed = [self.prompt_key] * (not self.makes_prompts) + ["reward_model"] * self.needs_truth
        faults = []
        for column in (self.prompt_key, *READ_OF_EVERY_ROW):
            lacking = [file for file, columns in columns_of.items() if column not in columns]
            if 0 < len(lacking) < len(columns_of):
                faults.append(
                    f"{', '.join(lacking)} has no column {column!r}, which other files of the data have and verl reads "
                    "of every row. Add it, or leave the file out."
                )
            elif lacking and column in needed:
                others = ", ".join(sorted(columns_of[lacking[0]])) or "none"
                remedy = (
                    "Write the truth of every row there, {'ground_truth': ...}."
                    if column == "reward_model"
                    else f"Add it, or name another in data.prompt_key, which is {column} now."
                )
                faults.append(
                    f"{', '.join(lacking)} has no column {column!r}, which verl reads of every row; there are "
                    f"{others}. {remedy}"
                )
        return faults

    def row_columns(self, columns: Collection[str]) -> list[str]:
        """Those of a file's columns that `row_faults` looks at."""
        looked_at = ["reward_model"] if self.makes_prompts else [self.prompt_key, "reward_model"]
        return [column for column in looked_at if column in columns]

    def column_fits(self, column: str, values: pa.ChunkedArray) -> bool:
        """Whether every row has this column as it must be, as far as Arrow's type and its functions for it tell.

        Much faster than `row_faults`, which is to be asked where this is False.
        """
        if column == "reward_model":
            kind: Any = values.type
            has_truth = pa.types.is_struct(kind) and (not self.needs_truth or kind.get_field_index("ground_truth") >= 0)
            return has_truth and not values.null_count
        return _are_messages(values, () if self.any_role else NOT_ROLES)

    def row_faults(self, rows: Iterable[Mapping[str, Any]], file: str) -> list[str]:
        """A sentence about prompts, and one about truths, that verl cannot use; each names the first row.

        Args:
            rows: all rows of the file, with the columns `row_columns`.
            file: its name.
        """
        first: dict[str, tuple[int, str]] = {}
        counts = {self.prompt_key: 0, "reward_model": 0}
        total = 0
        for number, row in enumerate(rows):
            total += 1
            for column, value in row.items():
                fault = self._truth_fault(value) if column == "reward_model" else self._prompt_fault(value)
                if fault is not None:
                    counts[column] += 1
                    first.setdefault(column, (number, fault))
        return [
            f"{file}: {counts[column]} of {total} rows have {column!r} in a form that verl cannot use; the first is "
            f"row {number}, counted from 0: {fault}"
            for column, (number, fault) in first.items()
        ]

    def _prompt_fault(self, prompt: Any) -> str | None:
        wanted = "It must be a list of messages, [{'role': 'user', 'content': 'the question'}]."
        if not isinstance(prompt, list) or not prompt:
            return f"the prompt is {_shown(prompt)}. {wanted}"
        for message in prompt:
            if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
                return f"the prompt holds {_shown(message)}, which is no message with a role. {wanted}"
            role, content = message["role"], message.get("content")
            if not self.any_role and role in NOT_ROLES:
                return (
                    f"a message of the prompt has the role {role!r}, which chat templates leave out. Write user, "
                    "assistant or system, or give actor_rollout_ref.model.custom_chat_template."
                )
            # An assistant that calls tools may say nothing.
            if not isinstance(content, str | list) and not (content is None and role == "assistant"):
                return f"the content of a message is {_shown(content)}. It must be text, or a list of parts. {wanted}"
        return None

    def _truth_fault(self, given: Any) -> str | None:
        if not isinstance(given, Mapping):
            return f"it is {_shown(given)}. It must be a dict: {{'style': 'rule', 'ground_truth': ...}}."
        if self.needs_truth and "ground_truth" not in given:
            return (
                f"it has no field 'ground_truth', which verl hands to the reward function; it has "
                f"{sorted(map(str, given))}. Add the field; it may be null for a reward function that does not read it."
            )
        return None


def _are_messages(values: pa.ChunkedArray, not_roles: Collection[str]) -> bool:
    """Whether every value is a list of one message or more, each with text or parts, in none of these roles."""
    kind: Any = values.type
    if not (_is_list(kind) and pa.types.is_struct(kind.value_type)) or values.null_count or not len(values):
        return False
    if {"role", "content"} - {field.name for field in kind.value_type}:
        return False
    messages = pc.list_flatten(values)
    role, content = pc.struct_field(messages, "role"), pc.struct_field(messages, "content")
    complete = pc.min(pc.list_value_length(values)).as_py() > 0 and not role.null_count and not content.null_count
    texts = _is_text(role.type) and (_is_text(content.type) or _is_list(content.type))
    return complete and texts and not set(not_roles) & set(pc.unique(role).to_pylist())


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _shown(value: Any) -> str:
    """A value, shortened, with its type where that does not show."""
    kinds = {str: "text", type(None): "missing or null", list: "a list", dict: "a dict"}
    kind = kinds.get(type(value), f"of type {type(value).__name__}")
    return kind if value is None else f"{kind}, {SHOWN.repr(value)}"


def _files_are_named(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    try:
        kind = dataset_class(config)
    except ConfigError:
        return None  # which another rule refuses
    options = [f"data.{name}={config.data[name]}" for name in ("train_files", "val_files") if not config.data[name]]
    if not options or not reads_files(kind):
        return None
    return (
        f"{' and '.join(options)}: verl reads training and validation data at start, even where it never validates. "
        "Name a parquet or JSON file, or a list of them; mt-grpo prepare -o DIR makes both."
    )


RULES = (_files_are_named,)
