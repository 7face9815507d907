import os

import msgspec

from edgeproof.benchmarks.environment import environment


def machine_of(tmp_path, cpuinfo):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(cpuinfo, encoding="utf-8")
    return environment(root=tmp_path)


def test_an_intel_cpu_is_told_by_its_model_name(tmp_path):
    assert machine_of(tmp_path, "processor : 0\nmodel name\t: Fast CPU @ 3 GHz\n").cpu == "Fast CPU @ 3 GHz"


def test_an_arm_board_is_told_by_its_model(tmp_path):
    assert machine_of(tmp_path, "processor\t: 0\nHardware\t: BCM2835\nModel\t: A Board\n").cpu == "A Board"


def test_flags_that_matter_to_kernels_are_told_on_x86_and_on_arm(tmp_path):
    assert machine_of(tmp_path, "flags\t: fpu sse avx2 avx512_vnni\n").flags == ("avx2", "avx512_vnni")
    (tmp_path / "proc/cpuinfo").write_text("Features\t: fp asimd asimddp crc32\n")
    assert environment(root=tmp_path).flags == ("asimd", "asimddp")


def test_a_system_without_proc_still_names_some_cpu(tmp_path):
    assert environment(root=tmp_path).cpu


def test_the_governor_is_read_where_there_is_one(tmp_path):
    assert environment(root=tmp_path).governor is None
    folder = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    folder.mkdir(parents=True)
    (folder / "scaling_governor").write_text("powersave\n")
    assert environment(root=tmp_path).governor == "powersave"


def test_the_environment_names_no_user_and_no_host():
    told = msgspec.json.encode(environment()).decode()
    assert os.path.expanduser("~") not in told
    assert {"numpy", "ai-edge-litert", "pillow", "edgeproof"} == set(environment().packages)
