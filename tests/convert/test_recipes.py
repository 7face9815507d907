import pytest

from edgeproof.convert import recipes
from edgeproof.convert.recipes import Options, Steps
from edgeproof.runtime import ConfigError


def test_recipes_are_found_by_name_in_the_order_asked_for():
    assert recipes.named(["int8", "float32"]) == (recipes.INT8, recipes.FLOAT32)


def test_a_recipe_that_is_asked_for_twice_is_given_once():
    assert recipes.named(["int8", "float32", "int8"]) == (recipes.INT8, recipes.FLOAT32)
    assert recipes.named(["int8", "static_wi8_ai8"]) == (recipes.INT8,)


def test_no_names_are_no_recipes():
    assert recipes.named([]) == ()


@pytest.mark.parametrize(
    ("alias", "recipe"),
    [
        ("dynamic_wi8_afp32", recipes.DYNAMIC),
        ("weight_only_wi8_afp32", recipes.WEIGHTS8),
        ("static_wi8_ai8", recipes.INT8),
        ("static_wi8_ai16", recipes.INT16X8),
    ],
)
def test_a_recipe_is_found_by_the_name_that_litert_gives_it(alias, recipe):
    assert recipes.named([alias]) == (recipe,)


def test_the_aliases_are_recipes_of_litert():
    litert = pytest.importorskip("litert_quantizer", reason="needs the train extra").recipe
    assert all(callable(getattr(litert, alias)) for alias in recipes.ALIASES)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("int88", "int8"),
        ("float", "float32"),
        ("flaot32", "float32"),
        ("static_wi8_ai", "static_wi8_ai8"),
    ],
)
def test_an_unknown_recipe_is_refused_with_the_nearest_known_one(name, nearest):
    with pytest.raises(ConfigError, match=rf"^--recipe {name}: unknown recipe\. Did you mean '{nearest}'\?$"):
        recipes.named(["float32", name])


def test_where_nothing_is_near_all_recipes_are_named():
    known = "float32, float16, dynamic, weights8, int8, int16x8, int8-qat, auto"
    with pytest.raises(ConfigError, match=rf"^--recipe zzz: unknown recipe\. Known are {known}\.$"):
        recipes.named(["zzz"])


def test_every_recipe_has_its_own_name_as_its_key():
    assert all(recipe.name == name for name, recipe in recipes.RECIPES.items())


def test_only_recipes_with_integer_activations_are_calibrated_and_take_bytes():
    calibrated = {name for name, recipe in recipes.RECIPES.items() if recipe.calibrates}
    assert calibrated == {"int8", "int16x8", "int8-qat"}
    assert {name for name, recipe in recipes.RECIPES.items() if recipe.input == "uint8"} == calibrated
    assert {recipe.output for recipe in recipes.RECIPES.values()} == {"float32"}


# --- options --------------------------------------------------------------------------------------------------------


def test_nothing_said_is_every_repair_and_each_recipes_own_ends():
    assert recipes.options() == recipes.DEFAULTS == Options(Steps(), "min-max", None, None)
    assert Steps().names == recipes.STEPS


@pytest.mark.parametrize(
    ("repair", "names"),
    [
        ("all", ("head", "equalisation", "bias", "rounding")),
        ("none", ()),
        ("bias", ("bias",)),
        ("rounding, bias", ("bias", "rounding")),
        ("equalisation,head", ("head", "equalisation")),
    ],
)
def test_repairs_are_those_that_are_named(repair, names):
    assert recipes.options(repair=repair).steps.names == names


def test_ends_and_the_estimator_are_taken():
    found = recipes.options(estimator="percentile", taken="int8", given="uint8")
    assert (found.estimator, found.taken, found.given) == ("percentile", "int8", "uint8")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"repair": "equalization"}, r"^--repair equalization: unknown\. Did you mean 'equalisation'\?$"),
        (
            {"repair": "bias,zzz"},
            r"^--repair zzz: unknown\. Known are all, none, head, equalisation, bias, rounding\.$",
        ),
        ({"repair": ""}, r"^--repair : unknown"),
        ({"taken": "uint16"}, r"^--input uint16: unknown\. Did you mean 'uint8'\?$"),
        ({"given": "float"}, r"^--output float: unknown\. Did you mean 'float32'\?$"),
        ({"estimator": "minmax"}, r"^--estimator minmax: unknown\. Did you mean 'min-max'\?$"),
    ],
)
def test_what_is_unknown_is_refused_with_the_nearest_name(given, message):
    with pytest.raises(ConfigError, match=message):
        recipes.options(**given)


@pytest.mark.parametrize("repair", ["rounding", "head,rounding"])
def test_rounding_goes_with_bias(repair):
    with pytest.raises(ConfigError, match=r"^--repair rounding: it goes with bias\. Give --repair bias,rounding\.$"):
        recipes.options(repair=repair)
