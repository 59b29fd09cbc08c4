"""What a killed emulator leaves."""

import os
import shutil

from simferry.emulator import machine as machine_module


def test_what_others_put_beside_it_is_left_alone(tmp_path, monkeypatch):
    """Whoever can write to /tmp could have the next emulator open a folder of the host's, or end another one's containers."""
    asked = []
    monkeypatch.setattr(machine_module.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(machine_module, "connect", lambda: asked.append("engine"))
    monkeypatch.setattr(machine_module.removal, "leftovers", lambda *_: None)
    host = tmp_path / "host"
    host.mkdir()
    (host / "emulator.json").write_text('{"pid": 999999, "started": 1.0}')
    (tmp_path / "simferry-emulator-1-link").symlink_to(host)
    shutil.copytree(host, tmp_path / "simferry-emulator-2-theirs")
    with monkeypatch.context() as other:
        other.setattr(os, "geteuid", lambda: os.getuid() + 1)
        machine_module.clean_up_killed_emulators()
    assert asked == [] and (tmp_path / "simferry-emulator-2-theirs").exists()
    machine_module.clean_up_killed_emulators()
    assert asked == ["engine"] and host.exists() and not (tmp_path / "simferry-emulator-2-theirs").exists()
