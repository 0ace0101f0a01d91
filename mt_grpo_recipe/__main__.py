"""`python -m mt_grpo_recipe` is the `mt-grpo` command."""

from mt_grpo_recipe.cli import main

if __name__ == "__main__":
    main()
