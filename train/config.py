"""Settings of a training: typed, from a recipe, TOML and `--set`."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec

from edgeproof.runtime.errors import ConfigError
from edgeproof.runtime.pixels import Fit, Resample

Positive = Annotated[int, msgspec.Meta(ge=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Rate = Annotated[float, msgspec.Meta(gt=0)]
Optimizer = Literal["adam", "muon"]


class Data(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the pictures come from: `digits`, `cifar100`, or the path of a folder, a zip or a CIFAR-100 archive.

    `test` names a second path with the test pictures; without one the source's own `test/` is used, or
    `test_share` of each class is held back. `validation_share` of each class of the training pictures is cut off and
    watched instead of the test set, so that a choice can be made by it. `source_size` is the side that pictures are
    first brought to; without it, pictures that all have one size below the model's keep it, and others go straight to
    the model's. `resample` is Pillow's filter for each of these steps; it is written into the model file.
    """

    source: str = "digits"
    test: str | None = None
    test_share: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.2
    validation_share: Share = 0.0
    source_size: Positive | None = None
    fit: Fit = "stretch"
    resample: Resample = "bilinear"


class Network(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A backbone without its top, and the head on it.

    `backbone` is a name in `train/backbones.py`, or the path of a Keras model, whose part before its global pooling is
    taken; `input_range` is what such a file takes for the bytes 0 and 255. `alpha` is the width of MobileNets,
    `minimalistic` the MobileNetV3 without squeeze-and-excite, hard swish and 5×5 kernels. `weights` is `imagenet` (for
    a model file: its own), `bundled` (MobileNetV2 of alpha 0.35, ships with edgeproof), `none`, or the path of an .h5,
    .weights.h5 or .npz file.
    """

    backbone: str = "mobilenetv2"
    alpha: Rate = 1.0
    minimalistic: bool = False
    size: Annotated[int, msgspec.Meta(ge=32, multiple_of=1)] = 96
    weights: str = "imagenet"
    input_range: tuple[float, float] = (0.0, 255.0)
    dense: Positive = 512
    dropout: Share = 0.5


class Augmentation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done to training pictures at their stored size, anew in every view; see `train/augmentation.py`.

    `flip` mirrors half of them, `shift` moves by up to this share of the side, or from 1 on so many pixels, `colour`
    changes brightness, contrast and saturation by up to this share, `randaugment` applies so many random operations of
    `magnitude` (0 to 1), and `erase` covers a square of up to this share of the side.
    """

    flip: bool = True
    shift: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    colour: Share = 0.0
    randaugment: Count = 0
    magnitude: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    erase: Share = 0.0

    @property
    def changes(self) -> bool:
        """Whether there is a picture that it changes."""
        return bool(self.flip or self.shift or self.colour or self.randaugment or self.erase)


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Phase 1: the head alone, on features of the frozen base.

    The features are those of `views` augmented views of each picture, an epoch one after the other; with none, of the
    pictures as they are.
    """

    epochs: Count = 10
    learning_rate: Rate = 1e-3
    batch: Positive = 128
    views: Count = 0
    label_smoothing: Share = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Finetune(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Phase 2: the base without its first `frozen_layers` (the backbone's own unless given), at a lower learning rate.

    `views` is how many augmented views of each picture there are, an epoch one after the other; 0 for as many as
    epochs. `optimizer` is Adam, or Muon for convolutions and Adam for the rest (see `train/optimizers.py`); `schedule`,
    `warmup` (a share of the steps) and `weight_decay` (AdamW in Adam's place when above 0) shape it;
    `layer_decay` multiplies the learning rate from the top to the first trained layer, which has that share of it.
    `ema` averages the weights exponentially with this momentum (Polyak and Juditsky 1992), 0 for none.
    `batch_norm="frozen"` keeps every batch norm in inference mode with its weights as they are: faster on a CPU, and
    its statistics stay true. `mixup` (Zhang et al., arXiv:1710.09412) and `cutmix` (Yun et al., arXiv:1905.04899) are
    the shares of the steps whose pictures are mixed so. `balanced` weighs classes by the inverse of their pictures.
    `patience` ends the phase after so many epochs without a better one, and keeps the best; it needs
    `data.validation_share`.
    """

    epochs: Count = 5
    learning_rate: Rate = 1e-4
    batch: Positive = 128
    optimizer: Optimizer = "adam"
    frozen_layers: Count | None = None
    views: Count = 0
    batch_norm: Literal["training", "frozen"] = "training"
    label_smoothing: Share = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: Share = 0.05
    weight_decay: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    layer_decay: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    ema: Share = 0.0
    mixup: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    cutmix: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    balanced: bool = False
    patience: Count = 0


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of a training. `recipe` names what stands for those that are not given, see `RECIPES`."""

    recipe: Literal["plain", "better"] = "plain"
    data: Data = Data()
    network: Network = Network()
    augmentation: Augmentation = Augmentation()
    head: Head = Head()
    finetune: Finetune = Finetune()
    seed: Count = 0

    def augmentation_in(self, phase: str) -> Augmentation | None:
        """What pictures go through in the phase `head` or `finetune`; None where they are taken as they are."""
        as_they_are = phase == "head" and not self.head.views
        return self.augmentation if self.augmentation.changes and not as_they_are else None

    def phase(self, name: str) -> Head | Finetune:
        """The settings of the phase `head` or `finetune`."""
        return self.head if name == "head" else self.finetune

    def views_in(self, phase: str) -> int:
        """How many different views of each picture that phase looks at, an epoch one after the other."""
        settings = self.phase(phase)
        asked = settings.views if self.augmentation_in(phase) else 1
        return min(asked or settings.epochs, settings.epochs)


# The published recipe, and what gained most in the same epochs (docs/results.md says how much each setting did).
RECIPES = {
    "plain": Config(),
    "better": Config(
        recipe="better",
        network=Network(dropout=0.2),
        augmentation=Augmentation(shift=0.125),
        head=Head(views=2, label_smoothing=0.1, schedule="cosine"),
        finetune=Finetune(
            learning_rate=3e-4,
            batch=64,
            optimizer="muon",
            batch_norm="frozen",
            label_smoothing=0.1,
            schedule="cosine",
            weight_decay=1e-2,
            cutmix=0.25,
        ),
    ),
}
DEFAULT_RECIPE = "better"
# Settings that moved: files of earlier versions are still read.
_MOVED = {"finetune.flip": "augmentation.flip", "finetune.shift": "augmentation.shift"}


def load(path: str | Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Settings from a recipe, over it those of a TOML file, and over these `section.key=value` overrides.

    Raises `ConfigError` for a file that cannot be read, an unknown setting (with the nearest known one) or a
    value of the wrong type or range.
    """
    tree = _read(Path(path)) if path is not None else {}
    where = str(path) if path is not None else "--set"
    for override in overrides:
        _apply(tree, override)
    _move(tree)
    _refuse_unknown(tree, where)
    name = tree.setdefault("recipe", DEFAULT_RECIPE)
    if name not in RECIPES:
        raise ConfigError(f"{where}: no recipe '{name}'.{_suggestion(str(name), RECIPES)}")
    whole = msgspec.to_builtins(RECIPES[name])
    for key, value in tree.items():
        whole[key] = whole[key] | value if isinstance(value, dict) and isinstance(whole[key], dict) else value
    try:
        return _checked(msgspec.convert(whole, Config), where)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {_in_words(str(error), whole)}") from None


def dump(config: Config) -> str:
    """The settings as TOML text that `load` reads back."""
    tree = msgspec.to_builtins(config)
    lines = [f"{key} = {_value(value)}" for key, value in tree.items() if not isinstance(value, dict)]
    for section, values in tree.items():
        if isinstance(values, dict):
            lines += ["", f"[{section}]"]
            lines += [f"{key} = {_value(value)}" for key, value in values.items() if value is not None]
    return "\n".join(lines) + "\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: the settings cannot be read: {error.strerror}. Give a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}.") from None


def _apply(tree: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"--set {override}: no '=' in it. Write --set head.epochs=3.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word or a path
    *sections, key = name.strip().split(".")
    branch = tree
    for section in sections:
        branch = branch.setdefault(section, {})
        if not isinstance(branch, dict):
            raise ConfigError(f"--set {override}: '{section}' is no section. Write --set head.epochs=3.")
    branch[key] = value


def _move(tree: dict[str, Any]) -> None:
    for old, new in _MOVED.items():
        (section, key), (other, name) = old.split("."), new.split(".")
        if isinstance(tree.get(section), dict) and key in tree[section]:
            tree.setdefault(other, {}).setdefault(name, tree[section].pop(key))


def _checked(config: Config, where: str) -> Config:
    if config.finetune.patience and not config.data.validation_share:
        raise ConfigError(
            f"{where}: finetune.patience is {config.finetune.patience}, but there is nothing to choose by: the "
            "test set never is used for that. Set data.validation_share=0.1 too."
        )
    if config.finetune.mixup + config.finetune.cutmix > 1:
        raise ConfigError(f"{where}: finetune.mixup and finetune.cutmix are more than 1 together. Give smaller shares.")
    return config


def _refuse_unknown(tree: dict[str, Any], where: str) -> None:
    defaults = msgspec.to_builtins(Config())
    for key, value in tree.items():
        if key not in defaults:
            raise ConfigError(f"{where}: unknown setting '{key}'.{_suggestion(key, defaults)}")
        known = defaults[key]
        if isinstance(known, dict) and isinstance(value, dict):
            for inner in value:
                if inner not in known:
                    raise ConfigError(f"{where} [{key}]: unknown setting '{inner}'.{_suggestion(inner, known)}")


def _suggestion(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean '{close[0]}'?" if close else f" Known are {', '.join(known)}."


def _in_words(message: str, tree: dict[str, Any]) -> str:
    """msgspec says "Expected `int`, got `str` - at `$.head.epochs`"; we say the same with the setting first."""
    what, _, path = message.partition(" - at ")
    name = path.strip("`").removeprefix("$.")
    if what.startswith("Invalid enum value"):
        kind: Any = Config
        for part in name.split("."):
            kind, tree = get_type_hints(kind)[part], tree[part]
        return f"{name} cannot be '{tree}'.{_suggestion(str(tree), get_args(kind))}"
    return f"{name}: {what[:1].lower()}{what[1:]}." if name else f"{message}."


def _value(value: Any) -> str:
    return msgspec.json.encode(value).decode()  # TOML's strings, numbers and booleans are written as in JSON
