"""Responses that cost a careless scorer seconds: long, deep, or full of what looks like an answer."""

HOSTILE = {
    "a megabyte of digits": r"\boxed{" + "9" * 1_000_000 + "}",
    "a megabyte of opening brackets": r"\boxed{" + "(" * 1_000_000 + "}",
    "deep but short brackets": r"\boxed{" + "(" * 400 + "3" + ")" * 400 + "}",
    "nested fractions": r"\boxed{" + r"\frac{" * 100 + "3" + "}{3}" * 100 + "}",
    "many minus signs": r"\boxed{" + "-" * 990 + "3}",
    "a megabyte of braces": r"\boxed{" + "{" * 1_000_000,
    "a megabyte of backslashes": r"\boxed{" + "\\" * 1_000_000 + "}",
    "100,000 boxes": r"\boxed{3}" * 100_000,
    "100,000 boxes within each other": r"\boxed{" * 100_000 + "3" + "}" * 100_000,
    "100,000 words boxed without a brace": r"\boxed" * 100_000,
    "boxed and a megabyte of blanks": r"\boxed" + " " * 1_000_000 + "{3}",
    "100,000 answer tags": "<answer>" * 100_000,
    "a tower of powers": r"\boxed{" + "9**" * 300 + "9}",
    "a long product": r"\boxed{" + "*".join(["12"] * 300) + "}",
    "a megabyte of prompts": "Assistant:" * 100_000 + r"\boxed{3}",
    "a command around a megabyte": r"\boxed{\text{" + "a" * 1_000_000 + "}}",
    "10,000 commands without end": "<answer>" + r"\text{" * 1_600 + "</answer>",
    "a megabyte that is no box": r"\boxed" + "}" * 1_000_000,
}
