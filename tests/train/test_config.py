import msgspec
import pytest
from msgspec.structs import replace

from edgeproof.runtime import ConfigError
from edgeproof.train import config
from edgeproof.train.config import Config


@pytest.fixture
def toml(tmp_path):
    """Write a TOML file and return its path."""

    def write(text):
        path = tmp_path / "settings.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_without_a_file_the_better_recipe_is_taken():
    assert config.load() == config.RECIPES["better"] != config.RECIPES["plain"]


def test_the_plain_recipe_is_the_published_one():
    settings = config.load(None, ["recipe=plain"])
    assert settings == Config()
    assert (settings.head.epochs, settings.finetune.epochs, settings.finetune.frozen_layers) == (10, 5, None)
    assert settings.head.learning_rate > settings.finetune.learning_rate
    assert settings.network.dense == 512


def test_a_file_changes_what_it_names_and_nothing_else(toml):
    for recipe, base in config.RECIPES.items():
        settings = config.load(toml(f'recipe = "{recipe}"\nseed = 7\n[head]\nepochs = 3\n'))
        assert (settings.seed, settings.head.epochs) == (7, 3)
        assert settings == replace(base, seed=7, head=replace(base.head, epochs=3))


def test_a_recipe_that_is_not_there_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"--set: no recipe 'bettr'\. Did you mean 'better'\?"):
        config.load(None, ["recipe=bettr"])


def test_settings_of_earlier_versions_are_found_where_they_moved(toml):
    settings = config.load(toml("[finetune]\nflip = false\nshift = 3\n"))
    assert (settings.augmentation.flip, settings.augmentation.shift) == (False, 3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["finetune.patience=2"], r"finetune\.patience is 2, but .*Set data\.validation_share=0\.1 too"),
        (["finetune.mixup=0.6", "finetune.cutmix=0.6"], "more than 1 together"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        config.load(None, settings)


def test_an_override_wins_over_the_file_and_the_last_one_wins(toml):
    path = toml("[head]\nepochs = 3\nbatch = 4\n")
    settings = config.load(path, ["head.epochs=5", "head.epochs = 6", "seed=2"])
    assert (settings.head.epochs, settings.head.batch, settings.seed) == (6, 4, 2)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("photos", "photos"),
        ("/data/my photos", "/data/my photos"),
        ("C:\\photos", "C:\\photos"),
        ('"12"', "12"),
        ("a=b", "a=b"),
    ],
)
def test_a_bare_word_or_a_path_needs_no_quotes(text, value):
    assert config.load(None, [f"data.source={text}"]).data.source == value


def test_numbers_and_switches_are_typed_as_in_toml():
    settings = config.load(None, ["head.learning_rate=1e-2", "augmentation.flip=false", "network.dropout=0"])
    assert settings.head.learning_rate == 0.01
    assert settings.augmentation.flip is False
    assert settings.network.dropout == 0


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("head.epoch=3", r"--set \[head\]: unknown setting 'epoch'\. Did you mean 'epochs'\?"),
        ("finetun.epochs=3", r"--set: unknown setting 'finetun'\. Did you mean 'finetune'\?"),
        ("head.qqq=3", r"\[head\]: unknown setting 'qqq'\. Known are epochs, learning_rate, batch, views, "),
        ("zzz=1", r"unknown setting 'zzz'\. Known are recipe, data, network, augmentation, head, "),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest_known_one(override, words):
    with pytest.raises(ConfigError, match=words):
        config.load(None, [override])


def test_an_unknown_setting_in_a_file_is_refused_with_the_files_name(toml):
    with pytest.raises(ConfigError, match=r"settings\.toml \[head\]: unknown setting 'epoch'\. Did you mean 'epochs'"):
        config.load(toml("[head]\nepoch = 3\n"))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("head.epochs=many", r"--set: head\.epochs: expected `int`, got `str`\."),
        ("head.epochs=-1", r"head\.epochs: expected `int` >= 0"),
        ("head.batch=0", r"head\.batch: expected `int` >= 1"),
        ("head.learning_rate=0", r"head\.learning_rate: expected `float` > 0"),
        ("data.test_share=1", r"data\.test_share: expected `float` < 1"),
        ("network.size=16", r"network\.size: expected `int` >= 32"),
        ("network.dropout=1.0", r"network\.dropout: expected `float` < 1"),
        ("finetune.batch_norm=inference", r"finetune\.batch_norm cannot be 'inference'\. Known are training, frozen\."),
        ("data.resample=bicubc", r"data\.resample cannot be 'bicubc'\. Did you mean 'bicubic'\?"),
        ("augmentation.flip=1", r"augmentation\.flip: expected `bool`, got `int`"),
        ("head=3", r"head: expected `object`, got `int`"),
        ("seed.x=3", r"seed: expected `int`, got `object`"),
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_named_with_its_setting(override, words):
    with pytest.raises(ConfigError, match=words):
        config.load(None, [override])


@pytest.mark.parametrize("override", ["head.epochs", "=3", " =3"])
def test_an_override_without_a_name_or_a_value_shows_how_it_is_written(override):
    with pytest.raises(ConfigError, match=r"no '=' in it\. Write --set head\.epochs=3"):
        config.load(None, [override])


def test_a_setting_below_a_value_is_refused():
    with pytest.raises(ConfigError, match=r"'epochs' is no section"):
        config.load(None, ["head.epochs=3", "head.epochs.first=3"])


def test_a_file_that_cannot_be_read_or_is_no_toml_is_refused(toml, tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.toml: the settings cannot be read: No such file"):
        config.load(tmp_path / "gone.toml")
    with pytest.raises(ConfigError, match=r"settings\.toml is no TOML"):
        config.load(toml("[head\n"))
    (tmp_path / "settings.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"settings\.toml is no TOML"):
        config.load(tmp_path / "settings.toml")


def test_what_is_dumped_is_loaded_again(toml):
    changes = [
        *('data.source=/tmp/my "own" päth\\x', "data.test=other.zip", "data.fit=crop", "data.source_size=32"),
        "data.resample=lanczos",
        *("head.learning_rate=0.00001", "finetune.weight_decay=1e-07", "augmentation.flip=false", "seed=12345678901"),
    ]
    for settings in (Config(), config.load(None, changes)):
        assert config.load(toml(config.dump(settings))) == settings


def test_a_dump_names_every_setting_that_has_a_value():
    text = config.dump(Config())
    for section, values in msgspec.to_builtins(Config()).items():
        assert section in text
        assert (
            all(key in text for key, value in values.items() if value is not None) if isinstance(values, dict) else True
        )


@pytest.mark.parametrize("name", ["cifar100-035-96", "cifar100-100-96"])
def test_the_projects_own_settings_are_valid(name, request):
    settings = config.load(request.config.rootpath / "models" / f"{name}.toml")
    assert settings.network.size == 96


@pytest.mark.parametrize(
    ("overrides", "head", "finetune"),
    [
        ([], 1, 3),
        (["finetune.views=2"], 1, 2),
        (["finetune.views=9", "head.views=2", "head.epochs=1"], 1, 3),
        (["head.views=2"], 2, 3),
        (["augmentation.flip=false", "head.views=2", "finetune.views=2"], 1, 1),
        (["head.views=2", "finetune.epochs=0"], 2, 0),
    ],
)
def test_a_phase_looks_at_no_more_views_than_it_has_epochs_and_at_one_where_nothing_changes(overrides, head, finetune):
    settings = config.load(None, ["recipe=plain", "finetune.epochs=3", *overrides])
    assert (settings.views_in("head"), settings.views_in("finetune")) == (head, finetune)
