"""The `mt-grpo` command."""


def main() -> None:
    """Run the `mt-grpo` command line."""
    raise SystemExit("mt-grpo: no command yet")
