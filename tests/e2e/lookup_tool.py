"""A tool, and a parser that reads a call of it into every answer, since no model this small writes one."""

from verl.experimental.agent_loop.tool_parser import FunctionCall, ToolParser
from verl.tools.function_tool import function_tool


@function_tool
def lookup(key: str) -> str:
    """Look up a value.

    Args:
        key: what to look for.
    """
    return f"{key}=7"


@ToolParser.register("every_answer")
class EveryAnswer(ToolParser):
    """Takes each answer as one call."""

    async def extract_tool_calls(self, responses_ids, tools=None):
        """The answer as text, and the call."""
        return self.tokenizer.decode(responses_ids), [FunctionCall(name="lookup", arguments='{"key": "a"}')]
