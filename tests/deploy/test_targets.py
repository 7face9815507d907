"""What a project can be made for."""

import pytest

from edgeproof import generating
from edgeproof.deploy import codegen, targets
from edgeproof.runtime.errors import ConfigError


def test_the_command_line_names_the_targets_that_there_are():
    assert generating.TARGETS.split("|") == list(targets.NAMES)


def test_every_target_has_templates_and_a_readme():
    for target in targets.TARGETS:
        assert all(any((codegen.TEMPLATES / part).iterdir()) for part, _ in target.parts)
        assert (codegen.TEMPLATES / target.parts[0][0] / "README.md.jinja").is_file()


def test_an_unknown_target_is_refused_with_the_choices_and_the_nearest():
    with pytest.raises(ConfigError, match=r"--target kotlin: choose one of .*c-array.*Did you mean 'android-kotlin'\?"):
        targets.named("kotlin")
    with pytest.raises(ConfigError, match=r"arduino\.$"):
        targets.named("qqq")
