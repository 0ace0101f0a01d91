"""`mt-grpo prepare` ignores no option."""

import argparse

import pytest

from data_prep import cli


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tasks", "arc:mini", "--math", "/nope", "--sciknoweval", "/nope"], "only exp3.*: leave out --math, --scik"),
        (["exp1", "--math", "/nope"], "only exp3 reads public benchmarks: leave out --math"),
        (["exp3", "--settings", "/nope.yaml"], "exp3 has no rg task, and one process makes it: leave out --settings"),
        (["exp3a", "--workers", "99"], "exp3a has .*: leave out --workers"),
        (["exp3b", "--math", "/nope"], "exp3b has no task of MATH: leave out --math"),
        (["exp3", "--tasks", ""], "either exp3 or --tasks"),
        (["--tasks", ""], "'' names no task"),
        (["--tasks", ","], "',' names no task"),
    ],
)
def test_what_the_chosen_data_does_not_read_is_refused(tmp_path, arguments, words):
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    with pytest.raises(ValueError, match=words):
        cli.run(parser.parse_args([*arguments, "--train", "2", "--test", "1", "-o", str(tmp_path / "out")]))
    assert not (tmp_path / "out").exists()
