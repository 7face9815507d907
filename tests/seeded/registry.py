"""Where the seeded defects stand, by name."""

SEEDS = {}


def seed(rule, name):
    """Register a maker of a file's bytes (and perhaps a labels file) that must be found by a rule."""

    def register(maker):
        SEEDS[f"{rule} {name}"] = (rule, maker)
        return maker

    return register
