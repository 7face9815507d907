import pytest

from edgeproof.convert import recipes
from edgeproof.runtime import ConfigError


def test_recipes_are_found_by_name_in_the_order_asked_for():
    assert recipes.named(["int8", "float32"]) == (recipes.INT8, recipes.FLOAT32)


def test_a_recipe_that_is_asked_for_twice_is_given_once():
    assert recipes.named(["int8", "float32", "int8"]) == (recipes.INT8, recipes.FLOAT32)


def test_no_names_are_no_recipes():
    assert recipes.named([]) == ()


@pytest.mark.parametrize(("name", "nearest"), [("int88", "int8"), ("float", "float32"), ("flaot32", "float32")])
def test_an_unknown_recipe_is_refused_with_the_nearest_known_one(name, nearest):
    with pytest.raises(ConfigError, match=rf"--recipe {name}: unknown recipe\. Did you mean '{nearest}'\?"):
        recipes.named(["float32", name])


def test_where_nothing_is_near_all_recipes_are_named():
    with pytest.raises(ConfigError, match=r"--recipe zzz: unknown recipe\. Known are float32, .*, int8-qat, auto\."):
        recipes.named(["zzz"])


def test_every_recipe_has_its_own_name_as_its_key():
    assert all(recipe.name == name for name, recipe in recipes.RECIPES.items())


def test_a_choice_is_named_after_all_that_sets_it_apart():
    plain = recipes.Choice(recipes.INT8, recipes.NO_STEPS)
    spared = recipes.Choice(recipes.INT8, estimator="mse", in_float=(3, 4))
    partly = recipes.Choice(recipes.DYNAMIC, recipes.Steps(head=False, rounding=False), "mse")
    assert [plain.name, spared.name, partly.name, recipes.Choice(recipes.FLOAT32).name] == [
        "int8",
        "int8 repaired, mse, 2 in float",
        "dynamic with equalisation+bias",
        "float32",
    ]


def test_only_int8_spares_operators():
    with pytest.raises(ValueError, match="with int8 alone, got float16"):
        recipes.Choice(recipes.FLOAT16, in_float=(1,))
